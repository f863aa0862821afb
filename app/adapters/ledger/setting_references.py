"""A person says what one system's number is in another."""

from __future__ import annotations

from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.store import Store
from app.core.times import iso
from app.model import Json, Reference, ReferenceKey


class SettingReferences(Store):
    """Carries out what people ask for. Every method raises `LedgerUnavailable`."""

    def set_reference(self, key: ReferenceKey, to_id: str, who: str) -> list[str]:
        """Keep a translation by hand; the ids of the deliveries that waited for it and are due now."""
        with self._db.write() as connection:
            tx = Finishing(self._db, connection, self._now())
            before = tx.find_reference(key)
            released = tx.put_reference(Reference(key, to_id, "manual", self._clock.now(), {"by": who}))
            tx.audit(who, "refs set", str(key), _view(before), {"to": to_id, "released": released})
        return released


def _view(reference: Reference | None) -> Json:
    if reference is None:
        return None
    return {
        "to": reference.to_id,
        "state": reference.state,
        "origin": reference.origin,
        "at": iso(reference.at),
        "evidence": reference.evidence,
    }
