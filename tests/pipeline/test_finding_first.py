"""A message that does not name what it is about: it is found first, then fetched. And what goes beyond a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.ledger import Ledger
from tests.pipeline.kit import FILES, MiniHub
from tests.support import HandClock

SHOP = "connectors/acme_shop/connector.yaml"
OPERATIONS = '  find_return: {method: GET, path: /found, query: {order: "{{ args.order }}"}}\ninbound:'
FETCH = """fetch:
    before:
      when: "{{ payload.return is not defined }}"
      operation: find_return
      with: {order: "{{ payload.order }}"}
      ready: "{{ found.items | length > 0 }}"
    operation: get_return
    with: {id: "{{ payload.return if payload.return is defined else (found.items | first).id }}"}
    as: detail
    not_found: retry
"""


@pytest.fixture
def finding(tmp_path: Path, ledger: Ledger, clock: HandClock, alone: None) -> MiniHub:
    """A hub whose shop is asked for the return of an order where a message names none."""
    begin, end = FILES[SHOP].index("fetch:"), FILES[SHOP].index("  mapping:")
    text = FILES[SHOP][:begin] + FETCH + FILES[SHOP][end:]
    return MiniHub(tmp_path / "site", ledger, clock, **{SHOP: text.replace("inbound:", OPERATIONS, 1)})


def test_what_a_message_names_is_fetched_at_once(finding: MiniHub) -> None:
    finding.shows()
    event = finding.receive(**{"return": "R-1"})
    finding.run()
    assert finding.event(event)["state"] == "done"
    assert not finding.targets.sent("/found")


def test_what_a_message_does_not_name_is_found_first(finding: MiniHub) -> None:
    finding.shows()
    finding.targets.say("/found", {"items": [{"id": "R-1"}]})
    event = finding.receive(order="#1")
    finding.run()
    assert finding.event(event)["state"] == "done"
    assert [request.url for request in finding.targets.requests] == [
        "https://shop.example/found?order=%231",
        "https://shop.example/returns/R-1",
    ]


def test_what_is_not_found_yet_is_looked_for_again(finding: MiniHub) -> None:
    finding.shows()
    finding.targets.say("/found", {"items": []}, 503, {"items": [{"id": "R-1"}]})
    event = finding.receive(order="#1")
    finding.run()
    assert finding.event(event)["state"] == "waiting"
    for _ in range(3):
        finding.later(60)
    assert finding.event(event)["state"] == "done"


def test_what_was_found_is_not_kept_with_the_document(finding: MiniHub) -> None:
    finding.shows()
    finding.targets.say("/found", {"items": [{"id": "R-1", "of": "somebody else"}]})
    finding.receive(order="#1")
    finding.run()
    with finding.ledger.write() as tx:
        (head,) = tx.heads([("return", "shop", "R-1")]).values()
    raw = head.raw() if callable(head.raw) else head.raw
    assert set(raw) == {"payload", "detail"}
