"""Any number of a return leads to the whole story of it, and to no other's."""

from __future__ import annotations

from app.adapters.ledger import Ledger
from app.model import EventFinish, Identifier
from tests.contract.making import (
    attempt,
    claim,
    deliver,
    document,
    done,
    finish,
    key,
    known,
    later,
    put,
    received,
)
from tests.support import HandClock

MINE = ("return", "shop", "R-1")


def test_a_number_is_found_as_it_is_and_else_as_people_type_it(ledger: Ledger) -> None:
    with ledger.write() as tx:
        tx.add_identifiers("return", "shop", "R-1", [Identifier("#1001", "order"), Identifier("Ab 12", "tracking")])
        tx.add_identifiers("return", "shop", "R-2", [Identifier("1001", "order"), Identifier("0012", "order")])
        tx.add_identifiers("return", "shop", "R-3", [Identifier("ab12", "order")])
    assert ledger.find("#1001") == [MINE]
    assert ledger.find("1001") == [("return", "shop", "R-2")]
    assert sorted(ledger.find(" 1001 ")) == [MINE, ("return", "shop", "R-2")]
    assert sorted(ledger.find("AB12")) == [MINE, ("return", "shop", "R-3")]
    assert ledger.find("12") == ledger.find("none") == ledger.find("") == []
    assert ledger.find("0012") == [("return", "shop", "R-2")]


def test_strong_numbers_of_one_kind_link_objects_weak_ones_do_not(ledger: Ledger) -> None:
    with ledger.write() as tx:
        tx.add_identifiers(
            "return", "shop", "R-1", [Identifier("RMA-1", "number", True), Identifier("T-1", "tracking")]
        )
        tx.add_identifiers("return", "wms", "W-1", [Identifier("RMA-1", "number", True), Identifier("W-1", "x", True)])
        tx.add_identifiers("return", "erp", "E-1", [Identifier("W-1", "x", True)])
        tx.add_identifiers("return", "shop", "R-2", [Identifier("T-1", "tracking"), Identifier("RMA-1", "sku", True)])
    linked = [MINE, ("return", "erp", "E-1"), ("return", "wms", "W-1")]
    assert sorted(ledger.find("E-1") or ledger.find("W-1")) == sorted(linked)
    assert ledger.find("T-1")[0] == MINE or ledger.find("T-1")[0] == ("return", "shop", "R-2")
    assert sorted(ledger.find("T-1")) == sorted([*linked, ("return", "shop", "R-2")])


def test_the_hubs_own_ids_lead_to_the_story_too(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    rows = ledger.story([MINE])
    event_id = received(ledger, clock)
    ledger.claim_events("shop", 1, 60, "a")
    finish(ledger, "a", EventFinish(event_id, "done", None, document_id=rows.documents[0]["id"]))
    for number in (delivery_id, rows.documents[0]["id"], rows.changes[0]["id"], event_id):
        assert ledger.find(number) == [MINE], number
    assert [row["id"] for row in ledger.story([MINE]).events][1:] == [event_id]


def test_a_story_holds_everything_of_its_objects_and_nothing_of_others(ledger: Ledger, clock: HandClock) -> None:
    [first, second] = deliver(ledger, clock, many=2)
    deliver(ledger, clock, object_id="R-2", lane="erp")
    stale_event = received(ledger, clock)
    with ledger.write() as tx:
        tx.add_documents([document(clock, stale_event, stale=True)])
    looked_up = attempt(clock, first, kind="lookup", connection="erp")
    learned = known(clock.now(), "#1001", "E-1", evidence={"attempt": looked_up.attempt_id})
    claim(ledger, "a")
    finish(
        ledger,
        "a",
        done(
            first,
            attempts=(looked_up, attempt(clock, first)),
            references=(learned,),
            identifiers=(Identifier("W-1", "return", True), Identifier("E-1", "erp order")),
            operation="announce_return",
            idempotency_key=f"{first}.0",
            answer={"returnNumber": "W-1"},
        ),
    )
    claim(ledger, "b")
    finish(ledger, "b", later(clock, second, "parked", 3600, because="unknown", waits_for=str(key("#1002"))))
    put(ledger, known(clock.now(), "#77", "E-77"))
    with ledger.write() as tx:
        tx.audit("me", "refs set", str(key("#77")), None, {"to": "E-77"})

    assert ledger.find("W-1") == [MINE]
    story = ledger.story(ledger.find("E-1"))
    assert story.objects == [MINE]
    assert [row["stale"] for row in story.documents] == [False, True]
    assert [row["id"] for row in story.events][1:] == [stale_event]
    assert story.events[0]["body"] == '{"id": "1"}'
    assert [row["name"] for row in story.changes] == ["parcel.labelled"] * 2
    assert [(row["id"], row["state"], row["change"]) for row in story.deliveries] == [
        (first, "done", "parcel.labelled"),
        (second, "parked", "parcel.labelled"),
    ]
    assert [(row["operation"], row["answer"]) for row in story.calls] == [("announce_return", {"returnNumber": "W-1"})]
    assert [row["kind"] for row in story.attempts] == ["lookup", "call"]
    assert [row["to_id"] for row in story.references] == ["E-1"]
    assert {row["value"] for row in story.identifiers} == {"R-1", "W-1", "E-1"}
    assert story.audit == []


def test_what_is_waited_for_is_part_of_the_story(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock, numbers=[Identifier("#1002", "order")])
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, "parked", 3600, waits_for=str(key("#1002"))))
    put(ledger, known(clock.now(), "#1002", "E-2"))
    with ledger.write() as tx:
        tx.audit("me", "refs set", str(key("#1002")), None, {"to": "E-2"})
    ledger.pause("wms", "401", "hub")
    story = ledger.story([MINE])
    assert [row["to_id"] for row in story.references] == ["E-2"]
    assert [(row["act"], row["after"]) for row in story.audit] == [("refs set", {"to": "E-2"})]


def test_nothing_has_no_story(ledger: Ledger) -> None:
    story = ledger.story([])
    assert (story.objects, story.events, story.deliveries) == ([], [], [])
    assert ledger.story([MINE]).documents == []
