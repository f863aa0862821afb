"""The warehouse and the ERP behave as their connectors' documents say."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from connectors.generic_erp import simulator as erp_simulator
from connectors.generic_wms import simulator as wms_simulator
from connectors.simkit import TOKEN
from connectors.simserve import running

AUTH = {"Authorization": f"Bearer {TOKEN}"}


def announcement(rma: str = "R-1/1004800", **more: Any) -> dict[str, Any]:
    lines = [{"sku": "0012345", "quantity": 1}]
    return {"rmaNumber": rma, "salesOrder": "1e5", "parcels": [{"trackingNumber": "T-1"}], "lines": lines, **more}


@pytest.fixture
def wms() -> Iterator[FlaskClient]:
    with wms_simulator.create_app().test_client() as client:
        yield client


@pytest.fixture
def erp() -> Iterator[FlaskClient]:
    with erp_simulator.create_app().test_client() as client:
        yield client


def post(wms: FlaskClient, body: Any, key: str = "") -> Any:
    return wms.post("/returns", json=body, headers=AUTH | ({"Idempotency-Key": key} if key else {}))


def test_the_same_key_with_the_same_body_gets_the_first_answer_and_changes_nothing(wms: FlaskClient) -> None:
    first, second = post(wms, announcement(), "k"), post(wms, announcement(), "k")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert second.headers["Idempotent-Replay"] == "true"
    assert len(wms.get("/_sim/requests").json["effects"]) == 1


def test_the_same_key_with_another_body_is_refused(wms: FlaskClient) -> None:
    post(wms, announcement(), "k")
    answer = post(wms, announcement("R-2/1004800"), "k")
    assert (answer.status_code, answer.json["code"]) == (422, "KEY_REUSED")


def test_an_rma_number_is_announced_once_and_a_repetition_tells_its_return_number(wms: FlaskClient) -> None:
    first, again = post(wms, announcement(), "k-1"), post(wms, announcement(), "k-2")
    assert (again.status_code, again.json["code"]) == (409, "DUPLICATE")
    assert again.json["returnNumber"] == first.json["returnNumber"]


def test_ten_at_once_with_the_same_key_make_one_return() -> None:
    with running(wms_simulator.create_app()) as url, ThreadPoolExecutor(10) as pool:
        send = lambda _: requests.post(  # noqa: E731
            f"{url}/returns", json=announcement(), headers=AUTH | {"Idempotency-Key": "k"}, timeout=5
        )
        assert {answer.status_code for answer in pool.map(send, range(10))} == {201}
        assert len(requests.get(f"{url}/_sim/requests", timeout=5).json()["effects"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"salesOrder": 1004800}, {"lines": []}, {"lines": [{"sku": "A", "quantity": 0}]}, {"parcels": []}, {"extra": 1}],
)
def test_a_body_that_does_not_fit_the_schema_is_refused(wms: FlaskClient, wrong: dict[str, Any]) -> None:
    answer = post(wms, announcement(**wrong))
    assert (answer.status_code, answer.json["code"]) == (422, "INVALID")
    assert answer.json["details"]


def test_a_return_that_is_being_counted_is_locked_until_it_is_not(wms: FlaskClient) -> None:
    wms.post("/_sim/seed", json={"locked": ["R-1/1004800"]})
    assert post(wms, announcement(), "k").status_code == 423
    wms.post("/_sim/seed", json={"unlocked": ["R-1/1004800"]})
    assert post(wms, announcement(), "k").status_code == 201


def test_tracking_replaces_the_parcels_of_a_return_whose_number_has_a_slash(wms: FlaskClient) -> None:
    post(wms, announcement("R-1/#1004800"))
    parcels = [{"trackingNumber": "T-1"}, {"trackingNumber": "T-2"}]
    answer = wms.put("/returns/R-1%2F%231004800/tracking", json={"parcels": parcels}, headers=AUTH)
    assert (answer.status_code, answer.json["parcels"]) == (200, parcels)
    assert wms.get("/returns?rma=R-1/%231004800", headers=AUTH).json["items"][0]["parcels"] == parcels


def test_tracking_of_an_unknown_return_is_not_found(wms: FlaskClient) -> None:
    assert (
        wms.put("/returns/R-9/tracking", json={"parcels": [{"trackingNumber": "T"}]}, headers=AUTH).status_code == 404
    )


def test_returns_are_found_by_exactly_their_rma_number(wms: FlaskClient) -> None:
    post(wms, announcement("R-1"))
    post(wms, announcement("R-10"))
    found = wms.get("/returns?rma=R-1", headers=AUTH).json["items"]
    assert [row["rmaNumber"] for row in found] == ["R-1"]


def test_a_grouped_announcement_is_taken_too(wms: FlaskClient) -> None:
    order = {"shopOrder": "#1004800", "lines": [{"sku": "A", "quantity": 1}]}
    body = {"rmaNumber": "R-1", "parcels": [{"trackingNumber": "T-1"}], "orders": [order]}
    assert post(wms, body).status_code == 201


@pytest.mark.parametrize("numbers", [[], ["0000012E4"], ["0000012E4", "0000012E5"]])
def test_the_erp_finds_none_one_or_two_orders_of_an_external_number(erp: FlaskClient, numbers: list[str]) -> None:
    erp.post("/_sim/seed", json={"orders": [{"externalNumber": "1004800", "number": one} for one in numbers]})
    answer = erp.get("/orders?externalNumber=1004800", headers=AUTH).json
    assert [row["number"] for row in answer["items"]] == numbers
    assert answer["total"] == len(numbers)


def test_an_order_can_reach_the_erp_later(erp: FlaskClient) -> None:
    assert erp.get("/orders?externalNumber=1e5", headers=AUTH).json["items"] == []
    erp.post("/_sim/seed", json={"orders": [{"externalNumber": "1e5", "number": "007"}]})
    assert erp.get("/orders?externalNumber=1e5", headers=AUTH).json["items"][0]["number"] == "007"
    assert erp.get("/orders/007", headers=AUTH).json["externalNumber"] == "1e5"


def test_the_erp_can_know_every_order() -> None:
    erp = erp_simulator.create_app(derive="SO-").test_client()
    found = erp.get("/orders", query_string={"externalNumber": "Nº 7 – ü"}, headers=AUTH).json["items"]
    assert [row["number"] for row in found] == ["SO-Nº 7 – ü"]


def test_an_unknown_order_is_not_found(erp: FlaskClient) -> None:
    assert erp.get("/orders/none", headers=AUTH).status_code == 404
