"""What the hub keeps of itself under a name, one value each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from app.adapters.ledger.columns import from_ms
from app.adapters.ledger.shared_schema import facts
from app.adapters.ledger.store import Store
from app.core.jsontext import dump_text, loads
from app.model import Json


class Facts(Store):
    """Every method raises `LedgerUnavailable`."""

    def fact(self, name: str) -> tuple[datetime, Json] | None:
        """When a value was put under a name, and the value; None when none ever was."""
        with self._db.read() as connection:
            row = connection.execute(select(facts.c.at, facts.c.value).where(facts.c.name == name)).first()
        return None if row is None else (from_ms(row.at), loads(row.value))

    def put_fact(self, name: str, value: Json) -> None:
        """Put a value under a name, in place of the one before."""
        row = {"name": name, "at": self._now(), "value": dump_text(value)}
        adding = self._db.insert(facts)
        changed = {"at": adding.excluded.at, "value": adding.excluded.value}
        with self._db.write() as connection:
            connection.execute(adding.on_conflict_do_update(index_elements=["name"], set_=changed), [row])
