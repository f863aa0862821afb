"""What must come of labels: derived from config/routes.yaml and the documents of the simulated warehouse, not the hub.

What is exact, and what may be one of several histories:

* Announcements are exact: one for each order of a return that has a label, whatever the order of events. An order that
  the ERP has twice is never announced, nor is anything that follows for it.
* How many parcels an announcement names depends on what the platform showed when the hub asked it, which is after the
  event. Each further parcel is then told by one update for each order. So the sum is exact: an announcement and its
  updates, in order, never name fewer parcels than before, and the last of them names all.
* A return that is cancelled before the hub first read it was never announced, and needs no cancellation. If it was
  announced, it was cancelled after that, once. Announced and never cancelled is wrong: somebody would wait for goods.
  Parcels that became known together with the cancellation, or after it, need not be told.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chaos.plan import Effect, Recorded, Violation, effect

_ANNOUNCE, _TRACK, _CANCEL = "announce_return", "update_tracking", "cancel_return"


@dataclass(slots=True)
class Told:
    """One return as it is told, whatever happens to it."""

    name: str
    orders: list[str]
    lines: list[dict[str, Any]]  # order, sku, quantity
    erp: dict[str, str]  # the ERP's number of each order
    cancelled: bool = False
    labelled: bool = True
    poison: bool = False  # whoever announces it dies: it may be there, or not
    late: set[str] = field(default_factory=set)  # orders that the ERP learns later
    conflicts: set[str] = field(default_factory=set)  # orders that the ERP has twice

    def announcement(self, order: str) -> Effect:
        """The announcement of one of its orders: equal articles are one line, in the order of their names."""
        counted: Counter[str] = Counter()
        for line in self.lines:
            if line["order"] == order:
                counted[line["sku"]] += line["quantity"]
        return _announced(f"{self.name}/{order}", self.name, order, self.erp[order], counted)


class _Story(Protocol):
    event_ids: frozenset[str]

    @property
    def tracking_numbers(self) -> frozenset[str]: ...


@dataclass(slots=True)
class _Known:
    told: Told
    order: str
    parcels: frozenset[str]
    needs: frozenset[str]


class Oracle:
    """What the warehouse must hold in the end."""

    def __init__(self) -> None:
        self.expected: Counter[Effect] = Counter()
        self.needs: dict[Effect, frozenset[str]] = {}
        self._known: dict[str, _Known] = {}  # by RMA number
        self._names: set[str] = set()

    def add(self, told: Told, story: _Story) -> None:
        """Learn one return."""
        self._names.add(told.name)
        for order in told.orders:
            self._known[f"{told.name}/{order}"] = _Known(told, order, story.tracking_numbers, story.event_ids)
            if told.labelled and not told.cancelled and not told.poison and order not in told.conflicts:
                key = told.announcement(order)
                self.expected[key] = 1
                self.needs[key] = story.event_ids

    def effect_of(self, recorded: Recorded) -> Effect | None:
        """The announcement that a request was, unless it is one that may or may not be there."""
        if recorded.operation != _ANNOUNCE or not self.owns(recorded):
            return None
        known = self._known.get(_rma(recorded))
        return None if known and (known.told.cancelled or known.told.poison) else _read(recorded)

    def rank_of(self, recorded: Recorded) -> tuple[str, int] | None:
        """Of one RMA number: first the announcement, then ever more parcels."""
        if recorded.operation not in (_ANNOUNCE, _TRACK) or not self.owns(recorded):
            return None
        return _rma(recorded), len(_parcels(recorded)) + (0 if recorded.operation == _ANNOUNCE else 1_000)

    def owns(self, recorded: Recorded) -> bool:
        """Whether a request is about one of these returns."""
        if recorded.simulator != "warehouse" or recorded.operation not in (_ANNOUNCE, _TRACK, _CANCEL):
            return False
        return _rma(recorded).split("/", 1)[0] in self._names

    def check(self, recorded: Sequence[Recorded], answered: frozenset[str]) -> list[Violation]:
        """What is wrong with parcels and cancellations; announcements of what goes on are judged exactly."""
        by_rma: dict[str, list[Recorded]] = defaultdict(list)
        for one in recorded:
            by_rma[_rma(one)].append(one)
        found = [fault for rma, made in by_rma.items() for fault in self._faults(rma, made, answered)]
        found += self._halves(by_rma, answered)
        return [Violation("outcome", what, object_id=rma, simulator="warehouse") for rma, what in found]

    def _halves(self, by_rma: dict[str, list[Recorded]], answered: frozenset[str]) -> Iterator[tuple[str, str]]:
        """A return that is cancelled is announced with all its orders, or with none."""
        for rma, known in self._known.items():
            if known.told.cancelled and rma not in by_rma and known.needs <= answered:
                others = [f"{known.told.name}/{order}" for order in known.told.orders]
                if any(other in by_rma for other in others):
                    yield rma, "other orders of its return were announced before it was cancelled, and this was not"

    def _faults(self, rma: str, made: list[Recorded], answered: frozenset[str]) -> Iterator[tuple[str, str]]:
        known = self._known.get(rma)
        if known is None:
            yield rma, "no return has an order of this number"
            return
        announced = [one for one in made if one.operation == _ANNOUNCE]
        updates = [one for one in made if one.operation == _TRACK]
        cancels = [one for one in made if one.operation == _CANCEL]
        complete = known.needs <= answered
        if announced and announced[0] is not made[0]:
            yield rma, f"{made[0].operation} took effect before the announcement"
        for one in made:
            if one.operation != _CANCEL and (strange := _parcels(one) - known.parcels):
                yield rma, f"{one.operation} names parcels that are not its own: {sorted(strange)}"
        yield from ((rma, what) for what in _cancelled(known, announced, cancels, complete))
        if known.told.poison and [_read(one) for one in announced] not in ([], [known.told.announcement(known.order)]):
            yield rma, f"announced {len(announced)} times or otherwise than it should be"
        if known.told.cancelled:
            if len(updates) > max(0, len(known.parcels) - 1) or (updates and not announced):
                yield rma, f"{len(updates)} updates were made for {len(known.parcels)} parcels"
        elif announced and complete:
            missing = known.parcels - _parcels(announced[0])
            if len(updates) != len(missing):
                yield (
                    rma,
                    f"{len(missing)} parcels came after the announcement, and {len(updates)} updates were made",
                )
            last = [one for one in made if one.operation != _CANCEL][-1]
            if _parcels(last) != known.parcels:
                yield rma, f"the warehouse knows parcels {sorted(_parcels(last))}, not {sorted(known.parcels)}"
        elif updates and not announced:
            yield rma, "its tracking numbers were told and it was never announced"


def _cancelled(known: _Known, announced: list[Recorded], cancels: list[Recorded], complete: bool) -> Iterator[str]:
    if not known.told.cancelled:
        if cancels:
            yield "it was cancelled at the warehouse, and nobody asked for that"
        return
    if [_read(one) for one in announced] not in ([], [known.told.announcement(known.order)]):
        yield f"announced {len(announced)} times or otherwise than it should be: {[one.body for one in announced]}"
    if cancels and not announced:
        yield "cancelled, and never announced"
    if len(cancels) > 1:
        yield f"cancelled {len(cancels)} times"
    if announced and not cancels and complete:
        yield "it was announced, its cancellation was accepted, and the warehouse still expects it"
    if any(one.body.get("reason") != "CANCELLED" for one in cancels):
        yield "cancelled for another reason than it was"


def _rma(recorded: Recorded) -> str:
    if recorded.operation == _ANNOUNCE:
        return str(recorded.body.get("rmaNumber", ""))
    # /returns/<rma>/tracking or /returns/<rma>/cancel; an RMA number may hold slashes.
    return recorded.path.removeprefix("/returns/").rsplit("/", 1)[0]


def _parcels(recorded: Recorded) -> frozenset[str]:
    return frozenset(one["trackingNumber"] for one in recorded.body.get("parcels", ()))


def _read(recorded: Recorded) -> Effect:
    body = recorded.body
    counted: Counter[str] = Counter()
    for line in body["lines"]:
        counted[line["sku"]] += line["quantity"]
    return _announced(body["rmaNumber"], body["returnId"], body["shopOrder"], body.get("salesOrder", ""), counted)


def _announced(rma: str, name: str, order: str, erp: str, counted: Counter[str]) -> Effect:
    lines = [f"{sku} x{quantity}" for sku, quantity in sorted(counted.items())]
    return effect(_ANNOUNCE, rma, name, order, f"ERP {erp}", json.dumps(lines))
