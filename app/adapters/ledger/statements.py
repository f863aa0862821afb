"""Statements that run all the time: written with SQLAlchemy, compiled once, handed to the driver as they are.

What SQLAlchemy does anew for each execution takes several times as long as the driver needs for all the rest.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Table,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.adapters.ledger.columns import plain
from app.core.jsontext import dump_text

#: The columns of the rows that a statement for many is given.
Given = Mapping[str, Any]
#: One row: its values in the order of the columns, or by their names.
Row = tuple[Any, ...] | Mapping[str, Any]
#: So many rows SQLite takes in one statement.
_MOST = 128
_NAMED = re.compile(r":(\w+)")
_named: Any = namedtuple  # which mypy takes for literal names only
_made: list[Statement | Many] = []


def prepare(dialect: Dialect) -> None:
    """Compile all statements now: processes that are forked later share them, and compile none."""
    for statement in _made:
        statement.compile(dialect)


class Statement:
    """A statement for one set of values. `make` builds it for a dialect ("sqlite" or "postgresql").

    It is kept as long as the process lives: a constant of its module.
    """

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self._built: dict[str, _Compiled] = {}
        _made.append(self)

    def compile(self, dialect: Dialect) -> None:
        """Make it ready for a dialect; done when it is first used, else."""
        if dialect.name not in self._built:
            self._built[dialect.name] = _Compiled(self._make(dialect.name), dialect)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Carry it out; what it gives back, as named tuples. SQLite gives 0 and 1 for bool."""
        built = self._built.get(connection.dialect.name) or self._for(connection)
        cursor = connection.connection.cursor()
        cursor.execute(built.text, built.ready(values))
        found = cursor.fetchall()
        return list(map(built.row(cursor), found)) if found else []

    def change(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Carry it out; how many rows it touched."""
        built = self._built.get(connection.dialect.name) or self._for(connection)
        cursor = connection.connection.cursor()
        cursor.execute(built.text, built.ready(values))
        return int(cursor.rowcount)

    def _for(self, connection: Connection) -> _Compiled:
        self.compile(connection.dialect)
        return self._built[connection.dialect.name]


class Many:
    """A statement for many rows of values at once.

    `make` builds it for a dialect from the columns of `given`, a table that holds the rows; `types` are its columns.
    Row by row, the threads of the process would take turns with the driver at each row. SQLite takes values one by one,
    so that each number of rows is another text to prepare: it is given a power of two, the last of them nothing but
    zeros. In an UPDATE they fit no row, and `insert_many` leaves out what begins with a zero.
    """

    def __init__(self, types: Mapping[str, TypeEngine[Any]], make: Callable[[str, Given], Any]) -> None:
        self._types, self._make = types, make
        self._ordered: Any = itemgetter(*types)
        self._prepares = [(at, prepare) for at, type_ in enumerate(types.values()) if (prepare := _prepare(type_))]
        self._bodies: dict[str, str] = {}
        self._texts: dict[tuple[str, int], str] = {}
        _made.append(self)

    def compile(self, dialect: Dialect) -> None:
        """As that of `Statement`."""
        self._body(dialect)

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Carry it out for these rows, if there are any: tuples in the order of the columns, or what they are by name.

        Their values are put into the form in which the database takes them.
        """
        if not rows:
            return
        ordered = rows if isinstance(rows[0], tuple) else list(map(self._ordered, rows))
        if todo := self._todo(ordered):
            ordered = [_mended(row, todo) for row in ordered]
        cursor = connection.connection.cursor()
        if connection.dialect.name != "sqlite":
            columns = zip(self._types, zip(*ordered, strict=True), strict=True)
            cursor.execute(self._text(connection.dialect, 0), {name: dump_text(column) for name, column in columns})
            return
        for begin in range(0, len(ordered), _MOST):
            some = ordered[begin : begin + _MOST]
            values = list(chain.from_iterable(some))
            size = 1 << (len(some) - 1).bit_length()
            values += [0] * (size * len(self._types) - len(values))
            cursor.execute(self._text(connection.dialect, size), values)

    def _todo(self, rows: Sequence[Any]) -> list[tuple[int, Callable[[Any], Any]]]:
        """The places of the values that are to be prepared: nearly always none, and that is quickly told."""
        columns = list(zip(*rows, strict=True))
        return [(at, prepare) for at, prepare in self._prepares if not plain(columns[at])]

    def _text(self, dialect: Dialect, size: int) -> str:
        text = self._texts.get((dialect.name, size))
        if text is None:
            text = self._texts[dialect.name, size] = self._given(dialect, size) + self._body(dialect)
        return text

    def _given(self, dialect: Dialect, size: int) -> str:
        if size:
            row = f"({', '.join('?' * len(self._types))})"
            return f"WITH given ({', '.join(self._types)}) AS (VALUES {', '.join([row] * size)}) "
        columns = ", ".join(f"{name}::{type_.compile(dialect)} AS {name}" for name, type_ in self._types.items())
        lists = ", ".join(f"json_array_elements_text(%({name})s)" for name in self._types)
        names = ", ".join(self._types)
        return f"WITH given AS (SELECT {columns} FROM ROWS FROM ({lists}) AS listed ({names})) "

    def _body(self, dialect: Dialect) -> str:
        if dialect.name not in self._bodies:
            given = table("given", *(column(name, type_) for name, type_ in self._types.items()))
            made = self._make(dialect.name, {name: given.c[name] for name in self._types})
            self._bodies[dialect.name] = str(made.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        return self._bodies[dialect.name]


class _Compiled:
    """The text of a statement and what has to be done to its values.

    What is the same each time is written into the text for SQLite: it plans a statement anew for each execution where
    one of its values might tell whether a partial index serves, which takes ten times as long as to carry it out.
    PostgreSQL would keep the plan that it made while the tables were empty, so there it stays a value.
    """

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        lite = dialect.name == "sqlite"
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named") if lite else dialect)
        self.text = str(compiled)
        self.fixed: dict[str, Any] = {}
        self.prepares: list[tuple[str, Callable[[Any], Any]]] = []
        for bind, name in compiled.bind_names.items():
            prepare = _prepare(bind.type)
            if not bind.required:
                self.fixed[name] = bind.value if prepare is None or bind.value is None else prepare(bind.value)
            elif prepare:
                self.prepares.append((name, prepare))
        if lite:
            written = {name: _literal(value) for name, value in self.fixed.items()}
            self.text = _NAMED.sub(lambda found: written.get(found[1], found[0]), self.text)
            self.fixed = {}
        self._row: Any = None

    def ready(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """All values that the statement takes, in the form in which the database takes them."""
        if not self.prepares and not self.fixed:
            return values
        ready = {**self.fixed, **values}
        for name, prepare in self.prepares:
            if (value := ready[name]) is not None:
                ready[name] = prepare(value)
        return ready

    def row(self, cursor: Any) -> Any:
        """Makes a named tuple of a row of the cursor."""
        if self._row is None:
            self._row = _named("Row", [field[0] for field in cursor.description])._make
        return self._row


def _literal(value: Any) -> str:
    """A value as it is written in a statement for SQLite."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(int(value) if isinstance(value, bool) else value)


def _mended(row: Any, todo: Sequence[tuple[int, Callable[[Any], Any]]]) -> tuple[Any, ...]:
    values = list(row)
    for at, prepare in todo:
        values[at] = None if values[at] is None else prepare(values[at])
    return tuple(values)


def _prepare(type_: Any) -> Callable[[Any], Any] | None:
    """What has to be done to values of a type before the database takes them, if anything."""
    prepare: Callable[[Any], Any] | None = getattr(type_, "prepare", None)
    return prepare


def inserting(dialect: str, into: Table) -> Any:
    """An INSERT that can say ON CONFLICT: the two dialects write it alike, but from two modules."""
    return sqlite.insert(into) if dialect == "sqlite" else postgresql.insert(into)


def insert_many(into: Table, names: Sequence[str], more: Callable[[Any], Any] = lambda adding: adding) -> Many:
    """Adds rows that have these columns, of which the first is never zero or NULL; `more` says what to do where they
    collide."""

    def make(dialect: str, given: Given) -> Any:
        # Without a condition SQLite would take ON CONFLICT for that of a join.
        begun = literal_column(f"given.{names[0]} <> 0") if dialect == "sqlite" else true()
        rows = select(*given.values()).where(begun)
        return more(inserting(dialect, into).inline().from_select(list(given), rows))

    return Many({name: into.c[name].type for name in names}, make)


class _List(TypeDecorator[Any]):
    """A list as SQLite reads it."""

    impl = Text
    cache_ok = True
    prepare = staticmethod(dump_text)


def among(dialect: str, wanted: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a column is in the list that is given under a name: one statement for lists of any length."""
    if dialect == "sqlite":
        return wanted.in_(select(func.json_each(bindparam(name, type_=_List)).table_valued("value").c.value))
    kind = BigInteger if isinstance(wanted.type, Integer) else Text
    return wanted == any_(bindparam(name, type_=ARRAY(kind)))
