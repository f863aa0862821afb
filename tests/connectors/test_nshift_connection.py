"""What `check` says of a connection to nShift, and what a polled return becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.adapters.files import check, load_site
from app.core.auth import credentials
from app.core.site import Site
from tests.connectors.hub_kit import project_of
from tests.connectors.nshift_kit import Make, make, nshift, sqlite_ledger

__all__ = ["make", "nshift", "sqlite_ledger"]  # fixtures

STAGING, PRODUCTION = "https://staging.returnado.com/public-api/v3", "https://new-prod.returnado.com/public-api/v3"


def told(tmp_path: Path, **settings: str) -> str:
    """All that `check` says of a site with these settings."""
    rows = "\n".join(f"      {name}: {value}" for name, value in {"username": "shop", **settings}.items())
    (tmp_path / "config").mkdir()
    head = "connections:\n  nshift:\n    connector: nshift\n    poll: true\n    settings:\n"
    text = f"{head}{rows}\n      password: ${{SECRET}}\n"
    (tmp_path / "config" / "connections.yaml").write_text(text, encoding="utf-8")
    with project_of([text]):
        return "\n".join(map(str, check(tmp_path, {"SECRET": "s3cret"})))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, ""),
        ({"base_url": PRODUCTION}, "base_url is nShift's production, and environment says test"),
        ({"base_url": PRODUCTION.upper().replace("HTTPS", "https")}, "base_url is nShift's production"),
        ({"base_url": PRODUCTION, "environment": "production"}, ""),
        ({"base_url": STAGING, "environment": "production"}, "base_url is nShift's staging"),
        ({"environment": "live"}, "environment is neither test nor production"),
        ({"base_url": "https://proxy.example.com/nshift"}, ""),
    ],
)
def test_production_is_never_reached_by_a_connection_that_says_test(
    tmp_path: Path, settings: dict[str, str], fault: str
) -> None:
    said = told(tmp_path, **settings)
    assert (fault in said) if fault else not said, said


def test_a_user_name_with_a_colon_is_refused_and_the_password_not_shown(tmp_path: Path) -> None:
    said = told(tmp_path, username='"shop:1"')
    assert "takes no user name with a colon" in said and "s3cret" not in said


def test_user_and_password_are_sent_as_utf_8(tmp_path: Path) -> None:
    assert not told(tmp_path, username="hübsch")
    with project_of(["connector: nshift"]):
        auth = load_site(tmp_path, env={"SECRET": "s3cret"}).connections["nshift"].auth
    assert credentials(auth) == {"Authorization": "Basic aMO8YnNjaDpzM2NyZXQ="}


def test_one_call_at_a_time_two_a_second_unless_the_connection_says_otherwise(site: Site) -> None:
    limits = site.connectors["nshift"].limits
    assert (limits.rate, limits.concurrency, limits.timeout_s) == (2.0, 1, 30.0)


# --- polled --------------------------------------------------------------------------------------


def polled(hub: Any, **more: Any) -> dict[str, Any]:
    """A return as nShift lists it, told to the hub as the poll does; it is read."""
    (record,) = hub.sim_seed()["returns"]
    payload = {"event": "return_order.polled", "data": {**record, **more}}
    hub.tells_whole("nshift", "return_order.polled", payload)
    hub.run()
    return dict(payload["data"])


def test_a_polled_return_is_a_document_of_the_hub(make: Make) -> None:
    hub = make()
    hub.opens({"sku": "hera", "quantity": 2}, known=False)
    polled(hub)
    body = hub.head("nshift", "4711")
    assert (body["id"], body["state"], body["orders"]) == ("4711", "approved", [{"number": "A-1"}])
    assert "number" not in body
    assert [entry["sku"] for entry in body["lines"]] == ["hera", "hera"]


def test_an_external_number_is_a_number_and_the_vendors_empty_one_is_none(make: Make) -> None:
    hub = make()
    hub.opens({"sku": "hera"}, known=False)
    polled(hub, returnOrderExtId="RET-4711")
    assert hub.head("nshift", "4711")["number"] == "RET-4711"


@pytest.mark.parametrize("status", ["Not Processed", "NOT_PROCESSED", "not-processed"])
def test_a_state_counts_in_whatever_spelling(make: Make, status: str) -> None:
    hub = make()
    hub.opens({"sku": "hera"}, known=False)
    polled(hub, status=status)
    assert hub.head("nshift", "4711")["state"] == "approved"


def test_a_state_that_nobody_knows_is_kept_and_waits_for_a_person(make: Make) -> None:
    hub = make()
    hub.opens({"sku": "hera"}, known=False)
    polled(hub, status="escalated")
    (row,) = hub.ledger.events({}, 10)
    assert row["state"] == "parked" and "'escalated'" in row["because"]
