"""Old contents go, a little at a time; what happened, what tells repeats apart and what has not ended stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.bridges import BridgeFinish, Question
from app.core.contents import GONE, marker, remembered, told, went
from app.core.counting import Tally
from app.core.masking import HIDDEN, Masker
from app.core.site import Hub, Site
from app.model import Document, EventFinish
from app.pipeline.compare import clashing, write_documents
from app.pipeline.retention import KINDS, ROUND_S, Retention
from app.pipeline.story import tell
from tests.contract.making import (
    attempt,
    claim_ids,
    deliver,
    document,
    done,
    finish,
    key,
    known,
    later,
    new,
    put,
    receipt,
    received,
)
from tests.contract.test_seals import faults, seal
from tests.support import HandClock

DAY = 86_400.0
PERSON = "ann.planted@shop.example"


def ninety(connection: str) -> float | None:
    return {"keeps": None, "short": DAY}.get(connection, 90 * DAY)


def run(ledger: Ledger, clock: HandClock, keeps: Any = ninety) -> int:
    """One whole round of retention."""
    retention, taken = Retention(ledger, clock, keeps, Masker().value), 0
    for _ in range(1000):
        before = clock.now()
        taken += retention.look()
        if retention._next >= before.timestamp() + ROUND_S:
            return taken
        clock.move(0.5)
    raise AssertionError("the round does not end")


def person_event(ledger: Ledger, clock: HandClock, vendor_id: str = "", **more: Any) -> str:
    """An event that holds a person, read and done."""
    body = b'{"id": "R-1", "email": "%s"}' % PERSON.encode()
    event_id = received(ledger, clock, vendor_id=vendor_id or new("vendor"), body=body, **more)
    ledger.claim_events(more.get("connection", "shop"), 10, 60, "tok")
    finish(ledger, "tok", EventFinish(event_id, "done", None))
    return event_id


def told_delivery(ledger: Ledger, clock: HandClock, object_id: str = "R-1") -> str:
    """A delivery that is done, with persons in its document, its try and its answer."""
    event_id = person_event(ledger, clock)
    (one,) = deliver(ledger, clock, object_id=object_id)
    with ledger.write() as tx:
        tx.add_documents([document(clock, event_id, object_id, body=body(object_id), raw={"email": PERSON})])
    claim_ids(ledger, "tok")
    sent = attempt(clock, one, response={"status": 200, "headers": {}, "body": {"email": PERSON}})
    finish(ledger, "tok", done(one, operation="announce_return", answer={"email": PERSON}, attempts=(sent,)))
    return one


def body(object_id: str) -> dict[str, Any]:
    return {"id": object_id, "lines": [], "customer": {"email": PERSON, "name": "Ann Planted"}}


def dump(ledger: Ledger) -> str:
    """Everything that the ledger holds, as text."""
    from app.adapters.ledger.shared_schema import metadata

    with ledger._db.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(table.select())]
    return "\n".join(
        str([bytes(v).decode("utf-8", "replace") if isinstance(v, bytes) else v for v in row]) for row in rows
    )


def test_contents_go_after_their_time_and_the_story_stays(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = told_delivery(ledger, clock)
    seal(ledger)
    clock.move(89 * DAY)
    assert run(ledger, clock) == 0 and PERSON in dump(ledger)
    clock.move(2 * DAY)
    assert run(ledger, clock) > 0
    assert PERSON not in dump(ledger) and "Ann Planted" not in dump(ledger)
    story = str(tell(ledger, "R-1"))
    assert "content expired on 2027-02-2" in story and "delivered" in story and delivery_id in story
    assert faults(ledger) == []
    assert run(ledger, clock) == 0
    seal(ledger)
    assert faults(ledger) == []


def test_the_same_event_is_a_duplicate_after_its_content_went(ledger: Ledger, clock: HandClock) -> None:
    first = person_event(ledger, clock, vendor_id="v-1")
    clock.move(200 * DAY)
    run(ledger, clock)
    again = ledger.receive([receipt(clock, vendor_id="v-1", body=b'{"id": "again"}')])[0]
    assert again.duplicate and again.event_id == first


def test_changes_keys_of_calls_and_references_outlive_contents(ledger: Ledger, clock: HandClock) -> None:
    told_delivery(ledger, clock)
    put(ledger, known(clock.now()))
    kept = ("key FROM changes", "idempotency_key FROM calls", "to_id FROM refs")
    query = text(" UNION ALL ".join(f"SELECT {name}" for name in kept))
    with ledger._db.read() as connection:
        before = sorted(connection.scalars(query))
    clock.move(200 * DAY)
    run(ledger, clock)
    with ledger._db.read() as connection:
        assert sorted(connection.scalars(query)) == before
    assert ledger.find_reference(key()) is not None


@pytest.mark.parametrize("state", ["waiting", "parked", "in_doubt", "conflict"])
def test_what_has_not_ended_keeps_its_contents(ledger: Ledger, clock: HandClock, state: str) -> None:
    (one,) = deliver(ledger, clock)
    claim_ids(ledger, "tok")
    tries = (attempt(clock, one, "retry"),)
    finish(ledger, "tok", later(clock, one, state, 400 * DAY, because="busy", attempts=tries))
    event_id = received(ledger, clock, body=b'{"id": "open"}')
    clock.move(200 * DAY)
    kept = ledger.delivery(one)
    run(ledger, clock)
    assert ledger.delivery(one) == kept and ledger.event_body(event_id) == b'{"id": "open"}'


def test_a_dead_letter_can_be_retried_until_its_own_time_is_over(ledger: Ledger, clock: HandClock) -> None:
    (one,) = deliver(ledger, clock)
    clock.move(89 * DAY)
    claim_ids(ledger, "tok")
    finish(ledger, "tok", dead(one))
    clock.move(2 * DAY)
    run(ledger, clock)
    assert ledger.retry([one], "anna") == [one]
    claim_ids(ledger, "tok")
    finish(ledger, "tok", dead(one))
    clock.move(91 * DAY)
    run(ledger, clock)
    assert ledger.retry([one], "anna") == []


def dead(delivery_id: str) -> Any:
    from app.model import DeliveryFinish

    return DeliveryFinish(delivery_id, "dead", None, because="refused", fault="data")


def test_what_lost_its_content_is_neither_read_nor_sent_again(ledger: Ledger, clock: HandClock) -> None:
    delivery_id = told_delivery(ledger, clock)
    event_id = received(ledger, clock, state="unreadable")
    clock.move(91 * DAY)
    run(ledger, clock)
    assert ledger.retry([event_id, delivery_id], "anna") == []
    assert ledger.send_again([delivery_id], "anna", "undone") == []


def test_each_connection_keeps_as_long_as_its_files_say(ledger: Ledger, clock: HandClock) -> None:
    ids = {name: person_event(ledger, clock, connection=name) for name in ("shop", "short", "keeps")}
    clock.move(2 * DAY)
    run(ledger, clock)
    assert {name for name, one in ids.items() if went(ledger.event_body(one) or b"")} == {"short"}
    clock.move(1000 * DAY)
    run(ledger, clock)
    assert {name for name, one in ids.items() if went(ledger.event_body(one) or b"")} == {"short", "shop"}


def test_the_newest_picture_stays_without_its_persons_and_brings_no_change_when_it_comes_again(
    ledger: Ledger, clock: HandClock
) -> None:
    picture = {**body("O-1"), "state": "placed", "lines": [{"key": "1", "sku": "A", "quantity": 1}]}
    event_id = person_event(ledger, clock)
    with ledger.write() as tx:
        old = document(clock, event_id, "O-1", kind="order", body={**picture, "lines": []})
        newest = document(clock, event_id, "O-1", kind="order", body=picture, version="v1")
        tx.add_documents([old, newest])
    clock.move(91 * DAY)
    run(ledger, clock)
    assert PERSON not in dump(ledger)
    assert come_again(ledger, clock, picture) == []
    assert come_again(ledger, clock, {**picture, "lines": []}, "v2") == ["order.changed"]


def come_again(ledger: Ledger, clock: HandClock, body: dict[str, Any], version: str = "v1") -> list[str]:
    """The changes that a picture of the order O-1 brings now."""
    event_id = person_event(ledger, clock)
    again = document(clock, event_id, "O-1", kind="order", body=body, version=version)
    site: Any = Site(None, "", {}, Hub(), {}, {}, {}, {}, {}, ())  # type: ignore[arg-type]
    with ledger.write() as tx:
        assert clashing(tx, [again]) == set()
    with ledger.write() as tx:
        write_documents(tx, site, SystemIds(), [again], Tally())
    with ledger._db.read() as connection:
        query = text("SELECT name FROM changes WHERE document_id = :id")
        return list(connection.scalars(query, {"id": again.document_id}))


def test_no_look_reads_more_rows_than_it_may(ledger: Ledger, clock: HandClock) -> None:
    for _ in range(5):
        person_event(ledger, clock)
    clock.move(91 * DAY)
    after, counts = None, []
    while True:
        after, count = ledger.expire("events", after, ninety, Masker().value, 2)
        counts.append(count)
        if after is None:
            break
    assert counts == [2, 2, 1, 0]


def test_a_body_of_a_vendor_that_looks_like_a_marker_goes_like_any_other(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(
        ledger, clock, state="ignored", body=b'{"$gone":"expired","on":"2026-11-22","email":"a@b.example"}'
    )
    assert went(ledger.event_body(event_id) or b"") == ""
    clock.move(91 * DAY)
    run(ledger, clock)
    assert went(ledger.event_body(event_id) or b"").startswith("expired on")


def test_a_question_whose_answer_went_is_answered_so_and_not_carried_out_again(
    ledger: Ledger, clock: HandClock
) -> None:
    asked = Question(new("brq"), "labels", "shop", "R-1", {"body": {"email": PERSON}})
    assert ledger.claim_bridge(asked, "tok", 60).state == "mine"
    ledger.finish_bridge("tok", BridgeFinish(asked.id, "answered", status=200, answer=f'{{"email": "{PERSON}"}}'))
    waits = Question(new("brq"), "labels", "shop", "R-2", {"body": 1})
    ledger.claim_bridge(waits, "tok", 60)
    ledger.finish_bridge("tok", BridgeFinish(waits.id, "in_doubt", because="no answer"))
    clock.move(91 * DAY)
    run(ledger, clock)
    again = ledger.claim_bridge(replace(asked, id=new("brq")), "tok2", 60)
    assert (again.state, again.status) == ("answered", 410) and "kept no longer" in str(again.answer)
    assert PERSON not in dump(ledger)
    kept = ledger.bridge(waits.id)
    assert kept is not None and kept["request"] == {"body": 1} and kept["state"] == "in_doubt"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["email", "lines", "state", "customer", "zip"]), _JSON))
def test_a_masked_picture_is_the_same_as_the_one_it_was_made_of(picture: dict[str, Any]) -> None:
    def of(content: Any) -> Document:
        return Document("doc_1", "order", "shop", "O", 1, "", HandClock().now(), content, {}, "evt_1", "s", False)

    masked = Masker().value(picture)
    compared = remembered(of({**masked, GONE: "expired", "on": "2026-11-22"}), of(picture))
    assert compared is not None and compared.body == picture
    assert remembered(None, of(picture)) is None and picture != HIDDEN


@given(st.sampled_from(["expired", "erased"]), st.dates())
def test_a_marker_is_told_and_nothing_else_is(how: Any, day: Any) -> None:
    made = marker(how, day.isoformat())
    assert went(made) == went(made.encode()) == told({"$gone": how, "on": day.isoformat()}) == f"{how} on {day}"
    assert went(made[:-1]) == went(made + " ") == went("{}") == told([]) == told({}) == ""


def test_the_clock_and_the_ledger_know_the_same_kinds() -> None:
    from app.adapters.ledger import retaining

    assert KINDS == retaining.KINDS
