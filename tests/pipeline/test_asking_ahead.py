"""The ledger is asked for the numbers of a whole claim at once; what it said must not outlive its truth."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from app.adapters.ledger import Ledger
from app.errors import LedgerUnavailable
from app.model import DeliveryWork, Reference, ReferenceKey
from tests.pipeline.kit import LABELLED, MiniHub
from tests.pipeline.test_delivering import announced, know


def claimed(hub: MiniHub, *returns: str) -> Sequence[DeliveryWork]:
    """The claimed announcements of returns of one order each: #R-1 for R-1."""
    for number in returns or ("R-1",):
        hub.shows(id=number, parcels=LABELLED, orders=[f"#{number}"])
        hub.receive(**{"return": number})
        hub.read()
    return hub.deliverer.claim("wms", 10, 60, hub.ids.new("tok"))


def test_one_question_serves_a_whole_claim(hub: MiniHub, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    ask = Ledger.find_references

    def listening(ledger: Ledger, keys: Collection[ReferenceKey]) -> dict[ReferenceKey, Reference]:
        asked.append(len(keys))
        return ask(ledger, keys)

    monkeypatch.setattr(Ledger, "find_references", listening)
    know(hub, "#R-2", "E-2")
    for work in claimed(hub, "R-1", "R-2", "R-3"):
        hub.deliverer.deliver(work)
    assert asked == [3]
    assert announced(hub) == ["E-1", "E-2", "E-1"]


def test_a_number_that_came_after_the_claim_is_not_called_unknown(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []})
    [work] = claimed(hub)
    know(hub, "#R-1", "E-9")
    assert hub.deliverer.deliver(work).state == "done"
    assert announced(hub) == ["E-9"]


def test_what_waited_long_behind_others_asks_again(hub: MiniHub) -> None:
    know(hub, "#R-1", "E-old")
    first, second = claimed(hub, "R-1", "R-2")
    know(hub, "#R-1", "E-new")
    know(hub, "#R-2", "E-2")
    hub.clock.move(2)
    hub.deliverer.deliver(first)
    hub.deliverer.deliver(second)
    assert announced(hub) == ["E-new", "E-2"]
    assert hub.targets.sent("/orders") == []


def test_a_ledger_that_is_away_just_then_loses_no_claim(hub: MiniHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_ledger: Ledger, _keys: Collection[ReferenceKey]) -> dict[ReferenceKey, Reference]:
        raise LedgerUnavailable("gone for a moment")

    with monkeypatch.context() as moment:
        moment.setattr(Ledger, "find_references", away)
        [work] = claimed(hub)
    know(hub, "#R-1", "E-9")
    assert hub.deliverer.deliver(work).state == "done"
    assert announced(hub) == ["E-9"]


def test_a_number_that_cannot_be_worked_out_harms_no_other_of_the_claim(hub: MiniHub) -> None:
    path = "mappings/return.to_acme_wms.yaml"
    text = (hub.folder / path).read_text()
    hub.write({path: text.replace('id: "{{ one.number }}"', "id: \"{{ one.number | replace('#R-2', '') }}\"")})
    works = claimed(hub, "R-1", "R-2", "R-3")
    assert [hub.deliverer.deliver(work).state for work in works] == ["done", "dead", "done"]
