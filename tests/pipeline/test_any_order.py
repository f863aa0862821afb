"""Whatever is repeated, missed or out of order: the newest picture stays, and the same facts are told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.ledger import open_ledger
from app.core import counting
from app.core.changes import changes
from app.core.documents import version_key
from app.core.holding import holds
from app.model import Change, Document, Receipt
from app.pipeline.compare import clashing, write_documents
from tests.contract.making import new
from tests.pipeline.decisions_kit import SITE, DecisionsHub
from tests.support import HandClock

STATES = ("requested", "approved", "in_transit", "received", "decided")
PARCELS = ("created", "labelled", "in_transit", "delivered")
REFUNDS = ("none", "started", "closed")
#: How far each thing of a return can come.
GROWTH = {"state": 4, "parcel": 3, "first": 2, "second": 2, "refund": 2}
Chain = list[dict[str, Any]]


def picture(version: int, grown: dict[str, int]) -> dict[str, Any]:
    """The return as its source shows it then."""
    lines = []
    for name, decision, count in (("first", "accepted", 3), ("second", "rejected", 1)):
        quantity = {"announced": count}
        if grown[name] >= 1:
            quantity["received"] = count
        if grown[name] >= 2:
            quantity[decision] = count
        lines.append({"key": name, "quantity": quantity})
    lines[0]["refund"] = {"state": REFUNDS[grown["refund"]]}
    parcels = [{"id": "p1", "state": PARCELS[grown["parcel"]]}]
    told = {"version": version, "state": STATES[grown["state"]], "parcels": parcels, "lines": lines}
    return {"id": "R-1", "source": "shop", **told}


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """The versions of a return, oldest first; nothing in them is taken back. Numbers have gaps."""
    size = draw(st.integers(1, 5))
    grown = {}
    for name, most in GROWTH.items():
        grown[name] = sorted(draw(st.lists(st.integers(0, most), min_size=size, max_size=size)))
    return [picture(3 * index + 1, {name: ranks[index] for name, ranks in grown.items()}) for index in range(size)]


@st.composite
def arrivals(draw: st.DrawFn, size: int) -> list[list[int]]:
    """Which versions arrive in which order, in batches: some twice, some never, the newest at least once."""
    some = draw(st.lists(st.integers(0, size - 1), max_size=8))
    order = draw(st.permutations([*some, size - 1]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=3)) | {len(order)})
    return [list(order[start:end]) for start, end in zip([0, *cuts], cuts, strict=False)]


class Arriving:
    """Writes pictures of a new object as they arrive."""

    def __init__(self, hub: DecisionsHub) -> None:
        self.hub, self.object_id = hub, new("R")

    def come(self, *bodies: dict[str, Any]) -> None:
        """These pictures are compared and kept in one transaction."""
        hub = self.hub
        receipts = [Receipt(new("evt"), "shop", new("v"), "x", hub.clock.now(), {}, b"{}", "ignored") for _ in bodies]
        kept = hub.ledger.receive(receipts)
        documents = []
        for body, receipt in zip(bodies, kept, strict=True):
            version, now = version_key(body), hub.clock.now()
            given = ("return", "shop", self.object_id, 0, version, now, body, {}, receipt.event_id, "stamp")
            documents.append(Document(new("doc"), *given))  # type: ignore[arg-type]
        with hub.ledger.write() as tx:
            assert clashing(tx, documents) == set()
            write_documents(tx, hub.site, hub.ids, documents, counting.Tally())

    def head(self) -> Any:
        """The picture that counts."""
        key = ("return", "shop", self.object_id)
        with self.hub.ledger.write() as tx:
            return tx.heads([key])[key].body

    def facts(self) -> set[str]:
        """The keys of all changes."""
        return {row["key"] for row in self.hub.ledger.story([("return", "shop", self.object_id)]).changes}

    def tasks(self) -> set[str]:
        """The keys of all tasks."""
        return {row["key"] for row in self.hub.ledger.tasks({}, 1000) if row["object_id"] == self.object_id}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[DecisionsHub]:
    """One hub for all examples; each has an object of its own."""
    folder, clock = tmp_path_factory.mktemp("any_order"), HandClock()
    ledger = open_ledger(f"sqlite:///{shutil.copy(migrated_sqlite, folder / 'ledger.db')}", clock=clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.adapters.files.PROJECT", folder / "no project")
        yield DecisionsHub(folder / "site", ledger, clock, **SITE)
    ledger.close()


def told_in_order(chain: Chain) -> list[Change]:
    """The changes of a chain that arrives as it was sent."""
    return [change for before, after in zip([None, *chain], chain, strict=False) for change in changes(before, after)]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_with_repeats_and_gaps_ends_in_the_same_picture_and_the_same_facts(
    hub: DecisionsHub, data: st.DataObject
) -> None:
    chain = data.draw(chains())
    arriving = Arriving(hub)
    for batch in data.draw(arrivals(len(chain))):
        arriving.come(*(chain[index] for index in batch))
    assert arriving.head() == chain[-1]
    assert arriving.facts() == {change.key for change in told_in_order(chain)}
    assert arriving.tasks() == set()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_decision_that_its_source_took_back_asks_for_a_person_if_it_was_told_and_only_then(
    hub: DecisionsHub, data: st.DataObject
) -> None:
    chain = data.draw(chains())
    last = {**dict.fromkeys(GROWTH, 1), "first": 2}
    taken_back = {**dict.fromkeys(GROWTH, 1), "refund": 0}
    chain += [picture(100, last), picture(101, taken_back)]
    arriving = Arriving(hub)
    for batch in data.draw(arrivals(len(chain))):
        arriving.come(*(chain[index] for index in batch))
    assert arriving.head() == chain[-1]
    paid = [one for one in told_in_order(chain) if one.name == "line.accepted" and one.key in arriving.facts()]
    assert all(not holds(one, chain[-1]) for one in paid)
    assert bool(arriving.tasks()) == bool(paid)
