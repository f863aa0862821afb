"""The comparison of the ledger with answers and requests sees whatever does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from chaos.compare import Comparison, compare_ledger
from chaos.plan import Recorded, Try

DUE = "2026-11-22T10:00:00.000Z"


class Ledger:
    """One event and one delivery that are done, and whatever a test changes."""

    def __init__(self) -> None:
        self.event_rows: list[dict[str, Any]] = [self.event("e0")]
        attempt = {
            "kind": "call",
            "operation": "put",
            "step": 0,
            "number": 1,
            "at": "2026-11-22T09:00:10.000Z",
            "took_ms": 12_000,
            "outcome": "delivered",
            "request": {"url": "http://h/things/a%2F1", "headers": {"Idempotency-Key": "dlv_1.0"}, "body": {"n": 1}},
        }
        call = {
            "connection": "store",
            "operation": "put",
            "idempotency_key": "dlv_1.0",
            "step": 0,
            "state": "delivered",
        }
        self.turned_away = 0
        self.rows: list[dict[str, Any]] = [
            {
                "id": "dlv_1",
                "state": "done",
                "due_at": None,
                "because": "",
                "route": "put_it",
                "part": "",
                "object_id": "R-1",
                "attempt_rows": [attempt],
                "calls": [call],
            }
        ]

    def event(self, vendor_id: str, state: str = "done", **more: Any) -> dict[str, Any]:
        made = {"id": f"evt_{vendor_id}", "connection": "shop", "vendor_id": vendor_id, "state": state}
        return {**made, "due_at": None, "because": "", **more}

    def events(self, filters: Mapping[str, str] | None = None, limit: int = 100, /) -> Sequence[dict[str, Any]]:
        return self.event_rows

    def deliveries(self, filters: Mapping[str, str] | None = None, limit: int = 100, /) -> Sequence[dict[str, Any]]:
        return self.rows

    def delivery(self, delivery_id: str, /) -> dict[str, Any] | None:
        return next(row for row in self.rows if row["id"] == delivery_id)

    def counters(self) -> Mapping[tuple[str, str], float]:
        return {("backhaul_fenced_total", "{}"): self.turned_away, ("backhaul_events_total", "{}"): 7.0}


def request(**more: Any) -> Recorded:
    made: dict[str, Any] = {"simulator": "store", "number": 1, "at": 1.0, "ended_at": 1.1, "operation": "put"}
    made |= {"path": "/things/a/1", "headers": {"Idempotency-Key": "dlv_1.0"}, "body": {"n": 1}, "status": 200}
    return Recorded(**{**made, "effect": "put", **more})


def compared(ledger: Ledger, *recorded: Recorded, status: int = 200) -> Comparison:
    return compare_ledger(ledger, [Try("shop", "R-1", "e0", 0.0, 0.1, status)], recorded)


def kinds(ledger: Ledger, *recorded: Recorded, status: int = 200) -> list[str]:
    return [one.kind for one in compared(ledger, *recorded, status=status).violations]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_what_fits_is_no_violation(ledger: Ledger) -> None:
    found = compared(ledger, request())
    assert (found.violations, dict(found.events), dict(found.states)) == ([], {"done": 1}, {"done": 1})


def test_an_answered_event_that_is_not_in_the_ledger_is_seen(ledger: Ledger) -> None:
    ledger.event_rows = []
    assert kinds(ledger, request()) == ["event"]
    assert kinds(ledger, request(), status=503) == []


@pytest.mark.parametrize("state", ["dead", "unknown", "unreadable", "parked"])
def test_an_answered_event_that_was_not_understood_is_seen(ledger: Ledger, state: str) -> None:
    due = {"due_at": DUE, "because": "it says so"} if state == "parked" else {}
    ledger.event_rows = [ledger.event("e0", state, **due)]
    assert kinds(ledger, request()) == ["event"]


def test_an_event_that_is_there_twice_is_seen(ledger: Ledger) -> None:
    ledger.event_rows *= 2
    assert kinds(ledger, request()) == ["event"]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"due_at": DUE}, "due"),
        ({"state": "running", "due_at": DUE}, "running"),
        ({"state": "ready", "due_at": DUE}, "running"),
        ({"state": "parked", "due_at": None, "because": "waits for a number"}, "waiting"),
        ({"state": "waiting", "due_at": DUE, "because": ""}, "waiting"),
    ],
)
def test_a_delivery_that_is_not_at_rest_is_seen(ledger: Ledger, changed: dict[str, Any], kind: str) -> None:
    ledger.rows[0] |= changed
    assert kinds(ledger, request()) == [kind]


def test_what_waits_with_a_reason_and_a_time_is_at_rest(ledger: Ledger) -> None:
    ledger.rows[0] |= {"state": "parked", "due_at": DUE, "because": "order #1 is not known"}
    assert kinds(ledger, request()) == []


def test_an_effect_that_the_ledger_does_not_know_is_seen(ledger: Ledger) -> None:
    other = {"headers": {"Idempotency-Key": "dlv_9.0"}, "body": {"n": 2}}
    assert kinds(ledger, request(), request(number=2, **other)) == ["unkept"]
    assert kinds(ledger, request(), request(number=2, **other, effect="")) == []


def test_an_effect_without_key_is_known_by_its_content(ledger: Ledger) -> None:
    assert kinds(ledger, request(), request(number=2, headers={})) == []
    assert kinds(ledger, request(), request(number=2, headers={}, body={"n": 2})) == ["unkept"]


def test_a_delivered_call_that_no_simulator_saw_is_seen(ledger: Ledger) -> None:
    assert kinds(ledger) == ["unseen"]
    assert kinds(ledger, request(headers={"Idempotency-Key": "dlv_2.0"}, effect="")) == ["unseen"]


def test_an_effect_whose_worker_died_is_known_by_the_probe_that_found_it(ledger: Ledger) -> None:
    ledger.rows[0]["attempt_rows"] = []
    ledger.rows[0]["calls"][0]["idempotency_key"] = ""
    assert kinds(ledger, request(headers={})) == []
    assert kinds(ledger, request(headers={}), request(number=2, headers={})) == ["unkept"]


def test_an_effect_of_what_is_in_doubt_needs_no_row(ledger: Ledger) -> None:
    ledger.rows[0] |= {"state": "in_doubt", "due_at": DUE, "because": "no answer came", "attempt_rows": [], "calls": []}
    found = compared(ledger, request(headers={}))
    assert (found.violations, len(found.in_doubt)) == ([], 1)
    assert kinds(ledger, request(headers={}), request(number=2, headers={}, body={})) == ["unkept"]


def test_what_is_dead_is_told_with_its_reason(ledger: Ledger) -> None:
    ledger.rows[0] |= {"state": "dead", "because": "the target refused it"}
    (dead,) = compared(ledger, request()).dead
    assert "put_it" in dead and "the target refused it" in dead


@pytest.mark.parametrize(
    ("at", "late"),
    [("09:00:21.000Z", True), ("09:00:22.000Z", False), ("09:00:40.000Z", False), ("08:00:21.000Z", False)],
)
def test_a_late_finish_that_was_not_turned_away_is_seen(ledger: Ledger, at: str, late: bool) -> None:
    (first,) = ledger.rows[0]["attempt_rows"]
    ledger.rows[0]["attempt_rows"] = [first, first, first | {"number": 2, "at": f"2026-11-22T{at}", "took_ms": 5}]
    assert kinds(ledger, request()) == ["fence"] * late
    ledger.turned_away = 1
    assert kinds(ledger, request()) == []
