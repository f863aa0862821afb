"""The story of a return as people read it, from a real ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.cli.story_text import bounded, lines, outline
from app.core.jsontext import loads
from app.model import DeliveryFinish, EventFinish, Identifier, Reference
from app.pipeline.story import tell
from tests.contract.making import attempt, claim, deliver, done, finish, key, known, later, new, put, received
from tests.support import HandClock


@pytest.fixture
def ledger_url(sqlite_ledger_url: str) -> str:
    """What is told does not depend on the database: one is enough here."""
    return sqlite_ledger_url


def _story(ledger: Ledger, number: str = "R-1") -> dict[str, Any]:
    stories = tell(ledger, number)["stories"]
    assert len(stories) == 1
    return dict(stories[0])


def _titles(story: dict[str, Any], what: str = "") -> list[str]:
    return [entry["title"] for entry in story["entries"] if what in ("", entry["what"])]


def test_a_delivery_that_went_well_is_told_from_the_message_to_the_answer(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    clock.move(1)
    look_up = attempt(clock, delivery_id, kind="lookup", connection="erp", operation="find_order")
    learned = known(clock.now(), evidence={"attempt": look_up.attempt_id, "by": "erp.find_order"})
    call = attempt(clock, delivery_id)
    finish(ledger, "a", done(delivery_id, attempts=(look_up, call), references=(learned,)))
    story = _story(ledger)
    kinds = [entry["what"] for entry in story["entries"]]
    assert kinds == ["event", "document", "change", "route", "lookup", "reference", "call", "end"]
    assert _titles(story, "event")[0].startswith("return.labelled from shop, 11 bytes")
    assert _titles(story, "reference") == ["order #1001 (shop to erp) is 0000012E4 (lookup, erp.find_order)"]
    assert _titles(story, "call") == ["wms.announce_return: delivered, said so (12 ms)"]
    assert _titles(story, "end") == ["announce to wms: done"]
    assert story["open"] == []


def test_a_call_shows_what_was_sent_and_a_failure_what_was_answered(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    call = attempt(
        clock, delivery_id, "rejected", response={"status": 422, "headers": {}, "body": {"message": "no such sku"}}
    )
    finish(ledger, "a", DeliveryFinish(delivery_id, "dead", None, "no such sku", "data", attempts=(call,)))
    text = "\n".join(lines(_story(ledger)))
    assert "POST http://wms.test/returns" in text
    assert '> {"rma":"R-1"}' in text
    assert '< {"message":"no such sku"}' in text
    assert "announce to wms: dead, no such sku" in text
    assert f"look at the message, or the mapping, then `backhaul retry {delivery_id}`" in text


def test_a_call_that_went_well_shows_its_answer_and_what_was_fetched_is_one_line(
    ledger: Ledger, clock: HandClock
) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    orders = {"items": [{"number": f"{number:010}"} for number in range(30)], "next": None}
    look_up = attempt(clock, delivery_id, kind="lookup", response={"status": 200, "body": orders})
    empty = attempt(clock, delivery_id, kind="lookup", response={"status": 204, "text": ""})
    call = attempt(clock, delivery_id, response={"status": 201, "body": {"id": "0000012345"}})
    finish(ledger, "a", done(delivery_id, attempts=(look_up, empty, call)))
    answers = [line.strip() for line in lines(_story(ledger)) if line.strip().startswith("<")]
    assert answers == ["< items: 30 items, next: null", '< {"id":"0000012345"}']


def test_a_long_answer_is_a_few_lines() -> None:
    answer = {"lines": [{"sku": "A" * 70, "of": number} for number in range(9)], **{f"k{n}": "x" for n in range(20)}}
    text = list(bounded(answer))
    assert len(text) == 12
    assert '  - "… 6 more"' in text
    assert text[-1] == "… 14 lines more, see --json"


def test_an_answer_does_not_say_again_what_was_sent() -> None:
    sent = {"rma": "R-1", "order": "1e5", "lines": []}
    assert list(bounded({"id": "7", **sent, "order": "100000"}, sent)) == [
        '{"id":"7","order":"100000"}',
        "… and as sent: rma, lines",
    ]
    assert list(bounded(sent, sent)) == ["… and as sent: rma, order, lines"]


def test_what_is_parked_says_for_what_until_when_and_what_to_do(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    parked = later(clock, delivery_id, "parked", 90, because=f"{key()} is not known yet", waits_for=str(key()))
    finish(ledger, "a", parked)
    [waits] = _story(ledger)["open"]
    assert waits["state"] == "parked"
    assert waits["until"] == "2026-11-22T12:01:30.000Z"
    assert waits["waits_for"] == "order #1001 (shop to erp)"
    assert "`backhaul refs set`" in waits["todo"] and delivery_id in waits["todo"]


def test_a_conflict_names_the_candidates(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    evidence = {"candidates": ["1", "2"], "by": "erp.find_order"}
    conflict = Reference(key(), "", "lookup", clock.now(), evidence, "conflict")
    why = f"{key()} has several matches: 1, 2"
    waits = later(clock, delivery_id, "conflict", 90, because=why, waits_for=str(key()), references=(conflict,))
    finish(ledger, "a", waits)
    story = _story(ledger)
    assert _titles(story, "reference") == ["order #1001 (shop to erp) has several matches (lookup, erp.find_order)"]
    assert "has several matches: 1, 2" in story["open"][0]["title"]
    assert story["open"][0]["todo"] == "`backhaul refs set` says which one is right"


def test_what_waits_for_a_paused_connection_says_so(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    waits = later(clock, delivery_id, because="wms: credentials refused", waits_for="connection:wms", counted=False)
    finish(ledger, "a", waits)
    [waiting] = _story(ledger)["open"]
    assert "goes on when wms may be called again" in waiting["todo"]


def test_a_later_delivery_of_the_same_return_says_what_holds_it_back(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, first, "in_doubt", because="no answer came"))
    opened = {entry["id"]: entry for entry in _story(ledger)["open"]}
    assert f"held back by {first}" in opened[second]["title"]
    assert f"`backhaul resolve {first}`" in opened[first]["todo"]


def test_two_returns_with_one_order_number_are_two_stories(ledger: Ledger, clock: HandClock) -> None:
    order = [Identifier("#1001", "order")]
    deliver(ledger, clock, object_id="R-1", numbers=order)
    deliver(ledger, clock, object_id="R-2", numbers=order)
    told = tell(ledger, "1001")
    assert [[one["id"] for one in story["objects"]] for story in told["stories"]] == [["R-1"], ["R-2"]]
    for story in told["stories"]:
        assert len(story["open"]) == 1


def test_two_systems_that_share_a_strong_number_are_one_story(ledger: Ledger, clock: HandClock) -> None:
    deliver(ledger, clock, numbers=[Identifier("RMA-7", "number", True), Identifier("#1001", "order")])
    with ledger.write() as tx:
        tx.add_identifiers("return", "wms", "W-1", [Identifier("RMA-7", "number", True)])
    [story] = tell(ledger, "#1001")["stories"]
    assert {one["id"] for one in story["objects"]} == {"R-1", "W-1"}


def test_what_a_person_did_is_part_of_the_story(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", DeliveryFinish(delivery_id, "dead", None, "gave up", "remote"))
    clock.move(60)
    ledger.retry([delivery_id], "cli:ann")
    assert _titles(_story(ledger), "act") == [f"cli:ann: retry {delivery_id}"]


def test_a_number_set_by_hand_stays_with_the_one_it_replaced(ledger: Ledger, clock: HandClock) -> None:
    deliver(ledger, clock, numbers=[Identifier("#1001", "order")])
    put(ledger, known(clock.now(), to="1"))
    clock.move(10)
    put(ledger, Reference(key(), "2", "manual", clock.now(), {"by": "cli:ann"}))
    first, second = _titles(_story(ledger), "reference")
    assert first.endswith("is 1 (lookup), replaced at 2026-11-22T12:00:10.000Z")
    assert second.endswith("is 2 (manual, cli:ann)")


def test_an_event_of_which_nothing_was_made_has_a_story_too(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    ledger.claim_events("shop", 1, 60, "a")
    tried = attempt(clock, "", "retry", kind="fetch", event_id=event_id, operation="get_return")
    finish(
        ledger,
        "a",
        EventFinish(event_id, "waiting", clock.now() + timedelta(seconds=5), "not there", attempts=(tried,)),
    )
    story = _story(ledger, event_id)
    assert [entry["what"] for entry in story["entries"]] == ["event", "fetch"]
    assert story["open"][0]["title"] == "event return.labelled: waiting, not there"
    assert "\n".join(lines(story)).count(event_id) >= 2


def test_an_unknown_number_has_no_story(ledger: Ledger) -> None:
    assert tell(ledger, "nobody knows me") == {"number": "nobody knows me", "stories": []}
    assert tell(ledger, "evt_unknown")["stories"] == []


def test_a_stale_picture_is_marked(ledger: Ledger, clock: HandClock) -> None:
    from tests.contract.making import document

    deliver(ledger, clock)
    event_id = received(ledger, clock)
    with ledger.write() as tx:
        tx.add_documents([document(clock, event_id, stale=True)])
    assert "older than what is known, kept and not used" in _titles(_story(ledger), "document")[-1]


def test_numbers_come_out_as_they_are() -> None:
    body = loads('{"order": "0000012E4", "amount": 10.50, "big": 12345678901234567890123}')
    assert list(outline(body)) == ['order: "0000012E4"', "amount: 10.50", "big: 12345678901234567890123"]


def test_long_bodies_are_outlined_line_by_line() -> None:
    body = {"rma": new("x") + "y" * 60, "lines": [{"sku": "A" * 60, "quantity": 3, "more": "B" * 60}]}
    text = list(outline(body))
    assert text[1:] == ["lines:", f'  - sku: "{"A" * 60}"', "    quantity: 3", f'    more: "{"B" * 60}"']
