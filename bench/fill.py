"""Makes a ledger large: what one delivered event left in it is copied as often as wanted, by the database itself.

The copies differ in all numbers and ids, so each index grows as it would; texts that no index holds are left out where
they are long, so that a million fit on a disk. It knows nothing of the tables but that ids look like ids: whatever the
hub keeps of an event tomorrow is copied, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Engine,
    Table,
    Text,
    cast,
    create_engine,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.engine import make_url

from app.adapters.ledger.engine import parse, sqlite_module
from app.adapters.ledger.schema import metadata

#: As `SystemIds` makes them: a prefix, ten signs of time, sixteen of chance.
_ID = re.compile(r"\b[a-z]{3}_[0-9a-z]{26}\b")
_SIGNS = "0123456789abcdefghjkmnpqrstvwxyz"
_SERIAL = 14
#: Longer texts of the original are copied as an empty object.
_LONGEST = 400
_AT_ONCE = 50_000
#: Row numbers of copies lie so far apart: the original's are smaller, so that rows which share a number still do.
_STRIDE = 100

Row = dict[str, Any]


def engine_of(url: str) -> Engine:
    """A plain engine, quick and careless: the ledger is thrown away when it breaks."""
    parsed = parse(url)
    more = {"module": sqlite_module()} if make_url(url).get_backend_name() == "sqlite" else {}
    return create_engine(parsed, **more)


def traces_of(engine: Engine, serial: str) -> dict[Table, list[Row]]:
    """All rows that an event left, found by its serial and by the ids that stand in the rows found so far."""
    tokens = {serial}
    tables = [table for table in metadata.sorted_tables if table.c]
    with engine.connect() as connection:
        rows = [(table, dict(row)) for table in tables for row in connection.execute(select(table)).mappings()]
    while True:
        found = [(table, row) for table, row in rows if any(token in said for token in tokens for said in _texts(row))]
        more = {one for _, row in found for said in _texts(row) for one in _ID.findall(said)}
        if more <= tokens:
            break
        tokens |= more
    left: dict[Table, list[Row]] = {}
    for table, row in found:
        left.setdefault(table, []).append(row)
    return left


def copies(
    engine: Engine,
    left: Mapping[Table, list[Row]],
    serial: str,
    first: int,
    count: int,
    changed: Mapping[str, Row] | None = None,
) -> None:
    """Add `count` copies, numbered from `first`; `changed` gives other values to columns, by the name of the table."""
    ids = sorted({one for rows in left.values() for row in rows for said in _texts(row) for one in _ID.findall(said)})
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        careless = ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -400000") if sqlite else ()
        for setting in careless:
            connection.execute(text(f"PRAGMA {setting}"))
        if not sqlite:
            connection.execute(text("SET synchronous_commit = off; SET session_replication_role = replica"))
    with engine.connect() as connection:
        for begin in range(first, first + count, _AT_ONCE):
            with connection.begin():
                last = min(begin + _AT_ONCE, first + count) - 1
                for statement in _statements(left, serial, ids, begin, last, changed or {}):
                    connection.execute(statement)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in left if not sqlite else ():
            if (column := table.autoincrement_column) is not None:
                counter = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(counter, select(func.max(column)).scalar_subquery())))
        connection.execute(text("PRAGMA journal_mode = WAL" if sqlite else "VACUUM ANALYZE"))


def serial_of(number: int) -> str:
    """What stands in a copy where the original has its serial."""
    return f"{number:0{_SERIAL}d}"


def _statements(
    left: Mapping[Table, list[Row]], serial: str, ids: list[str], first: int, last: int, changed: Mapping[str, Row]
) -> Iterator[Any]:
    start = select(cast(literal(first), BigInteger).label("n")).cte("numbers", recursive=True)
    numbers = start.union_all(select(start.c.n + 1).where(start.c.n < last))

    def digits(width: int) -> Any:
        return func.substr(cast(numbers.c.n + 10**width, Text), 2)

    swaps: dict[str, Any] = {serial.rjust(_SERIAL, "0"): digits(_SERIAL)}
    for place, one in enumerate(ids):
        # What the id has of time stays, so that copies lie together; one sign tells ids of one moment apart.
        swaps[one] = literal(one[:14] + _SIGNS[place % len(_SIGNS)]) + digits(15)

    def copied(value: Any) -> Any:
        if isinstance(value, bytes):
            return literal(value if len(value) <= _LONGEST else b"{}")
        if not isinstance(value, str):
            return literal(value)
        if len(value) > _LONGEST:
            return literal("{}")
        swapped: Any = literal(value, Text)
        for old, new in swaps.items():
            if old in value:
                swapped = func.replace(swapped, old, new)
        return swapped

    for table, rows in left.items():
        names = [column.name for column in table.c]
        counted = table.c[next(iter(table.primary_key.columns)).name]
        for row in rows:
            values = {name: copied(row[name]) for name in names}
            if isinstance(number := row[counted.name], int):
                if number >= _STRIDE:
                    raise ValueError(f"the original's row in {table.name} is not among the first {_STRIDE}")
                values[counted.name] = number + (numbers.c.n + 1) * _STRIDE
            values |= {name: literal(value) for name, value in changed.get(table.name, {}).items()}
            typed = [cast(values[name], table.c[name].type) if row[name] is None else values[name] for name in names]
            yield insert(table).from_select(names, select(*typed).select_from(numbers))


def _texts(row: Row) -> Iterator[str]:
    for value in row.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, bytes):
            yield value.decode("utf-8", "replace")
