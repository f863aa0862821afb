"""Seals: what was done is made so that nobody can alter it unseen. See `core.sealing`.

Not on the way of an event: the clock seals from time to time what was written before its last look. A row that is
taken away or altered before it was sealed, some seconds after it was written, is not noticed.

Contents that were taken out of a sealed row (see `taking_out`) leave a row of `erasures` behind, which is sealed too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, Text, cast, func, insert, select

from app.adapters.ledger.schema import attempts, audit
from app.adapters.ledger.shared_schema import erasures, seals
from app.adapters.ledger.store import Store
from app.core.contents import BEGINS, went
from app.core.sealing import START, compare, contents_digest, digest, link, pack, row_digest, unpack

#: The tables of which each row is a fact that never changes again.
SEALED = (attempts, audit, erasures)
#: What may be taken out of a row of them, on its own or with others: all else is what was done.
CONTENTS = {"attempts": ("because", "request", "response"), "audit": ("before", "after"), "erasures": ()}
#: Behind the table's name in a seal: its digests are over facts and contents apart. Seals of earlier versions of the
#: hub have the bare name, and one digest over all of a row.
_APART = ".2"
#: So many rows go into one seal: what one transaction reads is bounded, and so is the time that others wait for it.
SEALED_MOST = 128
#: The mark that is no table's.
_TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True)
class Unsound:
    """Something in the ledger that cannot be: which check found it, what it is about, and what is wrong."""

    check: str
    row: str
    what: str


class Sealing(Store):
    """Seals rows, and looks whether they are as they were sealed. Every method raises `LedgerUnavailable`."""

    def seal_marks(self) -> dict[str, int]:
        """The last number that each sealed table holds now, and the next transaction's."""
        with self._db.read() as connection:
            marks = {table.name: connection.scalar(select(func.max(table.c.seq))) or 0 for table in SEALED}
            # After the rows: whoever gave itself a number before the last of them has begun by now.
            return marks | {_TRANSACTION: self._transaction(connection, "xmax")}

    def settled(self, marks: dict[str, int]) -> bool:
        """Whether all that was being written when these marks were taken is committed, or never will be.

        Until then a row may still come in below the marks: of a transaction that was held up, or of a worker that
        stood still in the midst of it.
        """
        with self._db.read() as connection:
            return self._transaction(connection, "xmin") >= marks.get(_TRANSACTION, 0)

    def seal(self, marks: dict[str, int]) -> int:
        """Seal rows up to these marks, which must be `settled`; how many. Call again as long as there are any."""
        count = 0
        for table in SEALED:
            with self._db.write() as connection:
                count += self._seal(connection, table, marks.get(table.name, 0))
        return count

    def unsealed(self) -> Iterator[Unsound]:
        """Every row that is not as it was sealed, and every seal that does not follow from the one before."""
        number: int | None = 0
        while number is not None:
            _, found, number = self.unsealed_after(number)
            yield from found

    def unsealed_after(self, number: int) -> tuple[int, list[Unsound], int | None]:
        """Look at the seal that follows this one: how many rows it has, what is wrong, its number; None: there is none.

        What the seals before it say is taken as it stands: they were looked at before.
        """
        tables = {table.name: table for table in SEALED}
        with self._db.read() as connection:
            seal = connection.execute(select(seals).where(seals.c.seq > number).order_by(seals.c.seq).limit(1)).first()
            if seal is None:
                return 0, [], None
            newest_first = select(seals.c.chain).where(seals.c.seq <= number).order_by(seals.c.seq.desc()).limit(1)
            chain = connection.scalar(newest_first) or START
            of = seal.of.removesuffix(_APART)
            after = _sealed_until(connection, of, number)
            rows = _rows(connection, tables[of], after, seal.last) if of in tables else {}
            gone = _taken_out(connection, of, after, seal.last)
        # Whoever altered it may have put anything there.
        packed = seal.digests if isinstance(seal.digests, bytes) else str(seal.digests).encode()
        wrong: list[Unsound] = []
        if seal.chain != link(chain, seal.of, seal.last, packed):
            wrong.append(Unsound("seals", f"seal {seal.seq}", "does not follow from the one before it"))
        try:
            sealed = unpack(packed)
        except ValueError as error:
            wrong.append(Unsound("seals", f"seal {seal.seq}", f"cannot be read: {error}"))
            return len(rows), wrong, seal.seq
        apart = seal.of != of
        found = {
            key: _as_sealed(tables[of], row, apart, sealed.get(key, b""), gone.get(key, ()))
            for key, row in rows.items()
        }
        for key, what in compare(sealed, found):
            name = _name(rows[key]) if key in rows else f"number {key}"
            wrong.append(Unsound("seals", f"{of} {name}", what))
        return len(rows), wrong, seal.seq

    def _transaction(self, connection: Connection, which: str) -> int:
        """The first transaction under way ("xmin"), or not begun ("xmax"). SQLite has one at a time."""
        if self._db.dialect == "sqlite":
            return 0
        snapshot = func.pg_current_snapshot()
        found = select(cast(getattr(func, f"pg_snapshot_{which}")(snapshot), Text))
        return int(connection.execute(found).scalar_one())

    def _seal(self, connection: Connection, table: Table, mark: int) -> int:
        # Whoever seals holds the newest seal: two that do it at once make one chain.
        newest = connection.execute(select(seals).order_by(seals.c.seq.desc()).limit(1).with_for_update()).first()
        after = _sealed_until(connection, table.name)
        rows = _rows(connection, table, after, mark, SEALED_MOST)
        if not rows:
            return 0
        last = max(rows) if len(rows) == SEALED_MOST else mark
        packed = pack({number: apart_digest(table, row) for number, row in rows.items()})
        of = table.name + _APART
        chain = link(newest.chain if newest else START, of, last, packed)
        row = {"of": of, "last": last, "at": self._now(), "digests": packed, "chain": chain}
        # The number is said, so that of two that seal after the same one the second fails instead of forking the chain.
        connection.execute(insert(seals).values(seq=(newest.seq if newest else 0) + 1, **row))
        return len(rows)


def _sealed_until(connection: Connection, of: str, number: int | None = None) -> int:
    """The last row of a table that is sealed, by the seals up to this number."""
    before = select(seals.c.last).where(seals.c.of.in_((of, of + _APART)))
    if number is not None:
        before = before.where(seals.c.seq <= number)
    return connection.scalar(before.order_by(seals.c.seq.desc()).limit(1)) or 0


def whole_digest(table: Table, row: Row[Any]) -> bytes:
    """The digest over all of a row but its number."""
    return digest([getattr(row, column.name) for column in table.c if column.name != "seq"])


def kept_digest(table: Table, row: Row[Any]) -> str:
    """The digest of what may be taken out of a row."""
    return contents_digest([getattr(row, name) for name in CONTENTS[table.name]])


def apart_digest(table: Table, row: Row[Any], kept: str = "") -> bytes:
    """The digest of a row as seals have it, facts and contents apart; as if its contents had the digest `kept`."""
    contents = CONTENTS[table.name]
    facts = [getattr(row, column.name) for column in table.c if column.name != "seq" and column.name not in contents]
    return row_digest(facts, kept or kept_digest(table, row))


def _as_sealed(table: Table, row: Row[Any], apart: bool, sealed: bytes, gone: Sequence[Row[Any]]) -> bytes:
    """The digest of a row, or that of the seal when all that changed since is that contents were taken out."""
    own = apart_digest(table, row) if apart else whole_digest(table, row)
    if own == sealed or not gone or gone[-1].after != whole_digest(table, row).hex() or not _emptied(table, row):
        return own
    if apart:
        fits = any(apart_digest(table, row, one.kept) == sealed for one in gone)
    else:
        fits = any(one.before == sealed.hex() for one in gone)
    return sealed if fits else own


def _emptied(table: Table, row: Row[Any]) -> bool:
    """Whether nothing stands where the contents were that says anything."""
    if table.name == "attempts":
        return bool(went(row.response)) and str(row.request).startswith(BEGINS)
    return table.name == "audit" and bool(went(row.before) and went(row.after))


def _taken_out(connection: Connection, of: str, after: int, last: int) -> Mapping[int, list[Row[Any]]]:
    """What was written down of contents that were taken out of these rows, by their numbers, oldest first."""
    found: dict[int, list[Row[Any]]] = {}
    query = select(erasures).where(erasures.c.of == of, erasures.c.row > after, erasures.c.row <= last)
    for one in connection.execute(query.order_by(erasures.c.seq)):
        found.setdefault(one.row, []).append(one)
    return found


def _rows(connection: Connection, table: Table, after: int, last: int, most: int | None = None) -> dict[int, Row[Any]]:
    query = select(table).where(table.c.seq > after, table.c.seq <= last).order_by(table.c.seq)
    return {row.seq: row for row in connection.execute(query.limit(most) if most else query)}


def _name(row: Row[Any]) -> str:
    if hasattr(row, "id"):
        return str(row.id)
    return f"{row.act} of {row.target}" if hasattr(row, "act") else f"{row.how} {row.of} {row.row}"
