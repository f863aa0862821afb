"""What is kept of questions: to be found, with persons masked, and counted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from app.pipeline.story import tell
from tests.pipeline.bridge_kit import ASKED, RESOLVE, Portal, Shop, process, scribbling, site_of
from tests.support import HandClock

pytestmark = pytest.mark.usefixtures("alone")


def test_a_question_is_found_by_its_id_and_by_its_numbers(portal: Portal, shop: Shop, ledger: Ledger) -> None:
    shop.say("/refunds", 503)
    question_id = portal.ask("resolve-return", RESOLVE).headers["X-Request-Id"]
    portal.ask("resolve-return", RESOLVE)
    for number in (question_id, "t-1", "4711", "rf-1"):
        (story,) = tell(ledger, number)["stories"]
        assert story["objects"] == [{"kind": "bridge", "connection": "portal", "id": question_id}]
        told = [entry["title"] for entry in story["entries"]]
        assert told[0].startswith("resolve asked by portal: answered")
        assert [title.split(" (")[0] for title in told[1:]] == [
            "shop.find_order: delivered, 200",
            "shop.refund: retry, 503: no",
            "shop.refund: delivered, 201",
        ]
        assert story["open"] == []


def test_each_time_that_calls_are_made_for_a_question_is_a_try_of_its_own(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    asked = {**RESOLVE, "note": "hi"}
    for said, status in ((503, 503), ("done, then lost", 503), (None, 200)):
        # Processes come and go; the number goes on.
        with process(site_of(tmp_path), ledger, clock, shop) as portal:
            shop.say("/refunds", *([said] if said else []))
            assert portal.ask("resolve-return", asked).status_code == status
    (story,) = tell(ledger, "t-1")["stories"]
    calls = [(entry["title"].split(":")[0], entry["title"]) for entry in story["entries"] if entry["what"] == "call"]
    assert [(name, re.findall(r"try (\d+)", title)) for name, title in calls] == [
        ("shop.find_order", []),
        ("shop.refund", []),
        ("shop.refund", ["2"]),
        ("shop.refund", ["3"]),
        ("shop.note", ["3"]),
    ]


def test_a_question_without_once_is_found_too(portal: Portal, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    # It is kept only when it is over, and told as what it began with.
    shop.meanwhile = lambda path: clock.move(1)
    question_id = portal.ask("get-purchases", ASKED).headers["X-Request-Id"]
    for number in (question_id, "#4711", "4711"):
        (story,) = tell(ledger, number)["stories"]
        assert [entry["what"] for entry in story["entries"]] == ["question", "call"]


def test_an_open_question_says_what_to_do(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    with scribbling(tmp_path, ledger, clock, shop) as portal:
        shop.say("/scribbles", "lost")
        question_id = portal.ask("resolve-return", RESOLVE).headers["X-Request-Id"]
    (story,) = tell(ledger, question_id)["stories"]
    (left,) = story["open"]
    assert left["state"] == "in_doubt"
    assert f"backhaul resolve {question_id} delivered|retry" in left["todo"]


def test_persons_are_masked_in_what_is_kept(portal: Portal, ledger: Ledger, shop: Shop) -> None:
    shop.order = {"id": "o-1", "customer": {"name": "Anna Acme"}, "lines": [], "currency": "EUR"}
    asked = {**ASKED, "nick": "Anni"}
    for path, question in (("get-purchases", asked), ("resolve-return", {**RESOLVE, "email": "anna@acme.example"})):
        question_id = portal.ask(path, question).headers["X-Request-Id"]
        kept = json.dumps(tell(ledger, question_id)) + json.dumps(ledger.bridge(question_id))
        for secret in ("Anni", "anna", "Anna"):
            assert secret not in kept, kept


def test_large_bodies_are_not_kept(portal: Portal, ledger: Ledger, shop: Shop) -> None:
    shop.order = {"id": "o-1", "lines": [], "currency": "EUR", "blob": "x" * 100_000}
    question_id = portal.ask("get-purchases", {**ASKED, "blob": "y" * 100_000}).headers["X-Request-Id"]
    assert len(json.dumps(tell(ledger, question_id))) < 5_000


def test_questions_are_counted(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    with process(site_of(tmp_path), ledger, clock, shop) as portal:
        portal.ask("get-purchases", ASKED)
        shop.say("/orders", 503)
        portal.ask("get-purchases", ASKED)
    found = {(name, labels): amount for (name, labels), amount in ledger.counters().items()}
    assert found["backhaul_bridge_requests_total", '{"bridge":"get_purchases","status":"200"}'] == 1
    assert found["backhaul_bridge_requests_total", '{"bridge":"get_purchases","status":"503"}'] == 1
    assert ("backhaul_bridge_seconds_total", '{"bridge":"get_purchases"}') in found
    assert sum(amount for (name, _), amount in found.items() if name == "backhaul_attempts_total") == 2
