"""Seals: what was done is made so that nobody can alter it unseen. See `core.sealing`.

Not on the way of an event: the clock seals from time to time what was written before its last look. A row that is
taken away or altered before it was sealed, some seconds after it was written, is not noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, func, insert, select

from app.adapters.ledger.schema import attempts, audit
from app.adapters.ledger.shared_schema import seals
from app.adapters.ledger.store import Store
from app.core.sealing import START, compare, digest, link, pack, unpack

#: The tables of which each row is a fact that never changes again.
SEALED = (attempts, audit)
#: So many rows go into one seal: what one transaction reads is bounded, and so is one row of seals.
_MOST = 500
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
        chain, last = START, dict.fromkeys((table.name for table in SEALED), 0)
        tables = {table.name: table for table in SEALED}
        number = 0
        while True:
            with self._db.read() as connection:
                seal = connection.execute(
                    select(seals).where(seals.c.seq > number).order_by(seals.c.seq).limit(1)
                ).first()
                if seal is None:
                    return
                rows = _rows(connection, tables[seal.of], last[seal.of], seal.last) if seal.of in tables else {}
            number = seal.seq
            # Whoever altered it may have put anything there.
            packed = seal.digests if isinstance(seal.digests, bytes) else str(seal.digests).encode()
            expected = link(chain, seal.of, seal.last, packed)
            if seal.chain != expected:
                yield Unsound("seals", f"seal {seal.seq}", "does not follow from the one before it")
            chain = seal.chain
            try:
                sealed = unpack(packed)
            except ValueError as error:
                yield Unsound("seals", f"seal {seal.seq}", f"cannot be read: {error}")
                continue
            for row, what in compare(sealed, {key: found for key, (found, _) in rows.items()}):
                name = rows[row][1] if row in rows else f"number {row}"
                yield Unsound("seals", f"{seal.of} {name}", what)
            last[seal.of] = seal.last

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
        before = select(seals.c.last).where(seals.c.of == table.name).order_by(seals.c.seq.desc()).limit(1)
        after = connection.scalar(before) or 0
        rows = _rows(connection, table, after, mark, _MOST)
        if not rows:
            return 0
        last = max(rows) if len(rows) == _MOST else mark
        packed = pack({number: found for number, (found, _) in rows.items()})
        chain = link(newest.chain if newest else START, table.name, last, packed)
        row = {"of": table.name, "last": last, "at": self._now(), "digests": packed, "chain": chain}
        # The number is said, so that of two that seal after the same one the second fails instead of forking the chain.
        connection.execute(insert(seals).values(seq=(newest.seq if newest else 0) + 1, **row))
        return len(rows)


def _rows(
    connection: Connection, table: Table, after: int, last: int, most: int | None = None
) -> dict[int, tuple[bytes, str]]:
    """The digests of rows with what people call them, by their numbers."""
    columns = [column for column in table.c if column.name != "seq"]
    query = select(table.c.seq, *columns).where(table.c.seq > after, table.c.seq <= last).order_by(table.c.seq)
    found = connection.execute(query.limit(most) if most else query)
    return {row[0]: (digest(row[1:]), _name(row)) for row in found}


def _name(row: Any) -> str:
    return str(row.id) if hasattr(row, "id") else f"{row.act} of {row.target}"
