"""Store returns: jobs with versions. Each accepted unit becomes one credit note at the ERP, which is paid once.

Events hold the whole job, and come shuffled, twice, or not at all. The platform is ahead of them: what it shows when
the hub asks again counts. So a unit is paid if and only if the newest version says that it is accepted or refunded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from chaos.plan import Ask, Effect, Message, Recorded, SourcePlan, Violation, effect
from chaos.sources.kit import Times, demo_env, first_number, written
from connectors.fulfillmenttools.samples import build_job, sample_id

_CONNECTION = "fulfillmenttools"
#: From this version on something may be accepted; the platform then shows the newest of all.
_DECIDED, _NEWEST = 500, 1_000
_STATES = ("OPEN", "IN_PROGRESS", "WAITING_FOR_INPUT", "ACCEPTED", "REJECTED", "CANCELED")
_CREDIT, _REFUND, _PATCH = "create_credit_note", "post_refund", "patch_line"


@dataclass(frozen=True, slots=True)
class _Unit:
    """One returned piece, as the newest version shows it."""

    reference: str  # job/return/line
    sku: str
    price: Decimal
    order: str  # the ERP's number
    state: str
    refunded: bool  # a refund was triggered on the platform

    @property
    def paid(self) -> bool:
        """Whether it is paid. What is rejected or cancelled has no refund here: that is for a person to settle."""
        return self.state == "ACCEPTED" or self.refunded

    @property
    def told(self) -> bool:
        """Whether the platform is told of the refund: only where it has none of its own."""
        return self.state == "ACCEPTED" and not self.refunded


def plan(random: Random, count: int, names: str, seconds: float = 60.0) -> SourcePlan:
    """So many messages about jobs, and the credit notes, payments and refunds told that follow."""
    made, times, oracle = SourcePlan("store_returns"), Times(random, seconds), _Oracle()
    number, orders = first_number(names), []
    while (room := count - len(made.messages)) > 0:
        number += 1
        job = _Job(random, names, number)
        row = {"externalNumber": job.order, "number": job.erp, "currency": "EUR"}
        late = random.random() < 0.15
        if not late:
            orders.append(row)
        made.messages += job.messages(times, room, row if late else None)
        oracle.add(job)
    made.seeds = [Ask("erp", "/_sim/seed", {"orders": orders})]
    made.expected, made.needs = oracle.plan.expected, oracle.plan.needs
    made.effect_of, made.owns, made.check = oracle.effect_of, oracle.owns, oracle.check
    return made


class _Job:
    """One item return job and its versions."""

    def __init__(self, random: Random, names: str, number: int) -> None:
        self._random = random
        self.id, self.order = f"{names}-S{number}", f"F-{random.choice(('', '0', '1e', '0x'))}{number}"
        self.erp = random.choice((f"{number:010d}", f"{number}E4", f"S-{number}"))
        self._articles = [
            {"sku": sku, "delivered": 3, "price": random.choice((49.95, 19.9, 12, 0.07))}
            for sku in random.sample(("SHOE-42", "0012345", "1e5", "MUG"), random.randint(1, 2))
        ]
        self._skus = [str(random.choice(self._articles)["sku"]) for _ in range(random.randint(1, 3))]
        weights = (1, 1, 1, 8, 3, 1)
        self._final = random.choices(_STATES, weights, k=len(self._skus))
        self._refunds = [random.random() < 0.2 and state not in ("REJECTED", "CANCELED") for state in self._final]
        #: The events without which nothing is settled.
        self.needs: frozenset[str] = frozenset()

    def units(self) -> list[_Unit]:
        """The pieces, as the newest version shows them."""
        prices = {one["sku"]: Decimal(str(one["price"])).quantize(Decimal("0.01")) for one in self._articles}
        return [
            _Unit(f"{self.id}/{self.id}-r/l{place}", sku, prices[sku], self.erp, state, refunded)
            for place, (sku, state, refunded) in enumerate(zip(self._skus, self._final, self._refunds, strict=True))
        ]

    def messages(self, times: Times, room: int, erp_learns: dict[str, str] | None) -> list[Message]:
        """At most `room` messages, of which one is the newest; the ERP learns the order before the last of them."""
        random = self._random
        versions = [_NEWEST]
        if room > 1:
            early = random.sample(range(1, _DECIDED), random.randint(0, 2))
            late = random.sample(range(_DECIDED, _NEWEST), random.randint(0, 3))
            versions = [*sorted([*early, *late])[-(room - 1) :], _NEWEST]
        events = [(version, self._updated(version)) for version in versions]
        if any(self._refunds) and len(events) < room:
            events.append((_NEWEST, self._triggered()))
        final = next(event["eventId"] for version, event in events if version == _NEWEST)
        if random.random() < 0.5:
            random.shuffle(events)
        # A sender that runs out of time sends the last of them never, and the ERP does not learn of the order.
        self.needs = frozenset({final, events[-1][1]["eventId"]} if erp_learns else {final})
        made, held, at_s = [], 0, times.begin()
        for place, (version, event) in enumerate(events):
            before = []
            # What the platform shows: nothing decided, or the newest. It never goes back.
            if not held or (held < _DECIDED <= version):
                held = _NEWEST if version >= _DECIDED else 1
                before.append(Ask("stores", "/_sim/seed", {"jobs": [self._picture(held)]}))
            if erp_learns and place == len(events) - 1:
                at_s = times.later(at_s, 2, 8)
                before.append(Ask("erp", "/_sim/seed", {"orders": [erp_learns]}))
            body = written(event)
            copies = random.choice((1, 1, 1, 2, 3))
            made.append(Message(_CONNECTION, self.id, event["eventId"], at_s, body, _headers, tuple(before), copies))
            at_s = times.later(at_s)
        return made

    # --- pictures --------------------------------------------------------------------------------

    def _picture(self, version: int) -> dict[str, Any]:
        """The whole job at a version. Before the decisions nothing is accepted; then anything may be, for a while."""
        dice = Random(f"{self.id}/{version}")
        newest = version == _NEWEST
        lines: list[dict[str, Any]] = []
        for unit, state, refunded in zip(self.units(), self._final, self._refunds, strict=True):
            if not newest:
                state = dice.choice(_STATES[:3] if version < _DECIDED else _STATES)
            line: dict[str, Any] = {"id": unit.reference.rpartition("/")[2], "sku": unit.sku, "status": state}
            lines.append(line)
            if refunded and newest:
                price = {"value": float(unit.price), "currency": "EUR"}
                line["refund"] = {"status": "OPEN", "price": price}
        spec = {
            "id": self.id,
            "order": self.order,
            "version": version,
            "articles": self._articles,
            "returns": [{"id": f"{self.id}-r", "status": "FINISHED", "lines": lines}],
        }
        return build_job(spec)

    def _updated(self, version: int) -> dict[str, Any]:
        id_ = sample_id(self.id, "event", str(version))
        return {"event": "ITEM_RETURN_JOB_UPDATED", "payload": self._picture(version), "eventId": id_}

    def _triggered(self) -> dict[str, Any]:
        job = self._picture(_NEWEST)
        item_return = job["itemReturns"][0]
        trigger = {
            "created": job["lastModified"],
            "itemReturnJobRef": job["id"],
            "itemReturnJobVersion": job["version"],
            "itemReturnRef": item_return["id"],
            "tenantOrderId": job["tenantOrderId"],
            "refundedLineItems": [line for line in item_return["returnedLineItems"] if "refund" in line],
        }
        return {"event": "REFUND_TRIGGERED", "payload": trigger, "eventId": sample_id(self.id, "event", "refund")}


class _Oracle:
    """What the ERP and the platform must hold in the end."""

    def __init__(self) -> None:
        self.plan = SourcePlan("store_returns")
        self._units: dict[str, _Unit] = {}

    def add(self, job: _Job) -> None:
        for unit in job.units():
            self._units[unit.reference] = unit
            for wanted, key in (
                (unit.paid, _credited(unit.reference, unit.order, f"{unit.price}", unit.sku)),
                (unit.told, _patched(unit.reference, f"{unit.price}", "CLOSED")),
            ):
                if wanted:
                    self.plan.expected[key] = 1
                    self.plan.needs[key] = job.needs

    def effect_of(self, recorded: Recorded) -> Effect | None:
        """A credit note, or a refund told. A payment names a number that only the ERP gives: `check` judges it."""
        body = recorded.body
        if (recorded.simulator, recorded.operation) == ("erp", _CREDIT) and body["externalReference"] in self._units:
            amounts = {line["amount"] for line in body["lines"]} | {body["total"]}
            lines = [line["sku"] for line in body["lines"]]
            return _credited(body["externalReference"], body["order"], "/".join(sorted(amounts)), "+".join(lines))
        if (recorded.simulator, recorded.operation) == ("stores", _PATCH):
            words = recorded.path.split("/")
            reference = "/".join((words[3], words[5], words[7]))
            if reference in self._units:
                refund = body.get("refund") or {}
                amount = Decimal(str((refund.get("price") or {}).get("value", "0"))).quantize(Decimal("0.01"))
                return _patched(reference, f"{amount}", str(refund.get("status", body.get("status"))))
        return None

    def owns(self, recorded: Recorded) -> bool:
        """Payments. No other source pays through the ERP."""
        return (recorded.simulator, recorded.operation) == ("erp", _REFUND)

    def check(self, recorded: Sequence[Recorded], answered: frozenset[str]) -> list[Violation]:
        """Every credit note is paid exactly once, in full."""
        references = {_number(one): one.body["externalReference"] for one in recorded if one.operation == _CREDIT}
        paid: dict[str, list[str]] = defaultdict(list)
        found = []
        for one in recorded:
            if one.operation == _REFUND:
                number = one.path.split("/")[2]
                paid[references.get(number, number)].append(one.body["amount"])
                if number not in references:
                    found.append(Violation("uncalled", f"{number} was paid, which is of no plan", number, "", "erp"))
        for reference in references.values():
            wanted = [f"{self._units[reference].price}"]
            if len(paid[reference]) > 1 or (paid[reference] != wanted and answered):
                what = f"its credit note was paid with {paid[reference]}, and should have been with {wanted}"
                found.append(Violation("outcome", what, reference, "", "erp"))
        return found


def _credited(reference: str, order: str, amount: str, sku: str) -> Effect:
    return effect(_CREDIT, reference, f"ERP {order}", amount, sku)


def _patched(reference: str, amount: str, state: str) -> Effect:
    return effect(_PATCH, reference, amount, state)


def _number(recorded: Recorded) -> str:
    """The number that the ERP gave a credit note; only its own words tell it."""
    return recorded.effect.rpartition(" as ")[2]


def _headers(_now: datetime) -> dict[str, str]:
    """The vendor signs nothing: a secret in a header tells its messages from others."""
    secret = demo_env("stores", "FULFILLMENTTOOLS_WEBHOOK_SECRET")
    return {"Content-Type": "application/json", "Authorization": secret}
