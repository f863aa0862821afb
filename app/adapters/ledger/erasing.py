"""Removes a person: contents and what names somebody go, what happened and the numbers of the business stay."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, text, update

from app.adapters.ledger.erasing_parts import Person, Words, erase_person
from app.adapters.ledger.finding_persons import find_by_email, find_by_number, gather
from app.adapters.ledger.schema import deliveries, events
from app.adapters.ledger.scrubbing import scrub
from app.adapters.ledger.shared_schema import bridge_answers
from app.adapters.ledger.story import Stories
from app.adapters.ledger.transaction import Writing
from app.core.masking import Masker
from app.errors import HubError
from app.model import FINAL_DELIVERY_STATES, FINAL_EVENT_STATES

#: What is given up by force.
_GIVEN_UP = "given up: the person it is about was erased"


class Erasing(Stories):
    """Every method raises `LedgerUnavailable`."""

    def person_by_number(self, kind: str, number: str) -> Person:
        """All that the ledger has of the orders or returns (`kind`) with a number, and of what they are linked to."""
        return gather(self, self._db, find_by_number(self._db, kind, number))

    def person_by_email(self, email: str) -> Person:
        """All that the ledger has of whatever contains an e-mail address, in whatever case and spelling.

        Reads every content of the ledger, a page at a time.
        """
        return gather(self, self._db, find_by_email(self._db, email))

    def erase(self, person: Person, who: str, target: str, because: str, masker: Masker, *, force: bool) -> None:
        """Remove what was found, in one transaction, with one row of audit.

        Raises `HubError` when something of it is worked on now, or, without `force`, has not ended: it is given up
        then.
        """
        with self._db.write() as connection:
            if self._db.dialect == "sqlite":
                # What is overwritten or deleted is filled with zeros at once.
                connection.execute(text("PRAGMA secure_delete = ON"))
            now = self._now()
            held, waits = _open(connection, person)
            if held:
                raise HubError(f"worked on at this moment: {', '.join(held[:5])}; try again in a minute")
            if waits and not force:
                raise HubError(
                    f"not over yet: {', '.join(waits[:5])}; wait, settle them by `backhaul resolve`, or give them up "
                    "with --force"
                )
            if waits:
                _give_up(connection, waits, now)
            words = Words(masker, person.words)
            erase_person(connection, person, words, now)
            tx = Writing(self._db, connection, now)
            tx.audit(who, "erase", target, person.counts, {"because": words.scrub(because), "given up": waits})

    def scrub_file(self) -> bool:
        """Have the database's file forget what was deleted; False when others still read its log. See `scrubbing`."""
        return scrub(self._db)


def _open(connection: Connection, person: Person) -> tuple[list[str], list[str]]:
    """(what is worked on now, what else has not ended) of a person, as this transaction sees it."""
    held: list[str] = []
    waits: list[str] = []
    final = {"events": FINAL_EVENT_STATES, "deliveries": FINAL_DELIVERY_STATES}
    for table, ids in ((events, person.events), (deliveries, person.deliveries)):
        query = select(table.c.id, table.c.state).where(table.c.id.in_(ids)).with_for_update()
        for row in connection.execute(query):
            if row.state not in final[table.name]:
                (held if row.state == "running" else waits).append(row.id)
    b = bridge_answers.c
    for row in connection.execute(select(b.id, b.state).where(b.id.in_(person.questions)).with_for_update()):
        if row.state not in ("answered", "failed"):
            (held if row.state == "running" else waits).append(row.id)
    return held, waits


def _give_up(connection: Connection, ids: Sequence[str], now: int) -> None:
    dead = {"state": "dead", "due_at": None, "because": _GIVEN_UP, "fault": "data", "waits_for": None}
    for table in (events, deliveries):
        connection.execute(update(table).where(table.c.id.in_(ids)).values(**dead, updated_at=now))
    failed = {"state": "failed", "because": _GIVEN_UP, "updated_at": now}
    connection.execute(update(bridge_answers).where(bridge_answers.c.id.in_(ids)).values(**failed))
