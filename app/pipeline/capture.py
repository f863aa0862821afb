"""Capture: numbers that a vendor's message tells on the way, kept for search and for translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from app.core.connectors import Connection
from app.errors import DataError
from app.model import Document, Identifier, Reference, ReferenceKey
from app.pipeline.ports import Transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Captured:
    """What one message told."""

    identifiers: tuple[Identifier, ...] = ()
    references: tuple[Reference, ...] = ()


#: A message that told no number.
NOTHING = Captured()


def captured(connection: Connection, names: Mapping[str, Any], event_id: str, at: datetime) -> Captured:
    """The numbers that the connector's `inbound.capture` finds in a message and its document.

    A number that is null or empty is none. Raises `DataError` when an expression fails, or a number translates nothing.
    """
    inbound = connection.connector.inbound
    identifiers: list[Identifier] = []
    references: list[Reference] = []
    for index, rule in enumerate(inbound.capture if inbound else ()):
        place = f"inbound.capture[{index}]"
        value = rule.id.render(names, f"{place}.id")
        if value is None or value == "":
            continue
        identifiers.append(Identifier(str(value), rule.kind, rule.kind == "return"))
        if rule.system and rule.from_id:
            translated = rule.from_id.render(names, f"{place}.from")
            if translated is None or translated == "":
                raise DataError(f"{rule.kind} {value} translates nothing", path=f"{place}.from")
            key = ReferenceKey(rule.kind, connection.system, rule.system, str(translated))
            references.append(Reference(key, str(value), "event", at, {"event": event_id}))
    return Captured(tuple(identifiers), tuple(references))


def keep_captured(tx: Transaction, told: Sequence[tuple[Document, Captured]]) -> None:
    """Keep what the messages of these documents told; what waited for a number is due at once."""
    references: list[Reference] = []
    for document, found in told:
        if found.identifiers:
            tx.add_identifiers(document.kind, document.connection, document.object_id, found.identifiers)
        references += found.references
    if references and (released := tx.put_references(references)):
        log.info("delivery.released", deliveries=released, by=[str(reference.key) for reference in references])
