"""Statements that run all the time: written with SQLAlchemy, compiled once, handed to the driver as they are.

What SQLAlchemy does anew for each execution takes several times as long as the driver needs for all the rest.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, Text, any_, bindparam, column, func, select, table, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.adapters.ledger.columns import plain
from app.core.jsontext import dump_text

#: The columns of the rows that a statement for many is given.
Given = Mapping[str, Any]
#: SQLite takes its values one by one: so many rows in one statement, of which each size is another text.
_SIZES = (64, 16, 8, 4, 2, 1)
_named: Any = namedtuple  # which mypy takes for literal names only


class Statement:
    """A statement for one set of values. `make` builds it for a dialect ("sqlite" or "postgresql")."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self._built: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Carry it out; what it gives back, as named tuples. SQLite gives 0 and 1 for bool."""
        built = self._for(connection)
        cursor = connection.connection.cursor()
        cursor.execute(built.text, built.ready(values))
        return list(map(built.row(cursor), cursor.fetchall()))

    def change(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Carry it out; how many rows it touched."""
        built = self._for(connection)
        cursor = connection.connection.cursor()
        cursor.execute(built.text, built.ready(values))
        return int(cursor.rowcount)

    def _for(self, connection: Connection) -> _Compiled:
        dialect = connection.dialect
        built = self._built.get(dialect.name)
        if built is None:
            built = self._built[dialect.name] = _Compiled(self._make(dialect.name), dialect)
        return built


class Many:
    """A statement for many rows of values at once.

    `make` builds it for a dialect from the columns of `given`, a table that holds the rows; `types` are its columns.
    Row by row, the threads of the process would take turns with the driver at each row.
    """

    def __init__(self, types: Mapping[str, TypeEngine[Any]], make: Callable[[str, Given], Any]) -> None:
        self._types, self._make = types, make
        self._prepares = [(name, prepare) for name, type_ in types.items() if (prepare := _prepare(type_))]
        self._bodies: dict[str, str] = {}
        self._texts: dict[tuple[str, int], str] = {}

    def run(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Carry it out for these rows, if there are any.

        The rows are put into the form in which the database takes them, in place.
        """
        for name, prepare in self._prepares:
            if not plain([value for row in rows if (value := row[name]) is not None]):
                for row in rows:
                    row[name] = None if row[name] is None else prepare(row[name])
        cursor = connection.connection.cursor()
        if connection.dialect.name != "sqlite":
            if rows:
                cursor.execute(self._text(connection.dialect, 0), {"rows": dump_text(rows)})
            return
        done = 0
        for size in _SIZES:
            while len(rows) - done >= size:
                some = rows[done : done + size]
                cursor.execute(
                    self._text(connection.dialect, size), [row[name] for row in some for name in self._types]
                )
                done += size

    def _text(self, dialect: Dialect, size: int) -> str:
        text = self._texts.get((dialect.name, size))
        if text is None:
            text = self._texts[dialect.name, size] = self._given(dialect, size) + self._body(dialect)
        return text

    def _given(self, dialect: Dialect, size: int) -> str:
        if size:
            row = f"({', '.join('?' * len(self._types))})"
            return f"WITH given ({', '.join(self._types)}) AS (VALUES {', '.join([row] * size)}) "
        columns = ", ".join(f"{name} {type_.compile(dialect)}" for name, type_ in self._types.items())
        return f"WITH given AS (SELECT * FROM json_to_recordset(%(rows)s) AS given ({columns})) "

    def _body(self, dialect: Dialect) -> str:
        if dialect.name not in self._bodies:
            given = table("given", *(column(name, type_) for name, type_ in self._types.items()))
            made = self._make(dialect.name, {name: given.c[name] for name in self._types})
            self._bodies[dialect.name] = str(made.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        return self._bodies[dialect.name]


class _Compiled:
    """The text of a statement and what has to be done to its values."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        if dialect.name == "sqlite":
            dialect = sqlite.dialect(paramstyle="named")
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        binds = [(name, bind, _prepare(bind.type)) for bind, name in compiled.bind_names.items()]
        self.prepares = [(name, prepare) for name, bind, prepare in binds if prepare and bind.required]
        self.constants = {
            name: bind.value if prepare is None or bind.value is None else prepare(bind.value)
            for name, bind, prepare in binds
            if not bind.required
        }
        self._row: Any = None

    def ready(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All values that the statement takes, in the form in which the database takes them."""
        ready = {**self.constants, **values}
        for name, prepare in self.prepares:
            if (value := ready[name]) is not None:
                ready[name] = prepare(value)
        return ready

    def row(self, cursor: Any) -> Any:
        """Makes a named tuple of a row of the cursor."""
        if self._row is None:
            self._row = _named("Row", [field[0] for field in cursor.description])._make
        return self._row


def _prepare(type_: Any) -> Callable[[Any], Any] | None:
    """What has to be done to values of a type before the database takes them, if anything."""
    prepare: Callable[[Any], Any] | None = getattr(type_, "prepare", None)
    return prepare


def inserting(dialect: str, into: Table) -> Any:
    """An INSERT that can say ON CONFLICT: the two dialects write it alike, but from two modules."""
    return sqlite.insert(into) if dialect == "sqlite" else postgresql.insert(into)


def insert_many(into: Table, names: Sequence[str], more: Callable[[Any], Any] = lambda adding: adding) -> Many:
    """Adds rows that have these columns; `more` says what to do where they collide."""

    def make(dialect: str, given: Given) -> Any:
        # Without a condition SQLite would take ON CONFLICT for that of a join.
        rows = select(*given.values()).where(true())
        return more(inserting(dialect, into).inline().from_select(list(given), rows))

    return Many({name: into.c[name].type for name in names}, make)


class _TextList(TypeDecorator[Any]):
    """A list of texts as SQLite reads it."""

    impl = Text
    cache_ok = True
    prepare = staticmethod(dump_text)


def among(dialect: str, wanted: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a column is in the list of texts that is given under a name: one statement for lists of any length."""
    if dialect == "sqlite":
        return wanted.in_(select(func.json_each(bindparam(name, type_=_TextList)).table_valued("value").c.value))
    return wanted == any_(bindparam(name, type_=ARRAY(Text)))
