"""Reread: ask the source for one object again, by the connector's `read`. What it says now decides."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError
from app.model import Document, Outcome
from app.pipeline.call import Blocked, Called, Caller
from app.pipeline.picture import make_document


@dataclass(frozen=True, slots=True)
class Reread:
    """What became of asking again. Exactly one of `document`, `blocked` and `failed` is set.

    `called` is the call, where one was made: its attempt is the asker's to keep.
    """

    document: Document | None = None  # as the source shows it now; not written anywhere
    blocked: Blocked | None = None  # no call was made, or the credentials were refused
    failed: Outcome | None = None  # no document came: retry, or rejected (404: the object is gone)
    called: Called | None = None


class Rereader:
    """Asks sources again. Used by many threads."""

    def __init__(self, site: Site, caller: Caller, clock: Clock, ids: Ids) -> None:
        self._site, self._caller, self._clock, self._ids = site, caller, clock, ids

    def can(self, connection: str) -> bool:
        """Whether the connection's connector says how an object is read again."""
        found = self._site.connections.get(connection)
        return bool(found and found.connector.inbound and found.connector.inbound.read)

    def reread(self, connection: str, document: Document) -> Reread:
        """The object of `document` as its source shows it now, mapped like an event's.

        Raises `DataError` when the request or the document cannot be made, `UnknownWord` for a word that no table
        knows, `LedgerUnavailable` before anything was sent.
        """
        source = self._site.connections.get(connection)
        inbound = source.connector.inbound if source else None
        if source is None or inbound is None or inbound.read is None:
            raise DataError(
                f"connection {connection!r} cannot be asked for an object again",
                todo="give its connector `read:` under inbound",
            )
        settings = source.public_settings
        args = inbound.read.args.render({document.kind: document.body, "settings": settings}, "inbound.read.with")
        asked_at = self._clock.now()
        called = self._caller.call(connection, inbound.read.operation, args)
        if isinstance(called, Blocked):
            return Reread(blocked=called)
        outcome = called.outcome
        if outcome.pause:
            return Reread(blocked=Blocked(connection, outcome.because, None), called=called)
        if outcome.result != "delivered" or called.response is None:
            return Reread(failed=outcome, called=called)
        event = {"id": document.event_id, "type": "read", "received_at": asked_at}
        names = {"payload": {}, inbound.read.name: called.response.body, "event": event, "settings": settings}
        fresh = make_document(
            self._site, self._ids, source, document.kind, names, observed_at=asked_at, event_id=document.event_id
        )
        if fresh.object_id != document.object_id:
            raise DataError(
                f"asked for {document.object_id!r} again, the source answered with {fresh.object_id!r}",
                where=str(source.connector.where),
                todo="mend `read:` of the connector",
            )
        return Reread(document=fresh, called=called)
