"""One run: the stage is set, vendors send, faults strike, the hub comes to rest, and what came of it is judged."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from chaos import compare, faults
from chaos.judge import judge
from chaos.looks import Looks
from chaos.plan import Options, SourcePlan, Violation
from chaos.resume import resumes
from chaos.sender import Sender
from chaos.sources import fulfillment_returns, gradings, labels, orders, poison, store_returns
from chaos.stage import Stage
from chaos.stage_site import TIMEOUT_S

#: What part of the messages each source sends.
SHARES = {labels: 0.5, store_returns: 0.14, fulfillment_returns: 0.12, orders: 0.14, gradings: 0.1}
#: After the last fault vendors go on sending so long, and the hub may work so long, until it counts as never ready.
AFTER_S = 60.0
SETTLE_S = 180.0
#: Nothing has happened anywhere for so long: it has come to rest.
_QUIET_S = 13.0
_LOOK_S = 0.1
_SAY_S = 5.0
#: What may be left when all is done: it waits for a person, and says so.
_RESTING = ("parked", "conflict", "in_doubt")
#: What is parked is looked at again within a minute (stage_site.py): when a clock was bent, not before.
_PARKED_S = 75.0


@dataclass(slots=True)
class Result:
    """What a run found."""

    options: Options
    violations: list[Violation] = field(default_factory=list)
    messages: int = 0
    tries: int = 0
    unanswered: int = 0
    demanded: int = 0
    effects: int = 0
    requests: int = 0
    states: dict[str, int] = field(default_factory=dict)
    struck: list[dict[str, object]] = field(default_factory=list)
    longest_resume_s: float = 0.0
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations


def plans(options: Options) -> list[SourcePlan]:
    """What is sent and what must come of it: the same for the same seed and number of events."""
    made = []
    for source, share in SHARES.items():
        name = source.__name__.rpartition(".")[2]
        chance = random.Random(f"{options.seed} {name}")
        made.append(source.plan(chance, max(1, round(options.events * share)), f"S{options.seed}", options.seconds))
    if any(faults.CATALOGUE[name].group == "poison" or name == "poison_mapping" for name in options.faults):
        made.append(poison.plan(random.Random(f"{options.seed} poison"), 2, f"S{options.seed}", options.seconds))
    return made


def run(options: Options, folder: Path, say: Callable[[str], None]) -> Result:
    """Carry out one run in an empty folder; `say` is told how it goes. Raises `StageError` when it cannot be played."""
    began = time.monotonic()
    result, told = Result(options), plans(options)
    schedule = faults.schedule(random.Random(f"{options.seed} faults"), options.faults, options.seconds)
    struck = [faults.make(planned) for planned in schedule]
    lines: dict[str, list[str]] = {}
    for plan in told:
        for file, more in plan.site_lines.items():
            lines.setdefault(file, []).extend(more)
    with Stage(folder, options, lines) as stage:
        say(f"the hub is ready: {'PostgreSQL' if options.postgres else 'SQLite'}, seed {options.seed}")
        for ask in (ask for plan in told for ask in plan.seeds):
            stage.control(ask.simulator, ask.path, ask.value)
        messages = [message for plan in told for message in plan.messages]
        until = options.seconds + AFTER_S
        sender = Sender(
            stage.hub_url,
            messages,
            lambda ask: stage.control(ask.simulator, ask.path, ask.value),
            until_s=until,
        )
        striking = _Striking(stage, struck, [one.at_s for one in schedule], say)
        sender.start()
        striking.start()
        _watch(sender, options, say)
        striking.finish()
        sender.wait(until)
        sender.stop()
        stream_ended = time.time()
        say("the stream is over and all faults have ended; the hub comes to rest")
        settled = _settle(stage, say)
        recorded = [one for name in stage.urls for one in stage.recorded(name)]
        verdict = judge(told, sender.log, recorded, timeout_s=TIMEOUT_S, kills=_kills(struck))
        found = compare.compare(stage.database_url, sender.log, recorded)
        result.violations = [*striking.failed, *settled, *verdict.violations, *found.violations, *_unsound(stage)]
        back = resumes(struck, sender.log, recorded, stream_ended)
        result.violations += back.violations
        result.longest_resume_s = back.longest_s
        if result.violations:
            stage.keep_ledger()
        result.states = dict(found.states)
        result.messages, result.tries = len(messages), len(sender.log)
        result.unanswered = verdict.unanswered.total()
        result.demanded, result.effects = verdict.demanded.total(), verdict.found.total()
        result.requests = len(recorded)
    result.struck = [
        {
            "fault": fault.name,
            "at_s": round(planned.at_s, 1),
            "lasted_s": round((fault.ended_at or 0) - (fault.began_at or 0), 1),
            "resumed_s": back.after.get(id(fault)),
        }
        for fault, planned in zip(struck, schedule, strict=True)
    ]
    result.took_s = time.monotonic() - began
    return result


class _Striking(Thread):
    """Begins and ends each fault at its time, in one thread, so that the order is that of the schedule."""

    def __init__(
        self, stage: Stage, struck: Sequence[faults.Fault], begins: Sequence[float], say: Callable[[str], None]
    ) -> None:
        super().__init__(name="faults", daemon=True)
        self._stage, self._struck, self._say = stage, struck, say
        ends = [begin + float(fault.details.get("lasts_s", 0)) for fault, begin in zip(struck, begins, strict=True)]
        todo = [(at, True, number) for number, at in enumerate(begins)]
        todo += [(at, False, number) for number, at in enumerate(ends)]
        self._todo = sorted(todo, key=lambda one: (one[0], not one[1]))
        self._over = Event()
        self.failed: list[Violation] = []

    def run(self) -> None:
        """Strike until all have ended, or `finish` is called."""
        began = time.monotonic()
        for at, begins, number in self._todo:
            if self._over.wait(max(0.0, began + at - time.monotonic())):
                return
            self._do(self._struck[number], begins)

    def finish(self) -> None:
        """End every fault that has not ended."""
        self.join(AFTER_S)
        self._over.set()
        self.join()
        for fault in self._struck:
            if fault.ended_at is None:
                self._do(fault, False)

    def _do(self, fault: faults.Fault, begins: bool) -> None:
        self._say(f"{'begins' if begins else 'ends  '}  {fault.name}")
        try:
            (fault.begin if begins else fault.end)(self._stage)
        except Exception as error:
            # A fault that could not strike is a fault of the run, and none of the hub's; but the run proves less.
            what = f"{fault.name} could not {'begin' if begins else 'end'}: {type(error).__name__}: {error}"
            self.failed.append(Violation("run", what))


def _watch(sender: Sender, options: Options, say: Callable[[str], None]) -> None:
    """Say how far the stream is until it is over."""
    until = time.monotonic() + options.seconds
    next_word = time.monotonic() + _SAY_S
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        if time.monotonic() >= next_word:
            next_word += _SAY_S
            now = sender.progress
            say(f"sent {now.begun:,} of {now.messages:,}, answered {now.taken:,}")


def _unsound(stage: Stage) -> list[Violation]:
    """What `backhaul ledger verify` finds wrong."""
    told = json.loads(stage.cli("ledger", "verify", "--json", check=False))
    return [
        Violation("unsound", f"{check['check']}: {fault['row']} {fault['what']}")
        for check in told["checks"]
        for fault in check["faults"]
    ]


def _kills(struck: Sequence[faults.Fault]) -> list[float]:
    return [fault.began_at for fault in struck if fault.name.startswith("kill_") and fault.began_at is not None]


def _settle(stage: Stage, say: Callable[[str], None]) -> list[Violation]:
    """Wait until nothing is due and nothing happens any more; what is wrong when that does not come."""
    looks, until, next_word = Looks(stage), time.monotonic() + SETTLE_S, time.monotonic() + _SAY_S
    still_since, last, left = time.monotonic(), -1, "the hub does not answer"
    while time.monotonic() < until:
        count, waiting = looks.effects(), looks.waiting()
        open_work = {state: many for state, many in (waiting or {}).items() if state not in _RESTING}
        if waiting is None or count != last or open_work:
            still_since, last = time.monotonic(), count
        elif time.monotonic() - still_since >= (_PARKED_S if waiting.get("parked") else _QUIET_S):
            return []
        if waiting is not None:
            told = ", ".join(f"{many} {state}" for state, many in sorted(open_work.items()))
            left = told or "it goes on changing things"
        if time.monotonic() >= next_word:
            next_word += _SAY_S
            say(f"{left}; {count:,} effects so far")
        time.sleep(0.5)
    return [Violation("rest", f"the hub did not come to rest within {SETTLE_S:.0f} s: {left}")]
