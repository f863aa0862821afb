"""What is sent and played fits the vendor's own API description and payloads, where these are at hand.

`BACKHAUL_SPECS` names the folder with `fulfillmenttools-returns.openapi.yaml`; beside it may stand `../payloads`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from connectors.fulfillmenttools.samples import build_job
from connectors.simkit import TOKEN
from tests.connectors.fulfillmenttools_kit import FIXTURES, Hub, chain, fixture, running_hub
from tests.connectors.fulfillmenttools_site import DECISIONS, REFUNDS
from tests.support import HandClock
from tests.unit.door_kit import opened

PROJECT = Path(__file__).parents[2]
SPECS = Path(os.environ.get("BACKHAUL_SPECS") or PROJECT.parent / "shared" / "specs")
PAYLOADS = SPECS.parent / "payloads" / "fulfillmenttools"
WAITING = {"sku": "MUG", "status": "WAITING_FOR_INPUT"}
JOB = build_job({"order": "1004800", "articles": [{"sku": "MUG", "delivered": 2, "price": 12.5}],
                 "returns": [{"lines": [WAITING, WAITING]}]})  # fmt: skip
SHOWN = {
    "get_job": "ItemReturnJob",
    "list_jobs__same": "ItemReturnJobs",
    "list_returns": "ItemReturns",
    "patch_line__accepted": "ItemReturnJob",
    "patch_line__version": "ApiError",
    "patch_line__invalid": "ApiError",
    "patch_not_returnable_line": "ItemReturnJob",
    "create_subscription": "Subscription",
    "delete_subscription": "Subscription",
    "list_subscriptions": "Subscriptions",
    "list_supported_events": "SupportedEvents",
}


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


@pytest.fixture(scope="module")
def spec() -> Any:
    path = SPECS / "fulfillmenttools-returns.openapi.yaml"
    if not path.is_file():
        pytest.skip("the vendor's API description is not here: BACKHAUL_SPECS names its folder")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def faults(spec: Any, name: str, value: Any) -> list[str]:
    """What is wrong with a value, by the vendor's schema of this name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": nullable(spec["components"])}
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft4Validator(schema).iter_errors(value)]


def nullable(node: Any) -> Any:
    """The schema as JSON Schema says it: `nullable` is a word of OpenAPI."""
    if isinstance(node, list):
        return [nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: nullable(item) for key, item in node.items()}
    if made.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def sent(hub: Hub, operation: str) -> list[Any]:
    """The bodies that the platform received."""
    found = [one.body for one in hub.fft.requests if one.operation == operation]
    assert found, f"nothing was sent to {operation}"
    return found


def test_decisions_that_were_sent_fit_the_vendors_schema(hub: Hub, spec: Any) -> None:
    hub.jobs.seed({"jobs": [JOB]})
    hub.use(DECISIONS)
    hub.grade(order="1004800", sku="MUG", quantity={"received": 2, "accepted": 1, "rejected": 1})
    for body in sent(hub, "patch_line"):
        assert faults(spec, "ItemReturnLineItemForUpdate", body) == []


def test_refunds_that_were_sent_fit_the_vendors_schema(hub: Hub, spec: Any) -> None:
    hub.jobs.seed({"jobs": [JOB]})
    hub.use(REFUNDS)
    hub.jobs.change(JOB["id"], lambda job: job["itemReturns"][0]["returnedLineItems"][0].update(status="ACCEPTED"))
    hub.tell(hub.jobs.events[-1])
    (body,) = sent(hub, "patch_line")
    assert faults(spec, "ItemReturnLineItemForUpdate", body) == []
    assert faults(spec, "ReturnedLineItemRefund", body["refund"]) == []


def test_whatever_our_own_schemas_let_out_names_no_field_that_the_vendor_does_not_know(spec: Any) -> None:
    ours = {
        "patch_line": "ItemReturnLineItemForUpdate",
        "patch_not_returnable_line": "ItemReturnNotReturnableLineItemForUpdate",
        "create_subscription": "SubscriptionForCreation",
    }
    for name, theirs in ours.items():
        schema = json.loads((PROJECT / f"connectors/fulfillmenttools/schemas/{name}.json").read_text())
        vendor = spec["components"]["schemas"][theirs]
        assert set(schema["properties"]) <= set(vendor["properties"])
        assert set(vendor["required"]) <= set(schema["required"])
        if "status" in schema["properties"]:
            assert schema["properties"]["status"]["enum"] == vendor["properties"]["status"]["enum"]


def test_every_word_of_the_vendor_is_in_a_table(spec: Any) -> None:
    schemas = spec["components"]["schemas"]
    words = {
        "job": {*schemas["ItemReturnJob"]["properties"]["status"]["enum"]} - {"OPEN"},
        "return": {*schemas["ItemReturn"]["properties"]["status"]["enum"]},
        "line": {*schemas["ItemReturnLineItem"]["properties"]["status"]["enum"]},
        "refund": {*schemas["ReturnedLineItemRefund"]["properties"]["status"]["enum"]},
    }
    for name, wanted in words.items():
        rows = (PROJECT / f"mappings/tables/fulfillmenttools_{name}_state.csv").read_text().split()[1:]
        assert {row.split(",")[0] for row in rows} == wanted


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_a_fixture_fits_the_vendors_schema(spec: Any, path: Path) -> None:
    value, name = json.loads(path.read_text(encoding="utf-8")), path.stem
    if name.startswith(("ITEM_RETURN_JOB", "REFUND_TRIGGERED")):
        assert faults(spec, "WebHookEvent", value) == []
        return
    schema = next((schema for start, schema in SHOWN.items() if name.startswith(start)), None)
    if schema is None:
        pytest.skip("the vendor has no schema of it")
    # The published examples leave addresses out and write null for what is not there; and a subscription with an id,
    # which is what its own schema asks for, the description forbids in another place.
    known = ("consumerAddresses", "None", "('created', 'id' were unexpected)")
    assert [fault for fault in faults(spec, schema, value) if not any(word in fault for word in known)] == []


def test_what_the_simulator_answers_fits_the_vendors_schema(hub: Hub, spec: Any) -> None:
    hub.jobs.seed({"jobs": [JOB]})
    hub.fft.identity.first_token = TOKEN
    client, auth = hub.fft.app.test_client(), {"Authorization": f"Bearer {TOKEN}"}
    for path, name in (
        (f"/api/itemreturnjobs/{JOB['id']}", "ItemReturnJob"),
        ("/api/itemreturnjobs", "ItemReturnJobs"),
        ("/api/itemreturns", "ItemReturns"),
        ("/api/itemreturnjobs/none", "ApiError"),
    ):
        assert faults(spec, name, client.get(path, headers=auth).json) == []


def test_the_published_payloads_go_through_as_they_are(hub: Hub) -> None:
    files = sorted(PAYLOADS.glob("*.json"))
    if not files:
        pytest.skip("the published payloads are not here")
    events = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    hub.tell(*events)
    assert [row["state"] for row in hub.events()] == ["done"] * len(events)
    jobs = {event["payload"]["id"]: event["payload"]["version"] for event in events}
    assert {job: hub.document(job)["version"] for job in jobs} == jobs
    assert len([effect for effect in hub.effects() if "line.accepted" in effect]) == 3


def test_the_fixtures_are_the_published_payloads_but_for_the_addresses_of_pictures() -> None:
    published = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(PAYLOADS.glob("*.json"))]
    if not published:
        pytest.skip("the published payloads are not here")
    ours = [*chain("order_1234"), *chain("order_2222"), fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund")]

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key != "imageUrl"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    assert plain(published) == plain(ours)
