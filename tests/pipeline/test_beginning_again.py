"""Restart: somebody else was faster, so the delivery begins again at its first call, as the schedule allows."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.calls_kit import CallsHub, Vendor

GET_AND_CHANGE = (
    "{to: jobs.get_job, mapping: return.to_acme_job}",
    """{to: jobs.change_job, mapping: return.to_acme_change, when: "{{ answers[0].state == 'open' }}"}""",
)


FIRST_NOTE = """
mapping: return.to_acme_first_note
body: {return: "{{ return.id }}"}
"""
FOUND = """
mapping: return.to_acme_found
args: {id: "{{ return.id }}"}
body: {version: "{{ answers[1].version }}", note: "{{ answers[0].id }}"}
"""


def run_out(hub: CallsHub) -> None:
    """Let time pass until nothing of the only delivery is due any more."""
    for _ in range(50):
        if hub.row()["due_at"] is None:
            return
        hub.later(3600)
    raise AssertionError("it goes on for ever")


def test_a_newer_version_is_read_again_and_changed(calls_hub: CallsHub) -> None:
    vendor = Vendor()
    vendor.others = 1
    calls_hub.meets(vendor)
    calls_hub.register()
    row = calls_hub.row()
    assert (row["state"], row["step"], row["lane"]) == ("waiting", 0, "jobs")
    assert row["because"] == "begins again: somebody else changed it"
    calls_hub.later(10)
    assert calls_hub.state == "done"
    assert [body["version"] for body in calls_hub.bodies("/changes")] == [1, 2]
    assert vendor.did == ["change", "note"]


def test_when_decides_anew_after_what_somebody_else_did(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/jobs/", {"state": "open", "version": 1}, {"state": "closed", "version": 2})
    calls_hub.targets.say("/changes/", 409)
    calls_hub.register()
    calls_hub.later(10)
    assert calls_hub.state == "done"
    assert calls_hub.bodies("/notes") == [{"return": "R-1", "seen": "closed", "changed": "not changed"}]


def test_a_delivery_that_begins_again_and_again_ends_dead_with_its_tries_counted(calls_hub: CallsHub) -> None:
    calls_hub.write({"config/hub.yaml": "hub: {retry: {first: 1m, longest: 1h, give_up_after: 8h}}\n"})
    calls_hub.targets.say("/changes/", 409)
    calls_hub.register()
    run_out(calls_hub)
    assert calls_hub.state == "dead"
    tries = calls_hub.calls().count("PATCH /changes/R-1")
    assert calls_hub.row()["because"] == f"gave up after {tries} tries: begins again: somebody else changed it"
    assert calls_hub.calls().count("GET /jobs/R-1") == tries


@given(others=st.integers(0, 100), lost=st.integers(0, 2))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_loop_of_restarts_is_bounded_whatever_others_do(
    losing: tuple[CallsHub, Vendor], others: int, lost: int
) -> None:
    hub, vendor = losing
    vendor.reset(others=others, lost=lost)
    return_id = hub.tell()
    hub.run()
    for _ in range(40):
        if hub.row(return_id)["due_at"] is None:
            break
        hub.later(3600)
    # Some tries at once, then one an hour: never as many as others change the job.
    assert hub.calls().count(f"PATCH /changes/{return_id}") <= 20
    state = hub.row(return_id)["state"]
    assert (state, vendor.did) in [("done", ["change", "note"]), ("dead", [])]


@pytest.fixture
def losing(calls_hub: CallsHub) -> tuple[CallsHub, Vendor]:
    """A hub that gives up after some hours, with a vendor whose first answers may be lost."""
    vendor = Vendor()
    calls_hub.write({"config/hub.yaml": "hub: {retry: {first: 1m, longest: 1h, give_up_after: 6h}}\n"})
    calls_hub.can_look()
    calls_hub.meets(vendor)
    return calls_hub, vendor


def test_a_call_of_unknown_effect_is_looked_for_before_it_is_sent_after_a_restart(calls_hub: CallsHub) -> None:
    calls_hub.can_look()
    open_job, changed = {"state": "open", "version": 1}, {"state": "changed", "version": 2}
    # Read, sent and lost, looked for and not there, sent and refused; then begun again: it was there after all.
    calls_hub.route(*(call.split(", when")[0] + "}" if "when" in call else call for call in GET_AND_CHANGE))
    calls_hub.targets.say("/jobs/", open_job, open_job, changed, changed)
    calls_hub.targets.say("/changes/", "lost", 409)
    calls_hub.register()
    for _ in range(4):
        calls_hub.later(10)
    kinds = [(row["kind"], row["step"], row["outcome"]) for row in calls_hub.attempts()]
    assert kinds == [
        ("call", 0, "delivered"),
        ("call", 1, "in_doubt"),
        ("probe", 1, "delivered"),
        ("call", 1, "restart"),
        ("call", 0, "delivered"),
        ("probe", 1, "delivered"),
    ]
    assert calls_hub.state == "done"


def test_what_had_its_effect_before_a_restart_is_not_done_again(calls_hub: CallsHub) -> None:
    calls_hub.write(
        {"mappings/return.to_acme_first_note.yaml": FIRST_NOTE, "mappings/return.to_acme_found.yaml": FOUND}
    )
    calls_hub.route(
        "{to: notes.leave_note, mapping: return.to_acme_first_note}",
        "{to: jobs.find_job, mapping: return.to_acme_first_note}",
        "{to: jobs.change_job, mapping: return.to_acme_found}",
    )
    calls_hub.targets.say("/searches", {"version": 7}, {"version": 8})
    calls_hub.targets.say("/changes/", 409, {"version": 9})
    calls_hub.register()
    calls_hub.later(10)
    assert calls_hub.state == "done"
    assert calls_hub.calls().count("POST /notes") == 1
    # A search changes nothing: it is made anew.
    assert calls_hub.bodies("/changes") == [{"version": 7, "note": "n-1"}, {"version": 8, "note": "n-1"}]


def test_a_call_made_before_a_restart_and_not_wanted_after_it_is_still_never_made_twice(calls_hub: CallsHub) -> None:
    calls_hub.write({"mappings/return.to_acme_first_note.yaml": FIRST_NOTE})
    calls_hub.route(
        "{to: jobs.get_job, mapping: return.to_acme_job}",
        """{to: notes.leave_note, mapping: return.to_acme_first_note, when: "{{ answers[0].state == 'open' }}"}""",
        "{to: jobs.change_job, mapping: return.to_acme_change}",
    )
    states = ("open", "closed", "open")
    calls_hub.targets.say("/jobs/", *({"state": state, "version": at} for at, state in enumerate(states)))
    calls_hub.targets.say("/changes/", 409, 409, {"version": 9})
    calls_hub.register()
    calls_hub.later(10)
    calls_hub.later(20)
    assert calls_hub.state == "done"
    assert [body["version"] for body in calls_hub.bodies("/changes")] == [0, 1, 2]
    assert calls_hub.calls().count("POST /notes") == 1


def test_a_refused_call_goes_out_again_under_a_new_key_where_the_target_takes_keys(calls_hub: CallsHub) -> None:
    calls_hub.route(
        "{to: jobs.get_job, mapping: return.to_acme_job}",
        "{to: jobs.order_job, mapping: return.to_acme_change}",
    )
    calls_hub.targets.say("/orders/", 503, 409, {"version": 2})
    delivery = calls_hub.register()
    for _ in range(3):
        calls_hub.later(30)
    assert calls_hub.state == "done"
    keys = [request.idempotency_key for request in calls_hub.targets.sent("/orders/")]
    assert keys == [f"{delivery}.1", f"{delivery}.1", f"{delivery}.1.1"]
    assert [body["key"] for body in calls_hub.bodies("/orders/")] == keys


def test_a_late_worker_writes_nothing_over_a_delivery_that_began_again(calls_hub: CallsHub) -> None:
    calls_hub.registered()
    calls_hub.live()
    (late,) = calls_hub.deliverer.claim("jobs", 1, 60, "late")
    slow = calls_hub.deliverer.deliver(late)
    calls_hub.can_look()
    calls_hub.targets.say("/changes/", 409)
    calls_hub.later(61)
    assert (calls_hub.state, calls_hub.row()["step"]) == ("waiting", 0)
    calls_hub.deliverer.commit("late", [slow])
    assert (calls_hub.state, calls_hub.row()["step"]) == ("waiting", 0)


def test_a_call_of_unknown_effect_that_is_not_wanted_for_a_while_is_still_looked_for(calls_hub: CallsHub) -> None:
    calls_hub.can_look()
    calls_hub.route(*GET_AND_CHANGE, "{to: jobs.order_job, mapping: return.to_acme_change}")
    calls_hub.targets.say("/changes/", "lost", 409)
    calls_hub.targets.say("/orders/", 409)
    reads = [("open", 1), ("open", 1), ("closed", 2), ("open", 3), ("changed", 4)]
    calls_hub.targets.say("/jobs/", *({"state": state, "version": version} for state, version in reads))
    calls_hub.register()
    for _ in range(5):
        calls_hub.later(60)
    # Lost, looked for, refused; not wanted; wanted again and found there: never sent a third time.
    assert calls_hub.calls().count("PATCH /changes/R-1") == 2
    assert [row["kind"] for row in calls_hub.attempts() if row["step"] == 1] == ["call", "probe", "call", "probe"]
