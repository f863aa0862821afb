"""What an answer tells for later: the numbers that an operation captures from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.core.connectors import Capture
from app.core.site import Site
from app.errors import DataError
from app.model import DeliveryWork, Identifier, Json, Reference, ReferenceKey
from app.pipeline.render import Rendered


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands for the answer to a call. `own`: it is in the operation's own words, not in those of a look."""

    body: Json
    status: int | None
    because: str
    own: bool = True


@dataclass(slots=True)
class Learned:
    """Numbers that an answer told: to search by, and to translate with."""

    identifiers: list[Identifier] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)


def learn(site: Site, work: DeliveryWork, rendered: Rendered, answer: Answer, now: datetime) -> Learned:
    """What the operation captures from the answer to a delivery's call, as `learn_from` says."""
    return learn_from(site, work.document.connection, work.delivery_id, rendered, answer, now)


def learn_from(site: Site, source: str, delivery_id: str, rendered: Rendered, answer: Answer, now: datetime) -> Learned:
    """What the operation captures from an answer. `source` is the connection whose numbers the request was about.

    What a look at the target saw may lack what the operation's own answer has: that is then not learned. Raises
    `DataError` when a capture of the operation's own answer fails.
    """
    learned = Learned()
    if not rendered.operation.capture:
        return learned
    names = {**rendered.names, "body": answer.body, "status": answer.status}
    for capture in rendered.operation.capture:
        try:
            _capture(site, source, delivery_id, capture, names, learned, now)
        except DataError:
            if answer.own:
                raise
    return learned


def _capture(
    site: Site,
    source: str,
    delivery_id: str,
    capture: Capture,
    names: Mapping[str, Any],
    learned: Learned,
    now: datetime,
) -> None:
    value = capture.id.render(names, "capture.id")
    if value is None or value == "":
        return
    if capture.system and capture.from_id:
        connection = site.connections.get(source)
        key = ReferenceKey(
            capture.kind,
            connection.system if connection else source,
            capture.system,
            str(capture.from_id.render(names, "capture.from")),
        )
        evidence = {"delivery": delivery_id}
        learned.references.append(Reference(key, str(value), "captured", now, evidence))
    learned.identifiers.append(Identifier(str(value), capture.kind, capture.kind == "return"))
