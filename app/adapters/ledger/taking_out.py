"""Takes contents out of sealed rows, and writes down what they were by their digests: see `seals`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, insert, select, update

from app.adapters.ledger.schema import attempts, audit
from app.adapters.ledger.seals import CONTENTS, kept_digest, whole_digest
from app.adapters.ledger.shared_schema import erasures
from app.core.contents import How, bare_request, marker
from app.core.jsontext import dump_text, loads


def take_out(
    connection: Connection,
    table: Table,
    numbers: Collection[int],
    how: How,
    now: int,
    on: str,
    scrub: Callable[[str], str],
    reason: Callable[[str], str] | None = None,
) -> int:
    """Take the contents of these rows of `attempts` or `audit`; how many that were.

    What was done, when and with which outcome stays, and so does the reason, as `reason` (else `scrub`) leaves it.
    """
    if not numbers:
        return 0
    # Held, so that nobody seals or empties them at the same time.
    rows = connection.execute(select(table).where(table.c.seq.in_(sorted(numbers))).with_for_update()).all()
    if not rows:
        return 0
    names = CONTENTS[table.name]
    emptied = [{"row_seq": row.seq, **_emptied(table, row, how, on, scrub, reason or scrub)} for row in rows]
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    connection.execute(update(table).where(table.c.seq == bindparam("row_seq")).values(values), emptied)
    after = {row.seq: row for row in connection.execute(select(table).where(table.c.seq.in_(sorted(numbers))))}
    told = [
        {
            "at": now,
            "of": table.name,
            "row": row.seq,
            "how": how,
            "before": whole_digest(table, row).hex(),
            "kept": kept_digest(table, row),
            "after": whole_digest(table, after[row.seq]).hex(),
        }
        for row in rows
    ]
    connection.execute(insert(erasures), told)
    return len(rows)


def _emptied(
    table: Table, row: Row[Any], how: How, on: str, scrub: Callable[[str], str], reason: Callable[[str], str]
) -> dict[str, str]:
    if table is audit:
        return {"new_before": marker(how, on), "new_after": marker(how, on)}
    assert table is attempts
    request = scrub(dump_text(bare_request(loads(row.request), how, on)))
    return {"new_because": reason(row.because), "new_request": request, "new_response": marker(how, on)}
