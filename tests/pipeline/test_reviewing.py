"""Review: an answer that a person has to judge. Nothing is sent until somebody says so."""

from __future__ import annotations

import pytest

from tests.pipeline.calls_kit import CallsHub


def reviewed(hub: CallsHub) -> str:
    """Let a change of the job be answered with something for its owner; the delivery's id."""
    hub.targets.say("/changes/", 422, {"version": 2})
    return hub.register()


def test_an_answer_for_a_person_parks_the_delivery_with_what_to_do(calls_hub: CallsHub) -> None:
    delivery = reviewed(calls_hub)
    row = calls_hub.row()
    assert (row["state"], row["step"], row["fault"]) == ("parked", 1, "data")
    assert row["because"].startswith("its owner has to look at it; look at it, then")
    assert f"backhaul retry {delivery}" in row["because"] and f"backhaul resolve {delivery}" in row["because"]
    assert calls_hub.attempts()[-1]["outcome"] == "review"


def test_nothing_is_sent_while_nobody_has_looked(calls_hub: CallsHub) -> None:
    reviewed(calls_hub)
    before = calls_hub.row()["because"]
    for _ in range(5):
        calls_hub.later(100_000)
    assert calls_hub.state == "parked" and calls_hub.row()["because"] == before
    assert calls_hub.calls().count("PATCH /changes/R-1") == 1


@pytest.mark.parametrize("sending", [True, False])
def test_a_worker_killed_while_it_waits_for_a_person_sends_nothing(calls_hub: CallsHub, sending: bool) -> None:
    reviewed(calls_hub)
    calls_hub.clock.move(100_000)
    calls_hub.die(sending=sending)
    calls_hub.later(61)
    assert calls_hub.state == "parked"
    assert calls_hub.calls().count("PATCH /changes/R-1") == 1


def test_retry_sends_again_and_goes_on(calls_hub: CallsHub) -> None:
    delivery = reviewed(calls_hub)
    assert calls_hub.ledger.retry([delivery], "test") == [delivery]
    calls_hub.run()
    assert calls_hub.state == "done"
    assert calls_hub.calls().count("PATCH /changes/R-1") == 2
    # The target would answer the old key as before.
    assert [body["key"] for body in calls_hub.bodies("/changes")] == [f"{delivery}.1", f"{delivery}.1.1"]


def test_resolved_as_delivered_it_goes_on_with_the_answer_that_was_judged(calls_hub: CallsHub) -> None:
    delivery = reviewed(calls_hub)
    assert calls_hub.ledger.resolve(delivery, "delivered", "test", next_lane="notes")
    calls_hub.run()
    assert calls_hub.state == "done"
    assert calls_hub.calls().count("PATCH /changes/R-1") == 1
    assert calls_hub.bodies("/notes") == [{"return": "R-1", "seen": "open", "changed": "not changed"}]


def test_resolved_as_dead_it_ends_and_retry_still_wakes_it(calls_hub: CallsHub) -> None:
    delivery = reviewed(calls_hub)
    assert calls_hub.ledger.resolve(delivery, "dead", "test")
    assert calls_hub.state == "dead"
    calls_hub.ledger.retry([delivery], "test")
    calls_hub.run()
    assert calls_hub.state == "done"


def test_resolved_as_to_be_sent_it_is_sent(calls_hub: CallsHub) -> None:
    delivery = reviewed(calls_hub)
    assert calls_hub.ledger.resolve(delivery, "retry", "test")
    calls_hub.run()
    assert calls_hub.state == "done" and calls_hub.calls().count("PATCH /changes/R-1") == 2


def test_what_waits_for_a_number_is_not_for_a_person_to_settle(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/orders", {"numbers": []})
    parked = """
mapping: return.to_acme_change
references: {order: {kind: order, from: store, to: erp, id: "{{ return.id }}"}}
args: {id: "{{ refs.order }}"}
"""
    calls_hub.write({"mappings/return.to_acme_change.yaml": parked})
    delivery = calls_hub.register()
    assert calls_hub.state == "parked"
    assert not calls_hub.ledger.resolve(delivery, "delivered", "test")
