"""What the warehouse is told of a return: the tricky ones, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.core.references import Lookup, Stored, Table
from app.core.site import Site
from app.pipeline.rehearse import body_faults, render_call
from connectors.generic_erp import simulator as erp_simulator
from connectors.generic_wms import simulator as wms_simulator
from connectors.returnista.samples import build_return_order
from connectors.simkit import TOKEN

TEE = {"order": "#1004800", "sku": "TEE-RED-M"}
MUG = {"order": "1004801", "sku": "0012345", "reason": "DAMAGED"}


@pytest.fixture
def announce(site: Site, to_document: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The bodies for a return of these lines, by shop order."""

    def make(*lines: dict[str, Any], parcels: int = 1, mapping: str = "return.to_generic_wms") -> dict[str, Any]:
        order = build_return_order({"id": "RET-1", "lines": list(lines), "parcels": [{}] * parcels})
        document = to_document({"event": "shipment.label_created", "data": order["shipments"][-1]}, order)
        return bodies(site, mapping, document)

    return make


def bodies(site: Site, mapping: str, document: Any) -> dict[str, Any]:
    file = site.mappings[mapping]
    names: dict[str, Any] = {"return": document, "change": {}, "settings": {}, "answers": [], "raw": {}, "source": ""}
    parts = file.split.each.render(names) if file.split else [""]
    made = {}
    for part in parts:
        if file.split:
            names[file.split.name] = part
        args, body = render_call(file, names, lambda use, seen: f"ERP {use.id.render(seen)}")
        made[part] = {"args": args, "body": body}
    return made


def test_each_order_of_a_return_is_announced_under_its_own_erp_number(announce: Any) -> None:
    made = announce(TEE, MUG)
    assert list(made) == ["#1004800", "1004801"]
    assert [one["body"]["salesOrder"] for one in made.values()] == ["ERP #1004800", "ERP 1004801"]
    assert [one["body"]["rmaNumber"] for one in made.values()] == ["RET-1/#1004800", "RET-1/1004801"]
    assert [[line["sku"] for line in one["body"]["lines"]] for one in made.values()] == [["TEE-RED-M"], ["0012345"]]


def test_three_equal_requests_are_one_line_of_three_with_three_request_ids(announce: Any) -> None:
    (line,) = announce({**TEE, "quantity": 3})["#1004800"]["body"]["lines"]
    assert (line["quantity"], len(set(line["requests"]))) == (3, 3)


def test_every_announcement_fits_the_schema_and_is_taken_by_the_warehouse(site: Site, announce: Any) -> None:
    operation = site.connectors["generic_wms"].operations["announce_return"]
    wms = wms_simulator.create_app().test_client()
    for made in announce({**TEE, "quantity": 3}, MUG, parcels=2).values():
        assert body_faults(operation, made["body"]) == []
        answer = wms.post("/returns", json=made["body"], headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 201


def test_both_parcels_are_told_and_the_items_only_once(site: Site, announce: Any) -> None:
    announced = announce(TEE, MUG, parcels=2)
    tracked = announce(TEE, MUG, parcels=2, mapping="return.to_generic_wms_tracking")
    for order, made in tracked.items():
        assert made["args"]["rma"] == announced[order]["body"]["rmaNumber"]
        assert len(made["body"]["parcels"]) == 2
        assert list(made["body"]) == ["parcels"]
    operation = site.connectors["generic_wms"].operations["update_tracking"]
    assert all(body_faults(operation, made["body"]) == [] for made in tracked.values())


def test_a_return_of_two_orders_can_be_announced_at_once_grouped_by_order(site: Site, announce: Any) -> None:
    (made,) = announce({**TEE, "quantity": 3}, MUG, mapping="return.to_generic_wms_grouped").values()
    orders = made["body"]["orders"]
    assert [(one["shopOrder"], [line["quantity"] for line in one["lines"]]) for one in orders] == [
        ("#1004800", [3]),
        ("1004801", [1]),
    ]
    assert body_faults(site.connectors["generic_wms"].operations["announce_grouped_return"], made["body"]) == []


@pytest.mark.parametrize(
    "number", ["0000012E4", "1e5", "1_000", "0x1F", "None", "no", "12345678901234567890", "Nº 7–ü", " 7 "]
)
def test_a_number_of_any_look_reaches_the_body_as_it_is(announce: Any, number: str) -> None:
    (made,) = announce({"order": number, "sku": number}).values()
    assert made["body"]["shopOrder"] == number
    assert made["body"]["lines"][0]["sku"] == number
    assert made["body"]["rmaNumber"] == f"RET-1/{number}"


def test_a_failed_parcel_is_not_expected_at_the_dock(site: Site, to_document: Callable[..., Any]) -> None:
    order = build_return_order({"lines": [TEE], "parcels": [{}, {"error": "E1"}]})
    document = to_document({"event": "shipment.label_created", "data": order["shipments"][0]}, order)
    (made,) = bodies(site, "return.to_generic_wms", document).values()
    assert len(made["body"]["parcels"]) == 1


def test_the_example_routes_announce_once_track_further_parcels_and_cancel(site: Site) -> None:
    forecast = [route for route in site.routes if route.where.file == "config/routes.yaml"]
    found = {route.name: (route.changes, [call.operation for call in route.calls]) for route in forecast}
    assert found == {
        "announce_to_warehouse": (("return.labelled",), ["announce_return"]),
        "update_tracking": (("parcel.labelled",), ["update_tracking"]),
        "cancel_at_warehouse": (("return.cancelled",), ["cancel_return"]),
    }


# --- the number's translation --------------------------------------------------------------------


@pytest.fixture
def lookup(site: Site) -> Lookup:
    steps = site.references["order", "shop", "erp"].steps
    assert [type(step) for step in steps] == [Table, Stored, Lookup]
    found = steps[-1]
    assert isinstance(found, Lookup)
    return found


def taken(lookup: Lookup, number: str, *orders: dict[str, Any]) -> Any:
    erp = erp_simulator.create_app().test_client()
    erp.post("/_sim/seed", json={"orders": list(orders)})
    asked = lookup.args.render({"id": number, "scope": ""})
    answer = erp.get(
        "/orders", query_string={"externalNumber": asked["external"]}, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    return lookup.take.render({"id": number, "scope": "", "body": answer.json, "status": 200})


def test_the_sign_of_an_order_number_is_not_asked_for(lookup: Lookup) -> None:
    assert taken(lookup, "#1004800", {"externalNumber": "1004800", "number": "0000012E4"}) == ["0000012E4"]
    assert taken(lookup, "1004800", {"externalNumber": "1004800", "number": "0000012E4"}) == ["0000012E4"]


def test_an_unknown_order_is_no_number_and_two_matches_are_two(site: Site, lookup: Lookup) -> None:
    assert taken(lookup, "#1004800") == []
    both = [{"externalNumber": "1004800", "number": number} for number in ("1", "2")]
    assert taken(lookup, "#1004800", *both) == ["1", "2"]
    assert site.references["order", "shop", "erp"].missing == "park"


def test_what_a_loose_search_finds_beside_the_number_does_not_count(lookup: Lookup) -> None:
    body = {"items": [{"externalNumber": one, "number": f"N{one}"} for one in ("10048001", "1004800", "01004800")]}
    assert lookup.take.render({"id": "#1004800", "scope": "", "body": body, "status": 200}) == ["N1004800"]


def test_orders_from_before_the_migration_are_in_a_table(site: Site) -> None:
    assert site.tables["orders_before_migration"]["#0990001"] == "LEGACY-000017"
