"""What is new in a return: the same facts once, whatever is repeated, skipped or out of order."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.core.changes import RETURN_CHANGES, changes
from app.core.documents import Breach, broken_laws, clashes, identifiers, is_older_by_clock
from app.model import Document


def a_return(**parts: Any) -> dict[str, Any]:
    return {"id": "ro-1", "number": "RET-1", "source": "shop", "orders": [{"number": "#1"}], "lines": [], **parts}


def parcel(key: str, state: str) -> dict[str, Any]:
    return {"id": key, "state": state}


def names(before: Any, after: Any) -> list[str]:
    return [change.name for change in changes(before, after)]


def test_a_return_seen_first_is_registered() -> None:
    assert names(None, a_return()) == ["return.registered"]


def test_the_same_picture_twice_says_nothing_new() -> None:
    seen = a_return(state="approved", parcels=[parcel("p1", "labelled")])
    assert names(seen, seen) == []


def test_a_first_label_announces_the_return_and_its_parcel() -> None:
    found = changes(a_return(), a_return(parcels=[parcel("p1", "labelled")]))
    assert [(change.name, change.data.get("first")) for change in found] == [
        ("return.labelled", None),
        ("parcel.labelled", True),
    ]


def test_a_second_label_does_not_announce_the_return_again() -> None:
    found = changes(
        a_return(parcels=[parcel("p1", "labelled")]),
        a_return(parcels=[parcel("p1", "labelled"), parcel("p2", "labelled")]),
    )
    assert [(change.name, change.key, change.data["first"]) for change in found] == [
        ("parcel.labelled", "parcel.labelled:p2", False)
    ]


def test_a_failed_label_is_no_label() -> None:
    assert names(a_return(), a_return(parcels=[parcel("p1", "failed")])) == ["parcel.failed"]


def test_a_label_after_a_failed_one_is_the_first() -> None:
    before = a_return(parcels=[parcel("p1", "failed")])
    after = a_return(parcels=[parcel("p1", "failed"), parcel("p2", "labelled")])
    assert names(before, after) == ["return.labelled", "parcel.labelled"]


def test_a_parcel_that_is_seen_delivered_first_was_labelled_too() -> None:
    found = names(None, a_return(parcels=[parcel("p1", "delivered")]))
    assert found == ["return.registered", "return.labelled", "parcel.labelled", "parcel.delivered"]


def line(**quantity: Any) -> dict[str, Any]:
    return {"key": "l1", "quantity": quantity}


def test_quantities_travel_as_differences() -> None:
    before = a_return(lines=[line(announced=3, accepted=1)])
    after = a_return(lines=[line(announced=3, accepted=3)])
    accepted, decided = changes(before, after)
    assert (accepted.name, accepted.data["quantity"], accepted.data["total"]) == ("line.accepted", 2, 3)
    assert decided.name == "return.decided"


def test_a_quantity_that_falls_is_no_new_fact() -> None:
    before = a_return(lines=[line(announced=3, received=3)])
    assert names(before, a_return(lines=[line(announced=3, received=2)])) == []


def test_a_line_that_is_gone_is_removed() -> None:
    assert names(a_return(lines=[line(announced=1)]), a_return()) == ["line.removed"]


def test_a_refund_starts_changes_and_closes() -> None:
    def refund(**parts: Any) -> dict[str, Any]:
        return a_return(lines=[{"key": "l1", "refund": parts}])

    assert names(a_return(lines=[{"key": "l1"}]), refund(state="started", amount="1.00")) == ["refund.started"]
    assert names(refund(state="started", amount="1.00"), refund(state="started", amount="2.00")) == ["refund.changed"]
    assert names(a_return(lines=[{"key": "l1"}]), refund(state="closed")) == ["refund.started", "refund.closed"]


def test_broken_quantity_laws_are_named() -> None:
    broken = a_return(lines=[line(announced=1, received=2, accepted=2, rejected=1)])
    assert list(broken_laws("return", broken)) == [
        Breach("received:l1:2>1", "line l1: received 2 of 1 announced"),
        Breach("decided:l1:3>2", "line l1: 3 accepted or rejected of 2 received"),
    ]
    assert list(broken_laws("return", a_return(lines=[line(announced=1, accepted=2)]))) == []


def test_a_state_seen_late_tells_the_approval_that_it_follows_from() -> None:
    assert names(a_return(state="requested"), a_return(state="received")) == ["return.approved"]
    assert names(a_return(state="approved"), a_return(state="received")) == []
    assert names(a_return(state="requested"), a_return(state="closed")) == []


def test_two_pictures_under_one_version_clash_and_no_others_do() -> None:
    def document(version: str, **body: Any) -> Document:
        now = datetime(2026, 11, 22, tzinfo=UTC)
        return Document("doc_1", "return", "shop", "ro-1", 0, version, now, body, {}, "evt_1", "s")

    assert clashes(document("v1", a=1), document("v1", a=2))
    assert not clashes(document("v1", a=1), document("v1", a=1))
    assert not clashes(document("v2", a=1), document("v1", a=2))
    assert not clashes(document("", a=1), document("", a=2))
    assert not clashes(document("v1", a=1), None)


def test_a_different_picture_is_older_by_the_clock_alone_only_where_its_source_gives_no_order() -> None:
    def document(version: str, minute: int, **body: Any) -> Document:
        at = datetime(2026, 11, 22, 12, minute, tzinfo=UTC)
        return Document("doc_1", "return", "shop", "ro-1", 0, version, at, body, {}, "evt_1", "s")

    for version in ("", "v1"):
        head = document(version, 30, a=1)
        assert is_older_by_clock(document(version, 29, a=2), head)
        assert not is_older_by_clock(document(version, 29, a=1), head)
        assert not is_older_by_clock(document(version, 31, a=2), head)
        assert not is_older_by_clock(document(version, 29, a=2), None)
        assert not is_older_by_clock(document(version, 10, a=2), head, datetime(2026, 11, 22, 12, 11, tzinfo=UTC))
    assert not is_older_by_clock(document("v1", 29, a=2), document("v2", 30, a=1))


def test_every_number_of_a_return_can_be_searched_and_only_its_own_link() -> None:
    found = identifiers(
        "return",
        a_return(
            orders=[{"number": "#1004800", "alternatives": ["1004800"]}],
            parcels=[{"id": "p1", "tracking_number": "JVGL1", "barcode": "B1"}],
        ),
    )
    assert {(one.value, one.strong) for one in found} == {
        ("ro-1", True),
        ("RET-1", True),
        ("#1004800", False),
        ("1004800", False),
        ("p1", False),
        ("JVGL1", False),
        ("B1", False),
    }


growing = st.lists(st.integers(0, 3), min_size=3, max_size=3).map(sorted)


@given(growing, st.sets(st.integers(0, 2)))
def test_skipped_versions_add_up_to_the_same_quantities(totals: list[int], skipped: set[int]) -> None:
    """Whichever snapshots are missed, the differences of those seen add up to the newest total."""
    seen = [total for index, total in enumerate(totals) if index not in skipped or index == 2]
    before, fired = None, Decimal(0)
    for total in seen:
        after = a_return(lines=[line(announced=3, accepted=total)])
        fired += sum(c.data["quantity"] for c in changes(before, after) if c.name == "line.accepted")
        before = after
    assert fired == totals[-1]


states = st.sampled_from(["created", "labelled", "in_transit", "delivered", "failed"])
pictures = st.lists(st.tuples(st.sampled_from(["p1", "p2", "p3"]), states), max_size=3, unique_by=lambda p: p[0])


@given(st.lists(pictures, max_size=6))
def test_no_sequence_of_pictures_names_an_unknown_change_or_a_key_twice_at_once(sequence: Any) -> None:
    before = None
    for parcels in sequence:
        after = a_return(parcels=[parcel(key, state) for key, state in parcels])
        found = changes(before, after)
        assert {change.name for change in found} <= set(RETURN_CHANGES)
        assert len({change.key for change in found}) == len(found)
        before = after
