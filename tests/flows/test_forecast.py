"""The forecast: a printed label becomes an announcement at the warehouse, a cancelled return its cancellation."""

from __future__ import annotations

from tests.flows.kit import Flows

RETURN = "0198a000-0000-7000-8000-00000000f001"
PARCEL = "0198a000-0000-7000-8000-00000000f0a1"


def test_a_label_of_two_orders_becomes_two_announcements_and_nothing_else(flows: Flows) -> None:
    flows.seed(
        "erp",
        orders=[{"externalNumber": "1004800", "number": "0000012E4"}, {"externalNumber": "1004801", "number": "1e5"}],
    )
    lines = [{"order": "#1004800", "sku": "SHIRT-M", "quantity": 3}, {"order": "1004801", "sku": "MUG-01"}]
    parcels = [{"id": PARCEL, "tracking_number": "3SFLOW1004800"}]
    flows.seed("platform", build=[{"id": RETURN, "lines": lines, "parcels": parcels}])
    for _ in range(2):
        flows.ask("platform", event="shipment.label_created", id=PARCEL, url="{hub}/webhooks/returnista_eu")
    assert len(flows.effects("warehouse", "announce_return")) == 2
    assert flows.routes() == {"announce_to_warehouse": ["done", "done"]}
    (shirts,) = [
        one.body["lines"] for one in flows.made("warehouse", "announce_return") if one.body["shopOrder"] == "#1004800"
    ]
    assert [(line["sku"], line["quantity"], len(line["requests"])) for line in shirts] == [("SHIRT-M", 3, 3)]
    assert not flows.tasks()
