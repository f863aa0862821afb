"""What follows from documents is worked out before the transaction begins, and never from what is true no more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.adapters.ledger import Ledger
from app.errors import Outdated
from app.model import Document
from tests.contract.making import document, received
from tests.support import HandClock

KEY = ("return", "shop", "R-1")


def write(ledger: Ledger, made: Document) -> None:
    """Another worker keeps a document."""

    def work() -> None:
        with ledger.write() as tx:
            tx.add_documents([made])

    with ThreadPoolExecutor(1) as other:
        other.submit(work).result(10)


def only_sqlite(ledger: Ledger) -> None:
    if ledger._db.dialect != "sqlite":
        pytest.skip("on PostgreSQL objects are locked one by one, and nothing is foreseen")


def test_others_may_write_while_what_was_foreseen_is_worked_on(ledger: Ledger, clock: HandClock) -> None:
    only_sqlite(ledger)
    event_id = received(ledger, clock)
    with ledger.write() as tx:
        tx.foresee([KEY])
        assert tx.heads([KEY]) == {}
        write(ledger, document(clock, event_id, object_id="R-2"))
        tx.add_documents([document(clock, event_id)])
    assert [row["seq"] for row in ledger.story([KEY]).documents] == [1]


def test_nothing_is_written_when_what_was_foreseen_has_changed(ledger: Ledger, clock: HandClock) -> None:
    only_sqlite(ledger)
    event_id = received(ledger, clock)
    theirs = document(clock, event_id)
    with pytest.raises(Outdated), ledger.write() as tx:
        tx.foresee([KEY])
        assert tx.heads([KEY]) == {}
        write(ledger, theirs)
        tx.add_documents([document(clock, event_id)])
    assert [row["id"] for row in ledger.story([KEY]).documents] == [theirs.document_id]


def test_it_is_noticed_by_whatever_begins_the_transaction(ledger: Ledger, clock: HandClock) -> None:
    only_sqlite(ledger)
    event_id = received(ledger, clock)
    write(ledger, document(clock, event_id))
    with pytest.raises(Outdated), ledger.write() as tx:
        tx.foresee([KEY])
        assert tx.heads([KEY])[KEY].seq == 1
        write(ledger, document(clock, event_id))
        tx.heads([("return", "shop", "R-3")])


def test_one_who_foresees_on_any_ledger_writes_what_he_wrote_without(ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock)
    first, second = document(clock, event_id), document(clock, event_id, stale=True)
    for made in (first, second):
        with ledger.write() as tx:
            tx.foresee([KEY])
            tx.heads([KEY])
            tx.add_documents([made])
    with ledger.write() as tx:
        assert tx.heads([KEY])[KEY].document_id == first.document_id
    assert [row["seq"] for row in ledger.story([KEY]).documents] == [1, 2]
