"""What becomes of Returnista's return orders: the tricky ones, by name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from app.core.changes import changes
from app.core.site import Site
from app.errors import UnknownWord
from connectors.returnista.samples import build_return_order

Read = Callable[[str], Any]
ToDocument = Callable[..., Any]
LINE = {"order": "#1004800", "sku": "TEE-RED-M"}


@pytest.fixture
def document(read: Read, to_document: ToDocument) -> Callable[[str], Any]:
    """The document of a label fixture's variant."""
    return lambda variant: to_document(read(f"shipment.label_created__{variant}"), read(f"get_return_order__{variant}"))


def told(before: Any, after: Any) -> list[str]:
    return [change.name for change in changes(before, after)]


def label_event(order: dict[str, Any], number: int = 0, **fields: Any) -> dict[str, Any]:
    return {"event": "shipment.label_created", "data": {**order["shipments"][number], **fields}}


def test_every_document_fits_its_schema(site: Site, read: Read, to_document: ToDocument) -> None:
    for variant in ("one_parcel", "two_orders", "second_of_two_parcels", "carrier_error", "no_label", "odd_ids"):
        made = to_document(read(f"shipment.label_created__{variant}"), read(f"get_return_order__{variant}"))
        assert site.validators["return"].errors(made) == []


def test_a_second_parcel_is_told_as_a_parcel_and_not_as_a_return(document: Callable[[str], Any]) -> None:
    first, second = document("first_of_two_parcels"), document("second_of_two_parcels")
    assert told(None, first) == ["return.registered", "return.labelled", "parcel.labelled"]
    (change,) = changes(first, second)
    assert change.name == "parcel.labelled"
    assert change.data["first"] is False
    assert change.data["parcel"]["tracking_number"] == second["parcels"][1]["tracking_number"]


def test_two_labels_that_come_into_sight_together_are_one_return_labelled(document: Callable[[str], Any]) -> None:
    found = changes(None, document("second_of_two_parcels"))
    assert [change.name for change in found].count("return.labelled") == 1
    assert [change.data["first"] for change in found if change.name == "parcel.labelled"] == [True, True]


def test_an_order_number_keeps_its_sign_and_is_findable_without_it(document: Callable[[str], Any]) -> None:
    assert document("two_orders")["orders"] == [
        {"number": "#1004800", "alternatives": ["1004800"]},
        {"number": "1004801"},
    ]


def test_a_line_whose_order_the_return_order_does_not_list_is_not_lost(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [LINE], "parcels": [{}], "purchaseOrderNumbers": ["77"]})
    assert [one["number"] for one in to_document(label_event(order), order)["orders"]] == ["#1004800", "77"]


def test_numbers_that_come_as_json_numbers_become_text(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [{"order": 12345678901234567890, "sku": "A"}], "parcels": [{}]})
    made = to_document(label_event(order), order)
    assert made["orders"] == [{"number": "12345678901234567890"}]
    assert made["lines"][0]["order"] == "12345678901234567890"


def test_a_label_with_an_error_or_without_a_label_is_a_failed_parcel_and_no_forecast(
    document: Callable[[str], Any],
) -> None:
    for variant, error in (
        ("carrier_error", "ADDRESS_REJECTED: the carrier refused the address"),
        ("no_label", "no tracking number"),
    ):
        made = document(variant)
        assert told(None, made) == ["return.registered", "parcel.failed"]
        assert made["parcels"][0]["error"] == error


def test_a_parcel_whose_label_was_not_told_yet_has_not_failed(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [LINE], "parcels": [{}, {"label": False}]})
    made = to_document(label_event(order), order)
    assert [parcel["state"] for parcel in made["parcels"]] == ["labelled", "created"]


def test_a_label_that_comes_after_an_error_is_a_forecast(to_document: ToDocument) -> None:
    parcel = {"id": "s-1", "updated_at": "2026-11-20T10:00Z"}
    broken = build_return_order({"lines": [LINE], "parcels": [{**parcel, "error": "E1"}]})
    mended = build_return_order({"lines": [LINE], "parcels": [{**parcel, "updated_at": "2026-11-20T11:00Z"}]})
    before = to_document(label_event(broken), broken)
    assert told(before, to_document(label_event(mended), mended)) == ["return.labelled", "parcel.labelled"]


def test_a_return_without_shipment_is_known_and_has_no_parcel(read: Read, to_document: ToDocument) -> None:
    made = to_document(read("return_order.confirmed__without_shipment"), read("get_return_order__without_shipment"))
    assert made["parcels"] == []
    assert "return.labelled" not in told(None, made)


def test_a_delivered_parcel_before_its_label_event_is_announced_once(read: Read, to_document: ToDocument) -> None:
    detail = read("get_return_order__delivered")
    delivered = to_document(read("shipment.received_tracking_updates.delivered__delivered"), detail)
    assert told(None, delivered) == ["return.registered", "return.labelled", "parcel.labelled", "parcel.delivered"]
    old = {"status": "New", "trackingUpdates": [], "updatedAt": "2026-11-20T09:31:00.000Z"}
    late = to_document(label_event(detail, **old), detail)
    assert late["parcels"][0]["state"] == "delivered"
    assert told(delivered, late) == []


def test_a_shipment_that_is_newer_in_the_event_than_in_what_was_read_counts(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [LINE], "parcels": [{"label": False}]})
    event = label_event(
        order, trackingNumber="T-1", labelUrl="https://labels.example.com/1", updatedAt="2026-11-20T12:00Z"
    )
    made = to_document(event, order)
    assert [parcel["state"] for parcel in made["parcels"]] == ["labelled"]
    assert made["updated_at"] == "2026-11-20T12:00:00.000Z"


def test_missing_expansions_of_shipment_and_consumer_leave_fields_out(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [LINE], "parcels": [{}]})
    bare = {key: value for key, value in order.items() if key not in ("shipments", "consumer")}
    made = to_document(label_event(order), bare)
    assert [parcel["state"] for parcel in made["parcels"]] == ["labelled"]
    assert "name" not in made["customer"]


@pytest.mark.parametrize("word", ["PartiallyApproved", "open", ""])
def test_an_unknown_word_of_a_resolution_waits_for_a_person(to_document: ToDocument, word: str) -> None:
    order = build_return_order({"lines": [{**LINE, "resolution": word}], "parcels": [{}]})
    with pytest.raises(UnknownWord):
        to_document(label_event(order), order)


def test_an_unknown_state_of_the_return_waits_for_a_person(document: Callable[[str], Any]) -> None:
    with pytest.raises(UnknownWord, match="PartiallyApproved"):
        document("unknown_status")


def test_a_carriers_own_tracking_words_hold_nothing_up(read: Read, to_document: ToDocument) -> None:
    detail = copy.deepcopy(read("get_return_order__one_parcel"))
    detail["shipments"][0]["trackingUpdates"] = [{"status": "HandedToNeighbour"}, {"status": "OutForSomething"}]
    made = to_document(read("shipment.label_created__one_parcel"), detail)
    assert made["parcels"][0]["state"] == "labelled"


def test_the_version_is_the_newest_time_of_all_parts(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [LINE], "parcels": [{}], "updated_at": "2026-11-20T09:00Z"})
    order["returnRequests"][0]["updatedAt"] = "2026-11-21T08:00:00.5Z"
    assert to_document(label_event(order), order)["updated_at"] == "2026-11-21T08:00:00.500Z"


def test_money_is_the_vendors_own_text(to_document: ToDocument) -> None:
    order = build_return_order({"lines": [{**LINE, "price": "1234567.10"}], "parcels": [{}]})
    assert to_document(label_event(order), order)["lines"][0]["price"] == {"gross": "1234567.10", "currency": "EUR"}
