"""Confirm: the source is asked again just before the first call, and what is no longer true there is not told on."""

from __future__ import annotations

import pytest

from tests.pipeline.calls_kit import CallsHub


@pytest.fixture
def hub(calls_hub: CallsHub) -> CallsHub:
    """A hub whose route asks the source again; the return was told, and nothing done yet."""
    text = 'mapping: return.to_acme_plain_note\nbody: {return: "{{ return.id }}", team: "{{ answers[0].state }}"}\n'
    calls_hub.write({"mappings/return.to_acme_plain_note.yaml": text})
    calls_hub.route(
        "{to: jobs.get_job, mapping: return.to_acme_job}",
        "{to: notes.leave_note, mapping: return.to_acme_plain_note}",
        confirm="true",
    )
    calls_hub.registered()
    return calls_hub


def asked(hub: CallsHub) -> int:
    """How often the source was asked."""
    return len(hub.targets.sent("/returns/"))


def test_what_still_holds_is_delivered_after_one_more_look(hub: CallsHub) -> None:
    before = asked(hub)
    hub.run()
    assert hub.state == "done"
    # Once, before the first call; the later calls belong to what has begun.
    assert asked(hub) == before + 1
    first = hub.attempts()[0]
    assert (first["kind"], first["connection"], first["step"]) == ("fetch", "shop", 0)


def test_what_no_longer_holds_is_skipped_with_the_reason(hub: CallsHub) -> None:
    hub.shows(state="gone")
    hub.run()
    assert hub.state == "skipped"
    assert hub.row()["because"] == "return.registered no longer holds: shop was asked again"
    assert hub.calls() == []
    assert [row["kind"] for row in hub.attempts()] == ["fetch"]


def test_what_is_gone_from_its_source_is_skipped(hub: CallsHub) -> None:
    hub.targets.say("/returns/", 404)
    hub.run()
    assert hub.state == "skipped" and "gone from shop (404)" in hub.row()["because"]
    assert hub.calls() == []


@pytest.mark.parametrize("answer", [503, 429, "lost"])
def test_a_source_that_is_away_is_asked_again_and_nothing_is_skipped(hub: CallsHub, answer: str | int) -> None:
    hub.targets.say("/returns/", answer)
    hub.run()
    assert hub.state == "waiting" and hub.calls() == []
    hub.shows()
    hub.later(120)
    assert hub.state == "done"


def test_a_paused_source_holds_the_delivery_until_it_is_resumed(hub: CallsHub) -> None:
    hub.targets.say("/returns/", 401)
    hub.run()
    row = hub.row()
    assert (row["state"], row["waits_for"]) == ("waiting", "connection:shop")
    assert hub.ledger.lane_state("shop").paused
    hub.shows()
    hub.ledger.resume("shop", "test")
    hub.later(5)
    assert hub.state == "done"


def test_a_source_that_refuses_to_answer_is_a_dead_letter(hub: CallsHub) -> None:
    hub.targets.say("/returns/", 400)
    hub.run()
    assert hub.state == "dead" and hub.row()["because"].startswith("asking shop again")
    assert hub.calls() == []


def test_a_source_that_answers_with_something_else_is_not_believed(hub: CallsHub) -> None:
    hub.shows(id="R-2")
    hub.run()
    assert hub.state == "dead" and hub.calls() == []


def test_each_new_try_of_the_first_call_asks_again(hub: CallsHub) -> None:
    hub.targets.say("/jobs/", 503, {"state": "open"})
    hub.run()
    assert hub.state == "waiting"
    hub.shows(state="gone")
    hub.later(60)
    assert hub.state == "skipped" and hub.calls() == ["GET /jobs/R-1"]


def test_a_restart_asks_again(calls_hub: CallsHub) -> None:
    calls_hub.route(
        "{to: jobs.get_job, mapping: return.to_acme_job}",
        "{to: jobs.change_job, mapping: return.to_acme_change}",
        confirm="true",
    )
    calls_hub.targets.say("/changes/", 409)
    calls_hub.register()
    calls_hub.shows(state="gone")
    calls_hub.later(30)
    assert calls_hub.state == "skipped"
    assert calls_hub.row()["because"].endswith("shop was asked again; made before that: call 1")


@pytest.mark.parametrize(("notes", "state"), [([], "skipped"), ([{"id": "n-1"}], "done")])
def test_what_may_have_been_sent_is_looked_for_before_it_is_skipped(
    calls_hub: CallsHub, notes: list[dict[str, str]], state: str
) -> None:
    text = 'mapping: return.to_acme_plain_note\nbody: {return: "{{ return.id }}"}\n'
    calls_hub.write({"mappings/return.to_acme_plain_note.yaml": text})
    calls_hub.route("{to: notes.leave_note, mapping: return.to_acme_plain_note}", confirm="true")
    calls_hub.targets.say("/notes", "lost")
    calls_hub.register()
    assert calls_hub.state == "in_doubt"
    calls_hub.targets.say("/lists", {"notes": notes})
    calls_hub.shows(state="gone")
    calls_hub.later(10)
    assert calls_hub.state == state
    assert calls_hub.calls().count("POST /notes") == 1


def test_what_may_have_been_sent_and_cannot_be_looked_for_is_in_doubt(calls_hub: CallsHub) -> None:
    text = 'mapping: return.to_acme_order\nargs: {id: "{{ return.id }}"}\nbody: {}\n'
    calls_hub.write({"mappings/return.to_acme_order.yaml": text})
    calls_hub.edit("connectors/acme_jobs/connector.yaml", "    responses: [{status: 409, outcome: restart}]\n", "")
    calls_hub.route("{to: jobs.order_job, mapping: return.to_acme_order}", confirm="true")
    calls_hub.targets.say("/orders/", "lost")
    calls_hub.registered()
    calls_hub.die(sending=True)
    calls_hub.shows(state="gone")
    calls_hub.later(61)
    assert calls_hub.state == "in_doubt"
    assert calls_hub.calls() == ["POST /orders/R-1"]
    assert "an earlier try may have reached the target" in calls_hub.row()["because"]


def test_a_worker_killed_at_a_first_call_that_changes_nothing_leaves_no_doubt(hub: CallsHub) -> None:
    hub.die(sending=True)
    hub.shows(state="gone")
    hub.later(61)
    assert hub.state == "skipped"
