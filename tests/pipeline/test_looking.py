"""Probes: a look at the target before the first send, what stands for the answer, and what nobody can tell."""

from __future__ import annotations

import pytest

from app.model import ReferenceKey
from tests.pipeline.calls_kit import CallsHub

NOTES = "connectors/acme_notes/connector.yaml"


def reference(hub: CallsHub) -> str | None:
    """The note's number as it was learned."""
    found = hub.ledger.find_reference(ReferenceKey("note", "store", "notes", "R-1"))
    return found.to_id if found else None


def test_what_is_there_already_is_not_made_again(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-7"}]})
    calls_hub.register()
    assert calls_hub.state == "done"
    assert "POST /notes" not in calls_hub.calls()
    assert "before it was sent" in calls_hub.row()["because"]
    assert reference(calls_hub) == "n-7"


def test_what_was_found_is_the_answer_that_later_calls_see(calls_hub: CallsHub) -> None:
    mapping = """
mapping: return.to_acme_follow_up
args: {id: "{{ return.id }}"}
body: {version: 1, note: "{{ answers[0].id }}"}
"""
    note = "mapping: return.to_acme_first_note\nbody: {return: '{{ return.id }}'}\n"
    calls_hub.write(
        {"mappings/return.to_acme_follow_up.yaml": mapping, "mappings/return.to_acme_first_note.yaml": note}
    )
    calls_hub.route(
        "{to: notes.leave_note, mapping: return.to_acme_first_note}",
        "{to: jobs.change_job, mapping: return.to_acme_follow_up}",
    )
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-7"}]})
    calls_hub.register()
    assert calls_hub.bodies("/changes") == [{"version": 1, "note": "n-7"}]
    assert calls_hub.state == "done"


def test_a_list_is_read_to_its_end_and_repeats_count_once(calls_hub: CallsHub) -> None:
    pages = ({"notes": [], "next": 2}, {"notes": [{"id": "n-7"}], "next": 3}, {"notes": [{"id": "n-7"}]})
    calls_hub.targets.say("/lists", *pages)
    calls_hub.register()
    assert calls_hub.state == "done"
    assert [call for call in calls_hub.calls() if "/lists" in call] == [
        f"GET /lists?of=R-1&page={page}" for page in (1, 2, 3)
    ]
    assert [row["kind"] for row in calls_hub.attempts()][2:] == ["probe"] * 3
    assert reference(calls_hub) == "n-7"


def test_without_an_answer_of_its_own_the_looks_body_is_the_answer(calls_hub: CallsHub) -> None:
    calls_hub.edit(NOTES, '      answer: "{{ body.items[0] }}"\n', "")
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-7"}]})
    calls_hub.register()
    assert calls_hub.state == "done"
    # Its number is elsewhere in that body: it is not learned, and nothing is lost but that.
    assert reference(calls_hub) is None


@pytest.mark.parametrize("answer", ["lost", 503, 429])
def test_a_look_that_fails_before_anything_was_sent_is_tried_again(calls_hub: CallsHub, answer: str | int) -> None:
    calls_hub.targets.say("/lists", answer, {"notes": []})
    calls_hub.register()
    assert calls_hub.state == "waiting"
    assert "before sending" in calls_hub.row()["because"]
    calls_hub.later(60)
    assert calls_hub.state == "done"
    assert calls_hub.calls().count("POST /notes") == 1


def test_a_page_that_fails_in_the_middle_is_no_empty_list(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/lists", {"notes": [], "next": 2}, 404)
    calls_hub.register()
    assert "POST /notes" not in calls_hub.calls()


def test_refused_credentials_while_looking_pause_the_target(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/lists", 401)
    calls_hub.register()
    assert calls_hub.state == "waiting" and calls_hub.ledger.lane_state("notes").paused
    assert "POST /notes" not in calls_hub.calls()


def test_several_candidates_are_for_a_person(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-1"}, {"id": "n-2"}]})
    delivery = calls_hub.register()
    assert calls_hub.state == "in_doubt"
    assert f"backhaul resolve {delivery}" in calls_hub.row()["because"]
    calls_hub.later(90_000)
    assert calls_hub.state == "in_doubt" and "POST /notes" not in calls_hub.calls()
    calls_hub.ledger.resolve(delivery, "retry", "test")
    calls_hub.run()
    # A person has looked and says that it is to be sent: no look stands against that.
    assert calls_hub.state == "done" and calls_hub.calls().count("POST /notes") == 1


def test_after_a_person_said_send_a_lost_answer_is_looked_for_all_the_same(calls_hub: CallsHub) -> None:
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-1"}, {"id": "n-2"}]})
    delivery = calls_hub.register()
    calls_hub.ledger.resolve(delivery, "retry", "test")
    calls_hub.targets.say("/notes", "lost")
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-3"}]})
    calls_hub.run()
    calls_hub.later(10)
    assert calls_hub.state == "done" and calls_hub.calls().count("POST /notes") == 1


def test_a_look_may_go_by_the_deliverys_own_key(calls_hub: CallsHub) -> None:
    found = """found: "{{ body.items | where('key', delivery.key) | length == 1 }}\""""
    calls_hub.edit(NOTES, 'found: "{{ body.items | length == 1 }}"', found)
    delivery = calls_hub.registered()
    calls_hub.targets.say("/lists", {"notes": [{"id": "n-9", "key": f"{delivery}.2"}]})
    calls_hub.run()
    assert calls_hub.state == "done" and "POST /notes" not in calls_hub.calls()


def test_nothing_is_sent_after_a_look_during_which_the_lease_was_over(calls_hub: CallsHub) -> None:
    """The process stood still while the target answered, and another one found nothing there either and sent it."""
    calls_hub.route("{to: notes.leave_note, mapping: return.to_acme_note}")
    calls_hub.registered()
    [old] = calls_hub.deliverer.claim("notes", 10, 60, "old")
    late = calls_hub.deliverer.deliver(old, lambda: "GET /lists?of=R-1&page=1" not in calls_hub.calls())
    assert "POST /notes" not in calls_hub.calls()
    calls_hub.clock.move(61)
    calls_hub.deliver()
    assert (calls_hub.state, calls_hub.calls().count("POST /notes")) == ("done", 1)
    calls_hub.deliverer.commit("old", [late])
    assert (calls_hub.state, calls_hub.row()["attempts"]) == ("done", 2)


def test_what_was_not_sent_because_the_lease_was_over_and_nobody_took_is_due_at_once(calls_hub: CallsHub) -> None:
    calls_hub.route("{to: notes.leave_note, mapping: return.to_acme_note}")
    calls_hub.registered()
    [old] = calls_hub.deliverer.claim("notes", 10, 60, "old")
    calls_hub.deliverer.commit("old", [calls_hub.deliverer.deliver(old, lambda: False)])
    assert (calls_hub.state, calls_hub.row()["attempts"]) == ("waiting", 0)
    assert "stood still" in calls_hub.row()["because"]
    calls_hub.deliver()
    assert (calls_hub.state, calls_hub.calls().count("POST /notes")) == ("done", 1)
