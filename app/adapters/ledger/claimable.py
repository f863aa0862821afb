"""What may be claimed: due, its lease over, nothing before it in its line, and of what is suspect one at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Table, and_, bindparam, literal, or_, select

from app.adapters.ledger.schema import deliveries

#: Work that has seen so many die in a row is tried alone, so that what merely lay beside the deadly one lives on.
SUSPECT = 2

NOW = bindparam("now", type_=BigInteger)
#: Leases that end then or before have ended; see `lapse`.
LAPSED = bindparam("lapsed", type_=BigInteger)


def head_of_line(row: Any) -> ColumnElement[bool]:
    """No earlier unfinished delivery of the same order key and lane, and none of them running. NULL keys are free.

    Two parts of a split return do not wait for each other; one without a part waits for all and holds back all.
    A later one runs while an earlier one is due only after `retry` of a dead one.
    """
    other = deliveries.alias("other")
    ahead_of_it = first_of(
        other.c.order_key == row.order_key,
        # Written so that no planner takes the index by lane, in which all that is due lies, for the one by key.
        other.c.lane + "" == row.lane,
        or_(other.c.part == row.part, other.c.part == "", row.part == ""),
        other.c.due_at.is_not(None),
        other.c.seq != row.seq,
        or_(other.c.seq < row.seq, and_(other.c.state == "running", other.c.due_at > LAPSED)),
    )
    nobody: ColumnElement[bool] = ahead_of_it.is_(None)
    return nobody


def first_of(*conditions: ColumnElement[bool]) -> Any:
    """1 when there is such a row, else NULL. PostgreSQL would make an EXISTS a join with all that is due."""
    return select(literal(1)).where(*conditions).limit(1).scalar_subquery()


def claimable(table: Table) -> list[ColumnElement[bool]]:
    """Due, in nobody's hands, and the first in its line."""
    over = or_(table.c.state != "running", table.c.due_at <= LAPSED)
    conditions: list[ColumnElement[bool]] = [table.c.due_at <= NOW, over]
    return [*conditions, head_of_line(table.c)] if table is deliveries else conditions


def alone(table: Table, lane: Any) -> ColumnElement[bool]:
    """Of what is suspect, one at a time is in anybody's hands, and one of a lane is taken. All else may be taken."""
    running, suspect = table.alias("running"), table.alias("suspect")
    under_way = first_of(running.c.state == "running", running.c.due_at > LAPSED, running.c.deaths >= SUSPECT)
    first = (
        select(suspect.c.seq)
        .where(
            suspect.c[lane.name] == bindparam("in_lane"),
            suspect.c.state == "running",
            suspect.c.due_at <= LAPSED,
            suspect.c.deaths >= SUSPECT - 1,
            *([head_of_line(suspect.c)] if table is deliveries else []),
        )
        .order_by(suspect.c.due_at, suspect.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    innocent = or_(table.c.state != "running", table.c.deaths < SUSPECT - 1)
    return or_(innocent, and_(under_way.is_(None), table.c.seq == first))
