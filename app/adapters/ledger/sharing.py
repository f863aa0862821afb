"""Leases, counters and versions of the site: what processes tell each other through the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, literal_column, or_, select, text

from app.adapters.ledger.columns import from_ms
from app.adapters.ledger.schema import deliveries, events
from app.adapters.ledger.shared_schema import bridge_answers, counters, leases, site_versions
from app.adapters.ledger.statements import Statement, inserting
from app.adapters.ledger.store import Store, ahead
from app.core.jsontext import dump_text

#: So much the clocks of two machines may differ, in seconds.
_MARGIN_S = 5.0

_lease = select(leases.c.holder, leases.c.until).where(leases.c.name == bindparam("name"))
_counters = select(counters.c.name, counters.c.labels, func.sum(counters.c.value).label("value")).group_by(
    counters.c.name, counters.c.labels
)


def _hold_lease(dialect: str) -> Any:
    taking = inserting(dialect, leases)
    # One that ends later than any could that is taken now is of a clock that has been put back since.
    lapsed = or_(leases.c.until <= bindparam("now"), leases.c.until > bindparam("longest"))
    mine_or_lapsed = or_(leases.c.holder == taking.excluded.holder, lapsed)
    changed = {"holder": taking.excluded.holder, "until": taking.excluded.until}
    named: dict[str, Any] = {"name": bindparam("name"), "holder": bindparam("holder"), "until": bindparam("until")}
    return taking.values(named).on_conflict_do_update(index_elements=["name"], set_=changed, where=mine_or_lapsed)


_hold = Statement(_hold_lease)
_newest_version = select(site_versions.c.stamp, site_versions.c.at).order_by(site_versions.c.at.desc()).limit(1)


def _keep_version(dialect: str) -> Any:
    keeping = inserting(dialect, site_versions).values({name: bindparam(name) for name in ("stamp", "at", "files")})
    # Files that come back are the newest again.
    return keeping.on_conflict_do_update(index_elements=["stamp"], set_={"at": keeping.excluded.at})


_keep = Statement(_keep_version)


def _waiting(what: str, table: Any, lane: Any, since: Any) -> Any:
    counted = (func.count().label("count"), func.min(since).label("oldest"))
    return (
        select(literal_column(f"'{what}'").label("what"), lane.label("lane"), table.c.state, *counted)
        .where(table.c.due_at.is_not(None))
        .group_by(lane, table.c.state)
    )


_waitings = (
    _waiting("event", events, events.c.connection, events.c.received_at),
    _waiting("delivery", deliveries, deliveries.c.lane, deliveries.c.created_at),
    select(
        literal_column("'question'").label("what"),
        bridge_answers.c.connection.label("lane"),
        bridge_answers.c.state,
        func.count().label("count"),
        func.min(bridge_answers.c.created_at).label("oldest"),
    )
    .where(text("state IN ('running', 'waiting', 'in_doubt')"))
    .group_by(bridge_answers.c.connection, bridge_answers.c.state),
)


class Sharing(Store):
    """Every method raises `LedgerUnavailable`."""

    def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease that one holder at a time has; False while another one holds it."""
        now = self._now()
        wanted: dict[str, object] = {"name": name, "holder": holder, "until": ahead(now, seconds), "now": now}
        wanted["longest"] = ahead(now, seconds + _MARGIN_S)
        with self._db.write() as connection:
            return _hold.change(connection, wanted) == 1

    def lease(self, name: str) -> tuple[str, datetime] | None:
        """Who took a lease last and until when, lapsed or not; None when nobody ever did."""
        with self._db.read() as connection:
            row = connection.execute(_lease, {"name": name}).first()
        return None if row is None else (row.holder, from_ms(row.until))

    def counters(self) -> dict[tuple[str, str], float]:
        """Every counter, added up over its shards: {(name, labels as JSON): value}."""
        with self._db.read() as connection:
            return {(row.name, row.labels): float(row.value) for row in connection.execute(_counters)}

    def waiting(self) -> list[tuple[str, str, str, int, datetime]]:
        """What is not final: (event, delivery or question, connection, state, how many, since when the oldest)."""
        with self._db.read() as connection:
            rows = [row for query in _waitings for row in connection.execute(query)]
        return [(row.what, row.lane, row.state, int(row[3]), from_ms(row.oldest)) for row in rows]

    def keep_site_version(self, stamp: str, files: Mapping[str, str]) -> None:
        """Keep the files that a stamp stands for, once, and that a process begins to work by them now."""
        row = {"stamp": stamp, "at": self._now(), "files": dump_text(dict(files))}
        with self._db.write() as connection:
            _keep.change(connection, row)

    def site_version(self) -> tuple[str, datetime] | None:
        """The stamp by which a process began to work last, and when; None when none ever did."""
        with self._db.read() as connection:
            row = connection.execute(_newest_version).first()
        return None if row is None else (row.stamp, from_ms(row.at))
