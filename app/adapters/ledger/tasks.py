"""Tasks: what only a person can settle. Raised in the transaction that found it, once per object and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select, update

from app.adapters.ledger.columns import bounded
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.queries import view
from app.adapters.ledger.schema import changes, deliveries, tasks
from app.adapters.ledger.statements import Statement, insert_many
from app.adapters.ledger.store import Store
from app.adapters.ledger.transaction import ObjectKey, Writing
from app.core.jsontext import dump_text, loads
from app.core.tasks import Carried, NewTask, OpenTask
from app.model import Change, Document

STATES = ("open", "closed")
#: Who closes a task that a later picture settled.
ITSELF = "backhaul"

_insert_tasks = insert_many(
    tasks,
    ("id", "at", "kind", "object_kind", "connection", "object_id", "key", "because", "data", "state"),
    lambda adding: adding.on_conflict_do_nothing(index_elements=["object_kind", "connection", "object_id", "key"]),
)
_delivery_columns = ("id", "route", "lane", "state", "step", "sent")
_carried = Statement(
    lambda _dialect: (
        select(changes.c.name, changes.c.key, changes.c.data, *(deliveries.c[name] for name in _delivery_columns))
        .join_from(changes, deliveries, deliveries.c.change_id == changes.c.id)
        .where(
            changes.c.kind == bindparam("kind"),
            changes.c.connection == bindparam("connection"),
            changes.c.object_id == bindparam("object_id"),
        )
        .order_by(changes.c.seq, deliveries.c.seq)
    )
)
# Written into the statement: a partial index is found only by what is written there.
_IS = {state: tasks.c.state == literal_column(f"'{state}'") for state in STATES}
# Only an open one is closed: of two people who close it, one does.
_close = (
    update(tasks)
    .where(tasks.c.id == bindparam("task_id"), _IS["open"])
    .values(state="closed", closed_at=bindparam("now"), closed_by=bindparam("who"), note=bindparam("said"))
    .execution_options(preserve_rowcount=True)
)
_open_of = Statement(
    lambda _dialect: (
        select(tasks.c.id, tasks.c.key, tasks.c.data)
        .where(
            tasks.c.object_kind == bindparam("object_kind"),
            tasks.c.connection == bindparam("connection"),
            tasks.c.object_id == bindparam("object_id"),
            tasks.c.kind == bindparam("task_kind"),
            _IS["open"],
        )
        .order_by(tasks.c.seq)
    )
)
_open_count = select(func.count()).select_from(tasks).where(_IS["open"])


class TaskWriting(Writing):
    """The part of a transaction that raises tasks."""

    def carried(self, key: ObjectKey) -> list[Carried]:
        """The facts of an object with the deliveries that were made for them, this transaction's included, by age."""
        wanted = (key[0], key[1], bounded(key[2]))
        names = dict(zip(("kind", "connection", "object_id"), wanted, strict=True))
        found = [_to_carried(row) for row in _carried.rows(self._connection, names)]
        mine = {row[0]: row for row in self._changes if row[1:4] == key}
        for row in self._deliveries:
            if fact := mine.get(row["change_id"]):
                change = Change(fact[5], fact[4], loads(fact[8]))
                made: Any = row
                found.append(
                    Carried(change, made["id"], made["route"], made["lane"], made["state"], made["step"], made["sent"])
                )
        return found

    def add_tasks(self, document: Document, raised: Sequence[NewTask]) -> None:
        """Keep these tasks of a document's object. One whose key the object has had before is left out."""
        rows = [
            {
                "id": task.task_id,
                "at": self._now,
                "kind": task.kind,
                "object_kind": document.kind,
                "connection": document.connection,
                "object_id": document.object_id,
                "key": task.key,
                "because": task.because,
                "data": dump_text(task.data),
                "state": "open",
            }
            for task in raised
        ]
        _insert_tasks.run(self._connection, rows)

    def open_tasks_of(self, key: ObjectKey, kind: str) -> list[OpenTask]:
        """The open tasks of one kind that an object has, the oldest first; those of this transaction too."""
        wanted = {"object_kind": key[0], "connection": key[1], "object_id": bounded(key[2]), "task_kind": kind}
        return [OpenTask(row.id, row.key, loads(row.data)) for row in _open_of.rows(self._connection, wanted)]

    def settle_task(self, task_id: str, note: str) -> None:
        """Close a task that the hub itself found settled; one that is closed stays as it is."""
        given = {"task_id": task_id, "now": self._now, "who": ITSELF, "said": note}
        if self._connection.execute(_close, given).rowcount == 1:
            self.audit(ITSELF, "task close", task_id, {"state": "open"}, {"state": "closed", "note": note})


class Tasks(Store):
    """Every method raises `LedgerUnavailable`."""

    def tasks(self, filters: Mapping[str, str] | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The newest tasks. Filters: state ("open" or "closed"), kind, connection. Another one is a `ValueError`."""
        query = select(tasks).order_by(tasks.c.seq.desc()).limit(limit)
        for name, value in (filters or {}).items():
            if name not in ("state", "kind", "connection"):
                raise ValueError(f"there is no filter {name!r}; there are state, kind, connection")
            if name == "state":
                if value not in STATES:
                    raise ValueError(f"there is no state {value!r}; there are {', '.join(STATES)}")
                query = query.where(_IS[value])
            else:
                query = query.where(tasks.c[name] == value)
        with self._db.read() as connection:
            return [view(row._mapping) for row in connection.execute(query)]

    def task(self, task_id: str) -> dict[str, Any] | None:
        """One task; None when there is none."""
        with self._db.read() as connection:
            row = connection.execute(select(tasks).where(tasks.c.id == task_id)).first()
        return None if row is None else view(row._mapping)

    def open_tasks(self) -> int:
        """How many tasks are open."""
        with self._db.read() as connection:
            return int(connection.scalar(_open_count) or 0)

    def close_task(self, task_id: str, who: str, note: str = "") -> bool:
        """Close a task; False when it is not open or not there."""
        with self._db.write() as connection:
            now = self._now()
            given = {"task_id": task_id, "now": now, "who": who, "said": note}
            if connection.execute(_close, given).rowcount != 1:
                return False
            tx = Finishing(self._db, connection, now)
            tx.audit(who, "task close", task_id, {"state": "open"}, {"state": "closed", "note": note})
        return True


def _to_carried(row: Any) -> Carried:
    change = Change(row.name, row.key, loads(row.data))
    return Carried(change, row.id, row.route, row.lane, row.state, row.step, bool(row.sent))
