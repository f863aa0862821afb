"""Documents are kept one row a version; a change is new once for ever."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.ledger import Ledger
from app.model import Change, Identifier, NewDelivery
from tests.contract.making import claim_ids, document, new, received
from tests.support import HandClock


def test_the_head_is_the_newest_that_is_not_stale(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    first, stale = document(clock, event_id), document(clock, event_id, stale=True)
    key, other = ("return", "shop", "R-1"), ("return", "shop", "R-2")
    with ledger.write() as tx:
        tx.lock_objects([other, key])
        assert tx.heads([key, other]) == {}
        tx.add_documents([first])
        tx.add_documents([stale])
    with ledger.write() as tx:
        assert {found: head.document_id for found, head in tx.heads([key, other]).items()} == {key: first.document_id}
        second = document(clock, event_id)
        tx.add_documents([second])
    with ledger.write() as tx:
        head = tx.heads([key])[key]
    assert (head.document_id, head.seq) == (second.document_id, 3)
    assert [row["seq"] for row in ledger.story([key]).documents] == [1, 2, 3]


def test_equal_ids_at_other_connections_and_of_other_kinds_are_other_objects(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    mine = document(clock, event_id)
    others = [document(clock, event_id, connection="shop_b"), document(clock, event_id, kind="order")]
    with ledger.write() as tx:
        tx.add_documents([mine, *others])
        key = ("return", "shop", "R-1")
        assert tx.heads([key])[key].document_id == mine.document_id
        assert len(tx.heads([key, ("return", "shop_b", "R-1"), ("order", "shop", "R-1")])) == 3


def test_what_is_in_a_document_comes_back_exactly(ledger: Ledger, clock: HandClock) -> None:
    body = {
        "id": "R-1",
        "price": Decimal("10.10"),
        "big": 10**25,
        "odd": "\x00 \ud800 ü",
        "none": None,
        "list": [1, True],
    }
    event_id = received(ledger, clock)
    made = document(clock, event_id, body=body, raw={"payload": body}, version="v000")
    with ledger.write() as tx:
        tx.add_documents([made])
    with ledger.write() as tx:
        [head] = tx.heads([("return", "shop", "R-1")]).values()
    assert (head.body, head.raw(), head.version, head.observed_at) == (body, made.raw, "v000", clock.now())
    assert isinstance(head.body["price"], Decimal)


def test_a_change_known_already_is_left_out(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    made = document(clock, event_id)
    with ledger.write() as tx:
        tx.add_documents([made])
        new_ones = tx.add_changes(made, [Change("a", "a"), Change("b", "b"), Change("a", "a")])
        assert sorted(new_ones) == ["a", "b"]
        assert len(set(new_ones.values())) == 2
        assert sorted(tx.add_changes(made, [Change("b", "b"), Change("c", "c")])) == ["c"]
        assert tx.add_changes(made, []) == {}
    again = document(clock, event_id)
    with ledger.write() as tx:
        tx.add_documents([again])
        assert list(tx.add_changes(again, [Change("a", "a", {"now": 2}), Change("d", "d")])) == ["d"]
    elsewhere = document(clock, event_id, "R-2")
    with ledger.write() as tx:
        tx.add_documents([elsewhere])
        assert list(tx.add_changes(elsewhere, [Change("a", "a")])) == ["a"]


def test_a_delivery_is_made_once_per_change_route_and_part(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    made = document(clock, event_id)
    with ledger.write() as tx:
        tx.add_documents([made])
        change_id = tx.add_changes(made, [Change("a", "a")])["a"]
        for part in ("", "#1", "#2", "#1"):
            tx.add_deliveries(made, change_id, [NewDelivery(new("dlv"), "a", "announce", part, "wms", "", "stamp")])
        tx.add_deliveries(made, change_id, [NewDelivery(new("dlv"), "a", "other", "", "wms", "", "stamp")])
    assert len(claim_ids(ledger)) == 4


def test_a_number_may_be_told_again(ledger: Ledger, clock: HandClock) -> None:
    with ledger.write() as tx:
        tx.add_identifiers("return", "shop", "R-1", [Identifier("N", "number", True), Identifier("N", "number", True)])
    with ledger.write() as tx:
        tx.add_identifiers("return", "shop", "R-1", [Identifier("N", "number", True), Identifier("M", "number")])
    assert len(ledger.story([("return", "shop", "R-1")]).identifiers) == 2


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(snapshots=st.lists(st.lists(st.sampled_from("abcde"), max_size=5), max_size=6))
def test_however_snapshots_repeat_a_change_is_new_once(
    ledger: Ledger, clock: HandClock, snapshots: list[list[str]]
) -> None:
    object_id = new("R")
    fired: list[str] = []
    for keys in snapshots:
        made = document(clock, received(ledger, clock), object_id)
        with ledger.write() as tx:
            tx.add_documents([made])
            fired += tx.add_changes(made, [Change(key, key) for key in keys])
    assert sorted(fired) == sorted({key for keys in snapshots for key in keys})
