"""What runs all the time goes through the partial indexes: a million finished rows must not slow it down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.ledger.engine import sqlite_module
from app.core.tasks import NewTask
from tests.contract.making import attempt, claim, deliver, done, finish, key, known, new, receipt, received
from tests.support import HandClock

#: Tables that grow for ever. Reading one of them from end to end is the fault that this suite looks for.
_GROWING = {
    "events",
    "documents",
    "changes",
    "deliveries",
    "calls",
    "attempts",
    "refs",
    "identifiers",
    "audit",
    "tasks",
}


class Watch:
    """Listens to the drivers: the statements that run while it is on, each with its plan."""

    def __init__(self) -> None:
        self.on = False
        self.plans: list[tuple[str, str]] = []

    def connected(self, connection: Any, _record: Any) -> None:
        """A connection was opened."""
        if not isinstance(connection, psycopg.Connection):
            path = connection.execute("PRAGMA database_list").fetchone()[2]
            connection.set_trace_callback(lambda statement: self._look(sqlite_module().connect(path), statement))
            return
        watch = self

        class Watched(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
                watch._look(psycopg.Cursor(self.connection), query, params)
                return super().execute(query, params, **more)

        connection.cursor_factory = Watched

    def _look(self, other: Any, statement: Any, *values: Any) -> None:
        if self.on and re.match(r"\s*(SELECT|WITH|UPDATE|DELETE)", statement) and "pg_" not in statement:
            explain = "EXPLAIN " if values else "EXPLAIN QUERY PLAN "
            rows = other.execute(explain + statement, *values).fetchall()
            self.plans.append((statement, "\n".join(str(row[-1]) for row in rows)))
        other.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Sees all connections that are opened from now on."""
    watch = Watch()
    event.listen(Pool, "connect", watch.connected)
    yield watch
    event.remove(Pool, "connect", watch.connected)


@pytest.fixture
def busy(ledger_url: str, clock: HandClock, watch: Watch) -> Iterator[Ledger]:
    """A ledger with far more that is finished than is due."""
    ledger = open_ledger(ledger_url, clock=clock)
    for number in range(3):
        deliver(ledger, clock, object_id=f"R-{number}", many=100, order_key="")
        works = claim(ledger, token := new("token"), limit=100)
        tries = [(work.delivery_id, attempt(clock, work.delivery_id)) for work in works]
        finish(ledger, token, *(done(one, operation=tried.operation, attempts=(tried,)) for one, tried in tries))
    deliver(ledger, clock, object_id="R-9", many=2)
    for number in range(60):
        deliver(ledger, clock, object_id=f"Q-{number}")
    ledger.receive([receipt(clock, connection="wms") for _ in range(100)])
    received(ledger, clock)
    if ledger_url.startswith("postgresql"):
        with ledger.write() as tx:
            tx._connection.execute(text("ANALYZE"))
    watch.on = True
    yield ledger
    watch.on = False
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
    with ledger.write() as tx:
        tx.carried(("return", "shop", "R-9"))
        tx.add_tasks(work.document, [NewTask(new("tsk"), "law", "law:1", "no")])
    ledger.open_tasks()
    [task] = ledger.tasks({"state": "open"})
    ledger.close_task(task["id"], "me")
    ledger.task(task["id"])


def test_nothing_reads_a_growing_table_from_end_to_end(busy: Ledger, clock: HandClock, watch: Watch) -> None:
    _do_everything(busy, clock)
    assert len(watch.plans) > 30
    for statement, plan in watch.plans:
        assert not _full_scans(plan), f"{statement}\n{plan}"


def _full_scans(plan: str) -> set[str]:
    names = re.findall(r"^SCAN (\w+)$|Seq Scan on (\w+)", plan, re.MULTILINE)
    return {name for pair in names for name in pair} & _GROWING


@pytest.mark.parametrize("what", ["events", "deliveries"])
def test_a_claim_finds_due_work_and_its_order_through_partial_indexes(busy: Ledger, watch: Watch, what: str) -> None:
    getattr(busy, f"claim_{what}")("wms", 10, 60, "a")
    plan = watch.plans[0][1]
    assert f"ix_{what}_due" in plan
    assert what == "events" or "ix_deliveries_order" in plan
    # Through the index in its order: no sorting of all that is due.
    assert "TEMP B-TREE FOR ORDER BY" not in plan.split("CORRELATED")[0]
