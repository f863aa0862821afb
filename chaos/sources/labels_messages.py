"""The messages of one return of the returns platform, and what the platform holds when each of them is sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Any

from chaos.plan import Ask, Message
from chaos.sources.kit import Times, demo_env, moment, signed, written
from chaos.sources.labels_oracle import Told
from connectors.returnista.samples import build_return_order

_CONNECTION = "returnista_eu"
_EXPANSIONS = ("consumer", "shipments", "returnRequests")


@dataclass(slots=True)
class _Step:
    """The platform holds a new state of the return, and sends an event about it."""

    version: int
    event: str
    parcel: int = -1  # -1: the return order itself
    learns: bool = False  # the ERP learns the late orders just before


class Story:
    """What happens to one return, step by step."""

    def __init__(self, random: Random, told: Told, parcels: int, fate: str, times: Times, room: int) -> None:
        self._random, self._told, self._times = random, told, times
        self._parcels: list[dict[str, Any]] = []  # in the order of their numbers, as of the newest state
        self._states: list[dict[str, Any]] = []
        self._steps: list[_Step] = []
        for number in range(parcels):
            if number == 0 and fate in ("relabelled", "unlabelled"):
                self._label(number, error="ADDRESS_REJECTED")
            if fate != "unlabelled":
                self._label(number)
            if fate == "voided" and number == parcels - 1:
                self._label(number, error="LABEL_VOIDED")
                self._label(number)
        self._ends(fate)
        # Told again at a later time: news of the object, but nothing that anybody acts upon.
        while len(self._steps) < room and fate != "unlabelled" and random.random() < 0.15:
            self._again("shipment.label_created", random.randrange(parcels))
        if len(self._steps) > room:
            raise AssertionError(f"{told.name} has {len(self._steps)} messages, there is room for {room}")
        self.event_ids: frozenset[str] = frozenset(self._event(step)[0] for step in self._steps)

    @property
    def tracking_numbers(self) -> frozenset[str]:
        """The tracking numbers of all parcels that have a label in the end."""
        shipments = self._order(len(self._states))["shipments"]
        return frozenset(one["trackingNumber"] for one in shipments if one["trackingNumber"])

    def messages(self, asked: dict[str, list[dict[str, str]]]) -> list[Message]:
        """All messages, in the order in which they are sent."""
        steps = list(self._steps)
        if len(steps) > 1 and self._random.random() < 0.3:
            self._random.shuffle(steps)
        made: list[Message] = []
        held, at_s = 0, self._times.begin()
        for step in steps:
            before: list[Ask] = []
            # The platform never goes back: an event that comes late is about what was.
            if step.version > held:
                held = step.version
                before.append(Ask("platform", "/_sim/seed", {"build": [self._states[held - 1]]}))
            if step.learns:
                at_s = self._times.later(at_s, 2, 8)
                before.append(Ask("erp", "/_sim/seed", {"orders": asked["later"]}))
            event_id, body = self._event(step)
            copies = self._random.choice((1, 1, 1, 1, 2, 3))
            headers = signed(_scheme(), body)
            made.append(
                Message(_CONNECTION, self._told.name, event_id, at_s, body, headers, tuple(before), copies=copies)
            )
            at_s = self._times.later(at_s)
        return made

    # --- steps -----------------------------------------------------------------------------------

    def _label(self, number: int, error: str = "") -> None:
        version = len(self._states) + 1
        parcel = {
            "id": f"{self._told.name}-p{number + 1}",
            "updated_at": moment(version),
            **({"error": error} if error else {}),
        }
        self._parcels[number:] = [parcel]
        self._add("shipment.label_created", number)

    def _ends(self, fate: str) -> None:
        if fate == "cancelled":
            self._add("return_order.completed", status="Cancelled")
        if fate == "late":
            self._again("shipment.received_tracking_updates", 0)
            self._steps[-1].learns = True

    def _again(self, event: str, number: int) -> None:
        self._parcels[number] = {**self._parcels[number], "updated_at": moment(len(self._states) + 1)}
        status = self._states[-1]["status"]
        self._add(event, number, status=status)

    def _add(self, event: str, parcel: int = -1, status: str = "Confirmed") -> None:
        version = len(self._states) + 1
        self._states.append(
            {
                "id": self._told.name,
                "status": status,
                "updated_at": moment(version),
                "lines": self._told.lines,
                "parcels": list(self._parcels),
            }
        )
        self._steps.append(_Step(version, event, parcel))

    # --- what is sent ----------------------------------------------------------------------------

    def _order(self, version: int) -> dict[str, Any]:
        return build_return_order(self._states[version - 1])

    def _event(self, step: _Step) -> tuple[str, bytes]:
        """The vendor's id of a step's event, and its bytes."""
        order = self._order(step.version)
        if step.parcel < 0:
            data = {key: value for key, value in order.items() if key not in _EXPANSIONS}
        else:
            data = order["shipments"][step.parcel]
        # The connector's own rule, for the vendor gives its messages no ids.
        told = "|".join((step.event, data["id"], data["updatedAt"]))
        return hashlib.sha256(told.encode()).hexdigest(), written({"event": step.event, "data": data})


def _scheme() -> dict[str, Any]:
    secret = demo_env("platform", "RETURNISTA_WEBHOOK_SECRET")
    return {"scheme": "hmac_sha256", "header": "X-Signature", "encoding": "hex", "secrets": [secret]}
