"""What is sent and played fits the vendor's own schemas, where these are at hand.

`BACKHAUL_SPECS` names the folder with `digital-river-schemas.yaml`, made from the vendor's published client.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app.core.tables import Table
from tests.connectors.digital_river_kit import FIXTURES, Hub, fixture, running_hub
from tests.support import HandClock
from tests.unit.door_kit import opened

SPECS = Path(os.environ.get("BACKHAUL_SPECS") or Path(__file__).parents[3] / "shared" / "specs")
SHOWN = {
    "create_fulfillment_return__taken": "GlobalFulfillmentReturnResponse",
    "create_fulfillment_return__too_many": "Errors",
    "get_fulfillment_return__accepted_in_part": "GlobalFulfillmentReturnResponse",
    "get_fulfillment_order__numeric_ids": "GlobalFulfillmentOrder",
    "list_fulfillment_returns__two_alike": "ListGlobalFulfillmentReturnsResponse",
    "list_fulfillment_returns__ours_and_another": "ListGlobalFulfillmentReturnsResponse",
    "list_fulfillment_orders__no_has_more": "InlineResponse200",
    "create_refund__taken": "OrderRefund",
    "create_refund__too_much": "Errors",
    "list_refunds__failed_and_paid": "ListRefundsResponse",
    "list_events__last_page": "ListEventsResponse",
}
EVENTS = sorted(path.stem for path in FIXTURES.glob("*.json") if path.stem.split("__")[0].count("."))


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


@pytest.fixture(scope="module")
def spec() -> Any:
    path = SPECS / "digital-river-schemas.yaml"
    if not path.is_file():
        pytest.skip("the vendor's schemas are not here: BACKHAUL_SPECS names their folder")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def faults(spec: Any, name: str, value: Any) -> list[str]:
    """What is wrong with a value, by the vendor's schema of this name; fields that it does not know count."""
    schemas = {
        key: {"additionalProperties": key in ("Event", "EventData"), **one}
        for key, one in spec["components"]["schemas"].items()
    }
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft4Validator(schema).iter_errors(value)]


def test_what_was_sent_fits_the_vendors_schemas(hub: Hub, spec: Any) -> None:
    hub.ask(("TEE-RED-M", 1), ("0012345", 1))
    (made,) = hub.fulfiller.returns
    hub.fulfiller.accept(made)
    hub.tell(*hub.news())
    (asked,), refunds = hub.made("create_fulfillment_return"), hub.made("create_refund")
    assert faults(spec, "GlobalFulfillmentReturnRequest", asked.body) == []
    assert [faults(spec, "RefundRequest", one.body) for one in refunds] == [[], []]


@pytest.mark.parametrize(("name", "schema"), SHOWN.items())
def test_an_answer_that_is_played_fits_the_vendors_schema(spec: Any, name: str, schema: str) -> None:
    assert faults(spec, schema, fixture(name)) == []


@pytest.mark.parametrize("name", [name for name in EVENTS if name.startswith("fulfillment_return.")])
def test_an_event_that_is_played_holds_a_return_of_the_vendors_schema(spec: Any, name: str) -> None:
    event = fixture(name)
    made = event["data"]["object"]
    if "other_spelling" in name:
        made["livemode"] = made.pop("liveMode")
    if "unknown_state" in name:
        assert faults(spec, "GlobalFulfillmentReturnResponse", made)
        return
    assert faults(spec, "GlobalFulfillmentReturnResponse", made) == []


def test_every_word_of_the_vendor_is_in_a_table(hub: Hub, spec: Any) -> None:
    schemas, tables = spec["components"]["schemas"], hub.site.tables
    made, item = (schemas[f"GlobalFulfillmentReturn{name}"]["properties"] for name in ("Response", "ItemResponse"))
    for table, words in (
        ("digital_river_return_state", made["state"]["enum"]),
        ("digital_river_return_rank", made["state"]["enum"]),
        ("digital_river_line_state", item["state"]["enum"]),
    ):
        found = tables[table]
        assert isinstance(found, Table)
        assert set(found) == set(words)
