"""The second check: the ledger against what the senders were answered and what the simulators recorded. It only reads.

Every event that was answered with 2xx is kept once. Nothing final is due, all else says why it waits and when it is
looked at again, nobody works any more. Every effect is known to the ledger, and every call that the ledger calls
delivered reached a simulator. What a worker says of work that it had lost to another one was turned away.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from app import bootstrap
from app.core.counting import FENCED
from app.core.times import parse_time
from app.model import FINAL_DELIVERY_STATES, FINAL_EVENT_STATES
from chaos.judge import SESSIONS
from chaos.plan import Recorded, Try, Violation

#: More rows than any run makes.
_ALL = 1_000_000
#: Moments are kept to the millisecond; a clock that jumps does so by an hour. In seconds.
_ROUNDED_S, _JUMP_S = 0.1, 1_800.0
#: States of an event that nobody meant to send.
_BAD_EVENTS = frozenset({"dead", "unknown", "unreadable", "parked"})

Row = Mapping[str, Any]


class LedgerToRead(Protocol):
    """What is read of a ledger: `app.bootstrap.ledger` gives one."""

    def events(self, filters: Mapping[str, str] | None = None, limit: int = 100, /) -> Sequence[Row]:
        """The newest events."""

    def deliveries(self, filters: Mapping[str, str] | None = None, limit: int = 100, /) -> Sequence[Row]:
        """The newest deliveries."""

    def delivery(self, delivery_id: str, /) -> Row | None:
        """A delivery with its calls and tries."""

    def counters(self) -> Mapping[tuple[str, str], float]:
        """What was counted: {(name, labels): value}."""


@dataclass(slots=True)
class Comparison:
    """What the ledger holds in the end, and what is wrong with it."""

    violations: list[Violation] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)  # by state
    states: Counter[str] = field(default_factory=Counter)  # deliveries by state
    #: What nobody looks at any more by itself, with its reason: for whoever judges the run to say if that was meant.
    dead: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)


def compare(database_url: str, tries: Sequence[Try], recorded: Sequence[Recorded]) -> Comparison:
    """Compare with the ledger at this URL. Everything must have come to rest.

    The requests must be all that were made in the ledger's life. Raises `ConfigError`, `LedgerUnavailable`.
    """
    ledger = bootstrap.ledger(bootstrap.settings({"DATABASE_URL": database_url}))
    try:
        return compare_ledger(ledger, tries, recorded)
    finally:
        ledger.close()


def compare_ledger(ledger: LedgerToRead, tries: Sequence[Try], recorded: Sequence[Recorded]) -> Comparison:
    """The same with a ledger that is open."""
    found = Comparison()
    events, deliveries = ledger.events({}, _ALL), ledger.deliveries({}, _ALL)
    found.events = Counter(str(row["state"]) for row in events)
    found.states = Counter(str(row["state"]) for row in deliveries)
    found.violations += kept_once(events, tries)
    found.violations += at_rest("event", events, FINAL_EVENT_STATES)
    found.violations += at_rest("delivery", deliveries, FINAL_DELIVERY_STATES)
    for row in deliveries:
        told = f"{row['id']} ({row['route']} {row['part']} of {row['object_id']}): {row['because']}"
        if row["state"] == "dead":
            found.dead.append(told)
        if row["state"] == "in_doubt":
            found.in_doubt.append(told)
    whole = [one for row in deliveries if (one := ledger.delivery(str(row["id"]))) is not None]
    found.violations += same_calls(whole, recorded)
    turned_away = sum(value for (name, _), value in ledger.counters().items() if name == FENCED)
    found.violations += late_finishes(whole, int(turned_away))
    return found


def kept_once(events: Iterable[Row], tries: Iterable[Try]) -> Iterator[Violation]:
    """Every event answered with 2xx is there exactly once, and was understood."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in events:
        rows[str(row["connection"]), str(row["vendor_id"])].append(row)
    answered = {(one.source, one.event_id): one for one in tries if one.taken}
    for key, one in answered.items():
        kept = rows.get(key, [])
        if len(kept) != 1:
            what = f"it was answered with {one.status} and is {len(kept)} times in the ledger"
            yield Violation("event", what, one.object_id, one.event_id)
        for row in kept:
            if row["state"] in _BAD_EVENTS:
                what = f"{row['id']} is {row['state']}: {row['because']}"
                yield Violation("event", what, one.object_id, one.event_id)


def at_rest(what: str, rows: Iterable[Row], final: frozenset[str]) -> Iterator[Violation]:
    """Nothing final is due, nothing is being worked on, all else has a time and a reason."""
    for row in rows:
        name, state = f"{what} {row['id']} is {row['state']}", str(row["state"])
        about = {"object_id": str(row.get("object_id", "")), "event_id": str(row.get("vendor_id", ""))}
        if state in final:
            if row["due_at"] is not None:
                yield Violation("due", f"{name}, and due at {row['due_at']}", **about)
        elif state in ("running", "ready", "received"):
            yield Violation("running", f"{name} in the end, due at {row['due_at']}", **about)
        elif row["due_at"] is None:
            yield Violation("waiting", f"{name}, and nobody will look at it again", **about)
        elif not row["because"]:
            yield Violation("waiting", f"{name} and does not say why", **about)


def same_calls(deliveries: Sequence[Row], recorded: Sequence[Recorded]) -> Iterator[Violation]:
    """Every effect at a simulator is of a call in the ledger, and every delivered call was seen by a simulator."""
    seen: Counter[str] = Counter()
    for one in recorded:
        seen.update({_by_key(one.key), _by_content(one.path, one.body)})
    keys: set[str] = set()
    contents: set[str] = set()
    # Of these the last request may have left no row: its worker was killed before it could write one.
    open_ = {str(one["id"]): one for one in deliveries if one["state"] in ("in_doubt", "dead")}
    doubtful = sum(1 for one in open_.values() if one["state"] == "in_doubt")
    probed: Counter[str] = Counter()
    for delivery in deliveries:
        tries = [one for one in delivery["attempt_rows"] if one["kind"] == "call"]
        for one in tries:
            contents.add(_content(one))
            keys.add(_by_key(_key(one)))
        for call in delivery["calls"]:
            keys.add(_by_key(str(call["idempotency_key"])))
            if call["state"] != "delivered":
                continue
            made = [one for one in tries if one["step"] == call["step"] and one["outcome"] == "delivered"]
            if not made:
                # A probe found it: the worker that made the call was killed, or got no answer.
                probed[_end_point(str(call["operation"]))] += 1
            elif not any(_was_seen(one, seen) for one in made):
                what = (
                    f"delivery {delivery['id']} says that {call['connection']}.{call['operation']} was delivered, "
                    f"and no simulator saw the request"
                )
                yield Violation("unseen", what, str(delivery["object_id"]))
    for one in recorded:
        if not one.effect or one.operation in SESSIONS:
            continue
        if one.key and _by_key(one.key) in keys:
            continue
        if _by_content(one.path, one.body) in contents:
            continue
        if one.key.split(".")[0] in open_:
            continue
        if not one.key and probed[one.operation]:
            probed[one.operation] -= 1
            continue
        if not one.key and doubtful:
            doubtful -= 1
            continue
        what = f"request {one.number} ({one.operation}) had an effect, and the ledger knows no call of it: {one.effect}"
        yield Violation("unkept", what, one.path, "", one.simulator)


def late_finishes(deliveries: Iterable[Row], turned_away: int) -> Iterator[Violation]:
    """A try that ended after the next one had begun is of a worker that had lost its lease: what it said of the
    delivery was turned away.

    `turned_away` is how often the hub did that. Among them may be some that wrote no try.
    """
    late = [(delivery, number) for delivery in deliveries for number in _overtaken(delivery["attempt_rows"])]
    for delivery, number in late[turned_away:]:
        what = f"try {number} of delivery {delivery['id']} ended after the next one began, and counted all the same"
        yield Violation("fence", what, str(delivery["object_id"]))


def _overtaken(tries: Iterable[Row]) -> set[int]:
    """The numbers of the tries that ended after one with a higher number had begun."""
    spans = []
    for one in tries:
        began = parse_time(str(one["at"])).timestamp()
        spans.append((int(one["number"]), began, began + float(one["took_ms"]) / 1000))
    return {
        number
        for number, _, ended in spans
        for other, began, _ in spans
        # More than that, and a clock was put back in between.
        if other > number and _ROUNDED_S < ended - began < _JUMP_S
    }


def _was_seen(attempt: Row, seen: Counter[str]) -> bool:
    key = _key(attempt)
    return bool(seen[_by_key(key) if key else _content(attempt)])


def _key(attempt: Row) -> str:
    headers = attempt["request"].get("headers") or {}
    return next((str(value) for name, value in headers.items() if name.lower() == "idempotency-key"), "")


def _content(attempt: Row) -> str:
    path = unquote(urlsplit(str(attempt["request"]["url"])).path)
    return _by_content(path, attempt["request"].get("body"))


def _end_point(operation: str) -> str:
    # One that may be repeated is another operation of the hub, and the same end point.
    return operation.removesuffix("_repeatable")


def _by_key(key: str) -> str:
    return f"key {key}"


def _by_content(path: str, body: Any) -> str:
    """Path and body, whatever the operation: one end point may be several operations of the hub."""
    return f"content {path} {json.dumps(_plain(body), sort_keys=True)}"


def _plain(value: Any) -> Any:
    """As both sides can write it: the ledger keeps every digit of a number, JSON readers do not."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    return float(value)
