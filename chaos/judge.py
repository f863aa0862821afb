"""The judge: reads only what the senders were answered and what the simulators recorded, never the ledger.

It demands every effect of the messages that were answered with 2xx, exactly as often as the plan says. An effect whose
messages were not all taken may be there, for the hub may have kept what it could not answer any more; never more often.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.plan import Effect, Recorded, SourcePlan, Try, Violation

#: What the hub does for its connections, and for no message: their effects are no business of anybody.
SESSIONS = frozenset({"login", "refresh"})
#: So many workers one delivery may take down in a row; then it must have been set aside.
DEADLY = 5


@dataclass(slots=True)
class Verdict:
    """What the judge found."""

    violations: list[Violation] = field(default_factory=list)
    #: Messages that were never answered with 2xx, by source: no violation, for nothing was promised.
    unanswered: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)  # distinct events, by source
    demanded: Counter[str] = field(default_factory=Counter)  # effects, by source
    found: Counter[str] = field(default_factory=Counter)  # effects, by source


def judge(
    plans: Sequence[SourcePlan],
    tries: Sequence[Try],
    recorded: Sequence[Recorded],
    *,
    timeout_s: float,
    kills: Sequence[float] = (),
) -> Verdict:
    """What is wrong. `timeout_s` is how long the hub waits for an answer of a system at most; `kills` are the times at
    which processes that make calls were ended.
    """
    verdict = Verdict()
    made = sorted(
        (one for one in recorded if one.effect and one.operation not in SESSIONS),
        key=lambda one: (one.simulator, one.number),
    )
    answered = {(one.source, one.event_id) for one in tries if one.taken}
    verdict.violations += _accounted(plans, tries, answered, verdict)
    claimed: set[int] = set()
    for plan in plans:
        ids = frozenset(one.event_id for one in plan.messages if (one.source, one.event_id) in answered)
        mine = []
        for one in made:
            key = plan.effect_of(one)
            if key is not None or plan.owns(one):
                claimed.add(id(one))
                mine.append((one, key))
        verdict.violations += _effects(plan, mine, ids, verdict)
        verdict.violations += _ranks(plan, made)
        verdict.violations += plan.check([one for one, _ in mine], ids)
    for one in made:
        if id(one) not in claimed:
            what = f"{one.operation} took effect and nothing that was sent asks for it: {one.effect}"
            verdict.violations.append(Violation("uncalled", what, one.path, "", one.simulator))
    verdict.violations += overlaps(recorded, timeout_s=timeout_s, kills=kills)
    verdict.violations += deadly(recorded)
    return verdict


def _accounted(
    plans: Sequence[SourcePlan], tries: Sequence[Try], answered: set[tuple[str, str]], verdict: Verdict
) -> Iterator[Violation]:
    """Every answer belongs to a message of the plan, and every message was taken or is told as not answered."""
    known = {(one.source, one.event_id): plan.name for plan in plans for one in plan.messages}
    for one in {(one.source, one.event_id): one for one in tries}.values():
        if (one.source, one.event_id) not in known:
            yield Violation("event", "an answer to a message that is in no plan", one.object_id, one.event_id)
    for key, name in known.items():
        (verdict.answered if key in answered else verdict.unanswered)[name] += 1


def _effects(
    plan: SourcePlan,
    mine: Sequence[tuple[Recorded, Effect | None]],
    answered: frozenset[str],
    verdict: Verdict,
) -> Iterator[Violation]:
    found: dict[Effect, list[Recorded]] = defaultdict(list)
    for one, key in mine:
        if key is not None:
            found[key].append(one)
    verdict.found[plan.name] += len(mine)
    missing = {
        key: wanted - len(found.get(key, ()))
        for key, wanted in plan.expected.items()
        if len(found.get(key, ())) < wanted and plan.needs.get(key, frozenset()) <= answered
    }
    verdict.demanded[plan.name] += sum(
        wanted for key, wanted in plan.expected.items() if plan.needs.get(key, frozenset()) <= answered
    )
    strange = {key: made for key, made in found.items() if not plan.expected.get(key)}
    wanted_of = {_subject(key): key for key in missing}
    for key, made in strange.items():
        operation, object_id = _subject(key)
        event_id = ""
        if (meant := wanted_of.get((operation, object_id))) is not None:
            missing.pop(meant, None)
            what = f"{operation} took effect as {key}, and should have been {meant}"
            event_id = _events(plan, meant)
            yield Violation("wrong", what, object_id, event_id, made[0].simulator)
        elif any(_subject(one) == (operation, object_id) for one in plan.expected):
            what = f"{operation} took effect once more, otherwise than it should have been: {key}"
            yield Violation("wrong", what, object_id, "", made[0].simulator)
        else:
            yield Violation("uncalled", f"{key} took effect and nobody asked for it", object_id, "", made[0].simulator)
    for key, less in missing.items():
        operation, object_id = _subject(key)
        what = f"all its events were answered with 2xx, and {less} of {plan.expected[key]} effects are missing: {key}"
        yield Violation("lost", what, object_id, _events(plan, key))
    for key, made in found.items():
        if 0 < plan.expected.get(key, 0) < len(made):
            numbers = ", ".join(f"request {one.number} with key {one.key or '-'}" for one in made)
            what = f"{key} took effect {len(made)} times and not {plan.expected[key]}: {numbers}"
            yield Violation("twice", what, _subject(key)[1], _events(plan, key), made[0].simulator)


def _ranks(plan: SourcePlan, made: Sequence[Recorded]) -> Iterator[Violation]:
    """Of one object at one simulator no effect is older than one before it. `made` is in the order of arrival."""
    highest: dict[tuple[str, str], tuple[int, Recorded]] = {}
    for one in made:
        if (ranked := plan.rank_of(one)) is None:
            continue
        object_id, rank = ranked
        before = highest.get((one.simulator, object_id))
        if before is not None and rank < before[0]:
            what = (
                f"request {one.number} ({one.operation}, rank {rank}) took effect after request {before[1].number} "
                f"({before[1].operation}, rank {before[0]})"
            )
            yield Violation("order", what, object_id, "", one.simulator)
        if before is None or rank >= before[0]:
            highest[one.simulator, object_id] = rank, one


def overlaps(recorded: Sequence[Recorded], *, timeout_s: float, kills: Sequence[float] = ()) -> list[Violation]:
    """Requests with one Idempotency-Key at the same time: two workers had one delivery in hand.

    A simulator that is told to be slow holds a request although its sender has gone: it may have been killed, or have
    given up waiting. Then the next try, with the same key, is no second worker. A request therefore counts until the
    first of: its answer, the moment at which the hub gives up waiting (`timeout_s`), the next end of a process that
    makes calls. What the second misses, for the process that was ended may have been another one, shows as soon as it
    happens once without a kill in between.
    """
    ended = sorted(kills)
    by_key: dict[tuple[str, str], list[Recorded]] = defaultdict(list)
    for one in recorded:
        if one.key:
            by_key[one.simulator, one.key].append(one)
    found = []
    for (simulator, key), made in by_key.items():
        made.sort(key=lambda one: (one.at, one.number))
        until, holder = 0.0, made[0]
        for one in made:
            if one.at < until:
                what = (
                    f"request {one.number} came {until - one.at:.3f} s before request {holder.number} with the same "
                    f"Idempotency-Key {key} was over ({one.operation}): two workers had one delivery in hand"
                )
                found.append(Violation("overlap", what, one.path, "", simulator))
            if (over := _over(one, timeout_s, ended)) > until:
                until, holder = over, one
    return found


def deadly(recorded: Sequence[Recorded]) -> Iterator[Violation]:
    """Calls that took down more workers in a row than one delivery may: nobody set it aside."""
    in_a_row: Counter[tuple[str, str]] = Counter()
    most: Counter[tuple[str, str]] = Counter()
    for one in sorted(recorded, key=lambda one: (one.simulator, one.number)):
        call = (one.simulator, one.key)
        in_a_row[call] = in_a_row[call] + 1 if one.misbehaved == "kill_caller" else 0
        most[call] = max(most[call], in_a_row[call])
    for (simulator, key), many in most.items():
        if many > DEADLY:
            what = f"the calls with key {key or '-'} took down {many} workers in a row, and nobody set them aside"
            yield Violation("deadly", what, "", "", simulator)


def _over(one: Recorded, timeout_s: float, ended: Sequence[float]) -> float:
    """When nobody waits for the answer of a request any more."""
    moments = [one.at + timeout_s]
    if one.ended_at:
        moments.append(one.ended_at)
    place = bisect_right(ended, one.at)
    if place < len(ended):
        moments.append(ended[place])
    return min(moments)


def _subject(key: Effect) -> tuple[str, str]:
    """Operation and object of an effect."""
    try:
        parts = json.loads(key)
        return str(parts[0]), str(parts[1])
    except (ValueError, LookupError, TypeError):
        return key, ""


def _events(plan: SourcePlan, key: Effect) -> str:
    return ", ".join(sorted(plan.needs.get(key, ()))[:3])


def from_simulator(simulator: str, answer: Mapping[str, object]) -> list[Recorded]:
    """The requests of an answer of `/_sim/requests`."""
    names = ["number", "at", "ended_at", "operation", "path", "headers", "body", "status", "effect", "misbehaved"]
    rows = answer["requests"]
    assert isinstance(rows, list)
    return [Recorded(simulator=simulator, **{name: row[name] for name in names}) for row in rows]
