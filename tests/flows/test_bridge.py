"""Returnista asks while a customer waits: the example site answers from the shop, and resolves once."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from app.pipeline.story import tell
from tests.connectors.example_site import ROOT
from tests.flows.kit import Flows, example_site

SECRET = "demo-bridge-secret"
SHOP_FIXTURES = ROOT / "connectors/generic_shop/fixtures"
FIXTURES = ROOT / "connectors/returnista_bridge/fixtures"
ORDER = json.loads((SHOP_FIXTURES / "get_order__two_lines.json").read_text("utf-8"))
SHIRT, MUG = (line["id"] for line in ORDER["lines"])
OTHER = {**ORDER, "id": "5502", "number": "1004700", "email": "ROBIN@example.com", "lines": [ORDER["lines"][1]]}
STRANGER = {**ORDER, "id": "5503", "number": "1004600", "email": "eve@example.com"}
ASKED = json.loads((FIXTURES / "get-purchases__one_order.json").read_text("utf-8"))
RESOLVE = json.loads((FIXTURES / "resolve-return__refund.json").read_text("utf-8"))


class Asked:
    """What the simulated platform got."""

    def __init__(self, answer: Any) -> None:
        self.statuses: list[int] = answer["statuses"]
        self.texts: list[str] = answer["answers"]

    @property
    def status(self) -> int:
        """The first status."""
        return self.statuses[0]

    @property
    def said(self) -> Any:
        """The first answer."""
        return json.loads(self.texts[0])


def ask(flows: Flows, path: str, question: Any, **how: Any) -> Asked:
    """Let the simulated platform ask over the network, signed."""
    url = f"{{hub}}/bridge/returnista_bridge/{path}"
    return Asked(
        flows.ask("platform", "/_sim/ask", run=False, **{"url": url, "secret": SECRET, "request": question, **how})
    )


def purchases(flows: Flows, **changed: Any) -> Asked:
    return ask(flows, "get-purchases", {**ASKED, **changed})


def resolve(flows: Flows, question: Any = RESOLVE, **how: Any) -> Asked:
    return ask(flows, "resolve-return", question, **how)


def with_requests(*requests: dict[str, Any], transaction: str = "t-2") -> Any:
    """A transaction; each request is that of the fixture with something changed."""
    one = RESOLVE["returnRequests"][0]
    made = [{**copy.deepcopy(one), "id": f"rr-{number}", **changed} for number, changed in enumerate(requests, 1)]
    return {"transactionId": transaction, "returnRequests": made}


@pytest.fixture(autouse=True)
def orders(flows: Flows) -> None:
    flows.seed("shop", orders=[ORDER, OTHER, STRANGER])


def resolved(flows: Flows) -> list[str]:
    """What the shop has resolved."""
    return flows.effects("shop", "resolve_return")


# --- get-purchases -------------------------------------------------------------------------------


def test_each_line_of_the_order_is_a_purchase_with_a_unit_for_each_piece(flows: Flows) -> None:
    answer = purchases(flows)
    assert answer.status == 200
    assert [(one["id"], one["order"]["orderNumber"]) for one in answer.said] == [(SHIRT, "1004800"), (MUG, "1004800")]
    paid = [[unit["paidAmount"]["value"] for unit in one["units"]] for one in answer.said]
    assert paid == [["24.95", "24.95"], ["15.05"]]
    assert all("fulfilledAt" not in unit for one in answer.said for unit in one["units"])


def test_what_was_shipped_says_when_and_what_was_cancelled_cannot_be_returned(flows: Flows) -> None:
    lines = [ORDER["lines"][0], {**ORDER["lines"][1], "state": "CANCELLED"}]
    flows.seed("shop", orders=[{**ORDER, "state": "SHIPPED", "shippedAt": "2026-11-16T10:00:00+01:00", "lines": lines}])
    shirt, mug = purchases(flows).said
    assert {unit["fulfilledAt"] for unit in shirt["units"]} == {"2026-11-16T09:00:00.000Z"}
    assert [unit.get("returnable") for unit in (*shirt["units"], *mug["units"])] == [None, None, "no"]


def test_what_was_paid_for_a_line_is_shared_out_to_the_cent(flows: Flows) -> None:
    flows.seed("shop", orders=[{**ORDER, "lines": [{**ORDER["lines"][0], "quantity": 3, "paid": "50.00"}]}])
    (shirt,) = purchases(flows).said
    assert [unit["paidAmount"]["value"] for unit in shirt["units"]] == ["16.66", "16.66", "16.68"]


def test_a_wrong_address_looks_exactly_like_no_such_order(flows: Flows) -> None:
    wrong = purchases(flows, email="eve@example.com", includeOtherOrders=True)
    unknown = purchases(flows, orderNumber="#9999999")
    assert (wrong.statuses, wrong.texts) == (unknown.statuses, unknown.texts) == ([200], ["[]"])
    assert flows.made("shop", "find_orders") == []


@pytest.mark.parametrize("email", ["", None, " ", "%", "robin@example.com.evil.example.com"])
def test_no_address_opens_an_order_but_its_own(flows: Flows, email: Any) -> None:
    assert purchases(flows, email=email).said == []
    flows.seed("shop", orders=[{**ORDER, "email": ""}])
    assert purchases(flows, email=email).said == []


def test_the_customers_other_orders_come_only_when_they_are_asked_for(flows: Flows) -> None:
    assert {one["order"]["orderNumber"] for one in purchases(flows).said} == {"1004800"}
    assert flows.made("shop", "find_orders") == []
    found = purchases(flows, includeOtherOrders=True).said
    assert [(one["order"]["orderNumber"], one["id"]) for one in found] == [
        ("1004800", SHIRT),
        ("1004800", MUG),
        ("1004700", MUG),
    ]


def test_an_order_of_somebody_else_never_comes_along_whatever_the_shop_finds(flows: Flows) -> None:
    flows.seed("shop", orders=[{**STRANGER, "email": ORDER["email"]}])
    assert len(purchases(flows, includeOtherOrders=True).said) == 5
    flows.seed("shop", orders=[STRANGER])
    assert len(purchases(flows, includeOtherOrders=True).said) == 3


@pytest.mark.parametrize("fault", ["503", "html502", "429"])
def test_a_shop_that_is_away_is_an_error_and_not_an_empty_list(flows: Flows, fault: str) -> None:
    flows.misbehave("shop", "get_order", fault)
    answer = purchases(flows)
    assert (answer.status, answer.said["errors"][0]["code"]) == (503, "unavailable")
    assert purchases(flows).status == 200


def test_a_shop_that_does_not_answer_in_time_is_503(flows: Flows) -> None:
    site = example_site()
    flows.open(replace(site, bridges=tuple(replace(one, deadline_s=0.3) for one in site.bridges)))
    flows.misbehave("shop", "get_order", "timeout")
    assert purchases(flows).status == 503
    flows.misbehave("shop", "resolve_return", "timeout_after_apply")
    assert resolve(flows).status == 503
    assert resolve(flows).status == 200
    assert len(resolved(flows)) == 1


# --- resolve-return ------------------------------------------------------------------------------


def test_a_transaction_is_resolved_once_and_answered_the_same_byte_for_byte(flows: Flows) -> None:
    first = resolve(flows)
    assert first.said == {
        "transactionId": "t-1001",
        "externalId": "RES-000001",
        "returnRequests": [{"id": "rr-1", "resolved": True}],
    }
    again = resolve(flows, {**RESOLVE, "sentAgain": True}, copies=3)
    assert again.statuses == [200, 200, 200]
    assert set(again.texts) == set(first.texts)
    (made,) = flows.made("shop", "resolve_return")
    assert made.body == {
        "type": "REFUND",
        "externalReference": "t-1001",
        "lines": [{"line": SHIRT, "quantity": 1, "amount": "24.95", "currency": "EUR"}],
    }


def test_the_same_transaction_many_times_at_once_is_resolved_once(flows: Flows) -> None:
    answer = resolve(flows, copies=6, concurrent=True)
    assert set(answer.statuses) <= {200, 503}
    assert len({text for status, text in zip(answer.statuses, answer.texts, strict=True) if status == 200}) == 1
    assert len(resolved(flows)) == 1


@pytest.mark.parametrize("fault", ["drop", "drop_before_apply", "503", "429"])
def test_a_resolution_whose_answer_was_lost_is_made_once_when_it_is_asked_for_again(flows: Flows, fault: str) -> None:
    flows.misbehave("shop", "resolve_return", fault)
    assert resolve(flows).status == 503
    flows.clock.move(60)
    assert resolve(flows).status == 200
    keys = {one.headers["Idempotency-Key"] for one in flows.made("shop", "resolve_return")}
    assert (len(resolved(flows)), len(keys)) == (1, 1)


def test_each_time_that_the_shop_was_called_is_a_try_in_the_story(flows: Flows) -> None:
    flows.misbehave("shop", "resolve_return", "drop", times=2)
    assert [resolve(flows).status for _ in range(4)] == [503, 503, 200, 200]
    for number in ("t-1001", "1004800", "RES-000001"):
        (story,) = tell(flows.ledger, number)["stories"]
        assert story["open"] == []
        assert [entry["what"] for entry in story["entries"]] == ["question", "call", "call", "call"]
        assert [entry["title"].partition("try ")[2] for entry in story["entries"][1:]] == ["", "2)", "3)"]


def test_requests_of_one_line_are_its_pieces_and_another_kind_of_resolution_says_so(flows: Flows) -> None:
    credit = {"type": "StoreCredit", "value": {"value": "15.05", "currency": "EUR"}}
    assert resolve(flows, with_requests({}, {}, {"purchaseId": MUG, "resolution": credit})).status == 200
    (made,) = flows.made("shop", "resolve_return")
    assert made.body["lines"] == [
        {"line": SHIRT, "quantity": 2, "amount": "49.90", "currency": "EUR"},
        {"line": MUG, "quantity": 1, "type": "VOUCHER", "amount": "15.05", "currency": "EUR"},
    ]


@pytest.mark.parametrize(
    "requests",
    [
        [{}, {"purchaseId": MUG, "purchaseOrderNumber": "1004700"}],  # two orders
        [{"resolution": {"type": "Repair", "value": {"value": "1", "currency": "EUR"}}}],
        [{}, {"resolution": {"type": "Exchange", "value": {"value": "1", "currency": "EUR"}}}],  # of one line
        [{}, {}, {}],  # more than was bought
        [{"purchaseOrderNumber": "9999999"}],
    ],
)
def test_what_the_shop_cannot_resolve_is_no_success_and_changes_nothing(flows: Flows, requests: Any) -> None:
    assert resolve(flows, with_requests(*requests)).status == 503
    assert resolved(flows) == []
    (row,) = flows.ledger.open_bridges()
    assert row["because"]


@pytest.mark.parametrize(
    "question", [{}, {"transactionId": ""}, {"transactionId": "t-3"}, {"transactionId": "t-3", "returnRequests": []}]
)
def test_a_resolution_that_lacks_something_is_refused(flows: Flows, question: Any) -> None:
    assert resolve(flows, question).status == 400
    assert flows.made("shop") == []


# --- who may ask, and the other flows ------------------------------------------------------------


def test_without_the_right_proof_nobody_is_told_anything(flows: Flows) -> None:
    assert ask(flows, "get-purchases", ASKED, tamper=True).status == 401
    assert ask(flows, "get-purchases", ASKED, secret="other").status == 401
    assert ask(flows, "resolve-return", RESOLVE, token="any").status == 401
    assert flows.made("shop") == []


def test_the_demo_plays_and_no_other_flow_says_a_word(flows: Flows) -> None:
    flows.play("bridge")
    flows.poll("store")
    assert len(resolved(flows)) == 1
    assert flows.routes() == {}
    plan = yaml.safe_load((ROOT / "config/demo/bridge.yaml").read_text("utf-8"))
    told = str(tell(flows.ledger, plan["trace"]))
    assert "get_purchases asked" in told and "resolve_return asked" in told
