"""What runs all the time goes through the partial indexes: a million finished rows must not slow it down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import Connection

from app.adapters.ledger import Ledger, open_ledger
from tests.contract.making import claim, deliver, done, finish, key, known, new, receipt, received
from tests.support import HandClock

#: Tables that grow for ever. Reading one of them from end to end is the fault that this suite looks for.
_GROWING = {"events", "documents", "changes", "deliveries", "calls", "attempts", "refs", "identifiers", "audit"}


@contextmanager
def _plans(dialect: str) -> Iterator[list[tuple[str, str]]]:
    """The statements that run meanwhile, each with its plan."""
    found: list[tuple[str, str]] = []
    explain = "EXPLAIN QUERY PLAN " if dialect == "sqlite" else "EXPLAIN "
    explaining = False

    def look(db: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        nonlocal explaining
        if explaining or not re.match(r"\s*(SELECT|WITH|UPDATE|DELETE)", statement) or "pg_" in statement:
            return
        explaining = True
        one = parameters[0] if many else parameters
        rows = db.exec_driver_sql(explain + statement, one).all()
        found.append((statement, "\n".join(str(row[-1]) for row in rows)))
        explaining = False

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", look)


@pytest.fixture
def busy(ledger_url: str, clock: HandClock) -> Iterator[Ledger]:
    """A ledger with far more that is finished than is due."""
    ledger = open_ledger(ledger_url, clock=clock)
    for number in range(3):
        deliver(ledger, clock, object_id=f"R-{number}", many=100, order_key="")
        works = claim(ledger, token := new("token"), limit=100)
        finish(ledger, token, *(done(work.delivery_id, operation="announce_return") for work in works))
    deliver(ledger, clock, object_id="R-9", many=2)
    for number in range(60):
        deliver(ledger, clock, object_id=f"Q-{number}")
    ledger.receive([receipt(clock, connection="wms") for _ in range(100)])
    received(ledger, clock)
    if ledger_url.startswith("postgresql"):
        with ledger.write() as tx:
            tx._connection.execute(text("ANALYZE"))
    yield ledger
    ledger.close()


def _do_everything(ledger: Ledger, clock: HandClock) -> None:
    ledger.due_lanes()
    for lane in ("in:shop", "out:wms"):
        ledger.due_count(lane)
        ledger.next_due(lane)
    [event_work] = ledger.claim_events("shop", 10, 60, "a")
    [work] = ledger.claim_deliveries("wms", 1, 60, "b")
    ledger.renew("b", 60)
    ledger.hand_back("b", [work.delivery_id])
    [work] = ledger.claim_deliveries("wms", 1, 60, "c")
    with ledger.write() as tx:
        tx.heads([("return", "shop", "R-9")])
        tx.put_reference(known(clock.now()))
        tx.finish_deliveries("c", [done(work.delivery_id, operation="announce_return")])
    ledger.resume("wms", "me")
    ledger.find_reference(key())
    ledger.find("R-9")
    ledger.story([("return", "shop", "R-9")])
    ledger.deliveries({"state": "dead"})
    ledger.deliveries({"state": "parked"})
    ledger.events({"state": "dead"})
    ledger.waiting()
    ledger.event(event_work.event_id)
    ledger.delivery(work.delivery_id)
    ledger.retry([work.delivery_id, event_work.event_id], "me")


def test_nothing_reads_a_growing_table_from_end_to_end(busy: Ledger, clock: HandClock, ledger_url: str) -> None:
    dialect = ledger_url.partition(":")[0]
    with _plans(dialect) as plans:
        _do_everything(busy, clock)
    assert len(plans) > 30
    for statement, plan in plans:
        assert not _full_scans(plan), f"{statement}\n{plan}"


def _full_scans(plan: str) -> set[str]:
    names = re.findall(r"^SCAN (\w+)$|Seq Scan on (\w+)", plan, re.MULTILINE)
    return {name for pair in names for name in pair} & _GROWING


@pytest.mark.parametrize("what", ["events", "deliveries"])
def test_a_claim_finds_due_work_and_its_order_through_partial_indexes(
    busy: Ledger, clock: HandClock, ledger_url: str, what: str
) -> None:
    with _plans(ledger_url.partition(":")[0]) as plans:
        getattr(busy, f"claim_{what}")("wms", 10, 60, "a")
    plan = plans[0][1]
    assert f"ix_{what}_due" in plan
    assert what == "events" or "ix_deliveries_order" in plan
    # Through the index in its order: no sorting of all that is due.
    assert "TEMP B-TREE FOR ORDER BY" not in plan.split("CORRELATED")[0]
