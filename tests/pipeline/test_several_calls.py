"""A delivery of several calls: answers passed on, calls left out, and no call lost or made twice by a crash."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.calls_kit import CallsHub, Vendor


def test_answers_are_passed_on_to_the_later_calls(calls_hub: CallsHub) -> None:
    delivery = calls_hub.register()
    assert calls_hub.calls() == ["GET /jobs/R-1", "PATCH /changes/R-1", "GET /lists?of=R-1&page=1", "POST /notes"]
    assert calls_hub.bodies("/changes") == [
        {"version": 1, "team": "blue", "key": f"{delivery}.1", "delivery": delivery}
    ]
    assert calls_hub.bodies("/notes") == [{"return": "R-1", "seen": "open", "changed": 2}]
    assert calls_hub.state == "done"


def test_a_call_that_is_not_wanted_is_left_out_and_the_next_one_is_made(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/jobs/", {"state": "closed", "version": 1})
    calls_hub.register()
    assert "PATCH /changes/R-1" not in calls_hub.calls()
    assert calls_hub.bodies("/notes") == [{"return": "R-1", "seen": "closed", "changed": "not changed"}]
    assert calls_hub.state == "done"


def test_a_delivery_whose_last_call_is_not_wanted_is_done_and_says_so(calls_hub: CallsHub) -> None:
    calls_hub.route(
        "{to: jobs.get_job, mapping: return.to_acme_job}",
        """{to: jobs.change_job, mapping: return.to_acme_change, when: "{{ answers[0].state == 'open' }}"}""",
    )
    calls_hub.targets.say("/jobs/", {"state": "closed", "version": 1})
    calls_hub.register()
    assert calls_hub.state == "done"
    assert calls_hub.row()["because"] == "call 2 (jobs.change_job) not wanted: when is false"


def test_a_delivery_of_which_no_call_is_wanted_is_skipped(calls_hub: CallsHub) -> None:
    calls_hub.route(
        """{to: jobs.get_job, mapping: return.to_acme_job, when: "{{ settings.team == 'red' }}"}""",
        """{to: jobs.change_job, mapping: return.to_acme_change, when: "{{ answers[0] is not none }}"}""",
    )
    calls_hub.register()
    assert calls_hub.calls() == []
    assert calls_hub.state == "skipped" and "not wanted: when is false" in calls_hub.row()["because"]


def test_a_condition_that_cannot_be_told_is_dead_and_makes_no_call(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/jobs/", {"version": 1})
    calls_hub.register()
    assert calls_hub.calls() == ["GET /jobs/R-1"]
    assert calls_hub.state == "dead" and "calls[1].when" in calls_hub.row()["because"]


def test_each_call_has_the_whole_schedule_of_new_tries(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/jobs/", 503, {"state": "open", "version": 1})
    calls_hub.register()
    calls_hub.later(10)
    numbers = [(row["step"], row["number"]) for row in calls_hub.attempts()]
    assert numbers == [(0, 1), (0, 2), (1, 2), (2, 2), (2, 2)]
    assert calls_hub.state == "done"


@pytest.mark.parametrize("sending", [True, False])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_worker_killed_at_any_call_makes_none_twice(calls_hub: CallsHub, step: int, sending: bool) -> None:
    vendor = Vendor()
    calls_hub.can_look()
    calls_hub.meets(vendor)
    calls_hub.registered()
    for _ in range(step):
        calls_hub.live()
    calls_hub.die(sending=sending)
    calls_hub.later(61)
    assert calls_hub.state == "done"
    assert vendor.did == ["change", "note"]
    assert calls_hub.bodies("/notes") == [{"return": "R-1", "seen": "open", "changed": 2}]


@given(fates=st.lists(st.sampled_from(["lives", "dies", "dies sending"]), max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whenever_workers_are_killed_each_effect_is_there_once(
    looked_for: tuple[CallsHub, Vendor], fates: list[str]
) -> None:
    hub, vendor = looked_for
    vendor.reset()
    return_id = hub.tell()
    hub.read()
    deaths = 0
    for fate in fates:
        # After five deaths in a row the work is set aside.
        deaths = 0 if fate == "lives" else deaths + 1
        if fate == "lives" or deaths > 4:
            hub.live()
        else:
            hub.die(sending=fate == "dies sending")
        hub.clock.move(61)
    hub.later(61)
    assert (hub.row(return_id)["state"], vendor.did) == ("done", ["change", "note"])


@pytest.fixture
def looked_for(calls_hub: CallsHub) -> tuple[CallsHub, Vendor]:
    """A hub that can look at its vendor whether something was done."""
    vendor = Vendor()
    calls_hub.can_look()
    calls_hub.meets(vendor)
    return calls_hub, vendor


def test_a_number_that_cannot_be_captured_stops_the_delivery_and_never_sends_twice(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/notes", {"number": "n-1"})
    delivery = calls_hub.register()
    assert calls_hub.state == "dead" and "capture.id" in calls_hub.row()["because"]
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-1"}]})
    calls_hub.ledger.retry([delivery], "test")
    calls_hub.run()
    assert calls_hub.state == "done"
    assert calls_hub.calls().count("POST /notes") == 1
    assert calls_hub.ledger.find("n-1") == [("return", "shop", "R-1")]
