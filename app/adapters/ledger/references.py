"""References: what one system's number is in another. One current row a key, the earlier ones are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from app.adapters.ledger.columns import bounded, from_ms, iso_ms, to_ms
from app.adapters.ledger.schema import deliveries, refs
from app.adapters.ledger.statements import Statement, among, insert_many
from app.adapters.ledger.store import Store
from app.adapters.ledger.transaction import Writing
from app.core.jsontext import dump_text, loads
from app.model import Reference, ReferenceKey

_current = Statement(
    lambda dialect: select(refs).where(among(dialect, refs.c.key, "keys"), refs.c.superseded_at.is_(None))
)
_supersede = Statement(
    lambda dialect: (
        update(refs)
        .where(among(dialect, refs.c.key, "keys"), refs.c.superseded_at.is_(None))
        .values(superseded_at=bindparam("now"))
    )
)
_insert = insert_many(refs, tuple(column.name for column in refs.c if column.name not in ("seq", "superseded_at")))
_release = Statement(
    lambda dialect: (
        update(deliveries)
        .where(
            among(dialect, deliveries.c.waits_for, "keys"),
            deliveries.c.due_at.is_not(None),
            or_(deliveries.c.state == "parked", deliveries.c.state == "conflict"),
        )
        .values(
            state="ready", due_at=bindparam("now"), waits_for=None, because="", fault=None, updated_at=bindparam("now")
        )
        .returning(deliveries.c.id)
    )
)
_known_since = Statement(
    lambda dialect: select(refs.c.key, refs.c.recorded_at).where(
        among(dialect, refs.c.key, "keys"), refs.c.superseded_at.is_(None), refs.c.state == "known"
    )
)


#: Nobody sees a translation before it is committed, and that may be so long after the time that stands in it.
_COMMITTED_WITHIN_MS = 10_000


class ReferenceWriting(Writing):
    """The part of a transaction that keeps references."""

    def find_reference(self, key: ReferenceKey) -> Reference | None:
        """The current translation of a number as this transaction sees it, a conflict included."""
        return _found(self._connection, [key]).get(key)

    def put_reference(self, reference: Reference) -> list[str]:
        """Keep a translation as the current one; the ids of the deliveries that waited for it and are due now.

        The earlier one stays as history; putting the same again changes nothing. A conflict releases nobody.
        """
        return self.put_references([reference])

    def put_references(self, references: Sequence[Reference]) -> list[str]:
        """`put_reference` for many at once. Of several for one number the last counts."""
        wanted = {bounded(str(reference.key)): reference for reference in references}
        if not wanted:
            return []
        self.lock_objects(("reference", str(reference.key), "") for reference in wanted.values())
        current = {row.key: row for row in _current.rows(self._connection, {"keys": sorted(wanted)})}
        # Written again even if only the origin differs: who says so is what people will ask.
        news = {key: one for key, one in wanted.items() if key not in current or not _same(current[key], one)}
        if old := sorted(key for key in news if key in current):
            _supersede.change(self._connection, {"keys": old, "now": self._now})
        _insert.run(self._connection, [_row(one, self._now) for one in news.values()])
        if known := sorted(key for key, one in wanted.items() if one.state == "known"):
            return [row.id for row in _release.rows(self._connection, {"keys": known, "now": self._now})]
        return []

    def _known_since(self, keys: Collection[str]) -> dict[str, int]:
        """Until when somebody may have looked for these numbers, which are known, and not have seen them."""
        if not keys:
            return {}
        wanted = {"keys": [bounded(key) for key in keys]}
        found = _known_since.rows(self._connection, wanted)
        return {row.key: row.recorded_at + _COMMITTED_WITHIN_MS for row in found}


class Referring(Store):
    """Reads references. Every method raises `LedgerUnavailable`."""

    def find_reference(self, key: ReferenceKey) -> Reference | None:
        """The current translation of a number, a conflict included; None when nothing is known."""
        return self.find_references([key]).get(key)

    def find_references(self, keys: Collection[ReferenceKey]) -> dict[ReferenceKey, Reference]:
        """The current translations of many numbers at once; what nothing is known of is left out."""
        with self._db.read() as connection:
            return _found(connection, keys)

    def references(self, text: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Translations with their history, newest first; only those from or to the number `text` when given."""
        query = select(refs).order_by(refs.c.seq.desc()).limit(limit)
        if text:
            number = text.strip().lstrip("#")
            shapes = {bounded(shape) for shape in (text, number, f"#{number}")}
            query = query.where(or_(refs.c.from_key.in_(shapes), refs.c.to_key.in_(shapes)))
        with self._db.read() as connection:
            return [reference_view(row) for row in connection.execute(query)]


def _found(connection: Connection, keys: Collection[ReferenceKey]) -> dict[ReferenceKey, Reference]:
    wanted = {bounded(str(key)): key for key in keys}
    rows = _current.rows(connection, {"keys": list(wanted)})
    return {wanted[row.key]: to_reference(row) for row in rows}


def to_reference(row: Any) -> Reference:
    """The reference of a row of `refs`."""
    key = ReferenceKey(row.kind, row.from_system, row.to_system, row.from_id, row.scope)
    return Reference(key, row.to_id, row.origin, from_ms(row.at), loads(row.evidence), row.state)


def reference_view(row: Any) -> dict[str, Any]:
    """A row of `refs` for lists and stories."""
    return {
        "key": row.key,
        "kind": row.kind,
        "from_system": row.from_system,
        "to_system": row.to_system,
        "scope": row.scope,
        "id": row.from_id,
        "to_id": row.to_id,
        "state": row.state,
        "origin": row.origin,
        "at": iso_ms(row.at),
        "recorded_at": iso_ms(row.recorded_at),
        "superseded_at": iso_ms(row.superseded_at),
        "evidence": loads(row.evidence),
    }


def _same(row: Any, reference: Reference) -> bool:
    known = (row.to_id, row.state, row.origin)
    return known == (reference.to_id, reference.state, reference.origin) and (
        reference.state == "known" or loads(row.evidence) == reference.evidence
    )


def _row(reference: Reference, now: int) -> dict[str, object]:
    key, evidence = reference.key, reference.evidence
    source = evidence if isinstance(evidence, dict) else {}
    return {
        "key": str(key),
        "kind": key.kind,
        "from_system": key.from_system,
        "to_system": key.to_system,
        "scope": key.scope,
        "from_id": key.id,
        "to_id": reference.to_id,
        "from_key": key.id,
        "to_key": reference.to_id,
        "state": reference.state,
        "origin": reference.origin,
        "at": to_ms(reference.at),
        "recorded_at": now,
        "source_id": source.get("attempt") or source.get("delivery") or source.get("event"),
        "evidence": dump_text(evidence),
    }
