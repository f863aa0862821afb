"""Render: references and mapping make the request of one step of a delivery, or say why it cannot be made yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.connectors import Operation
from app.core.mapping import MappingFile, ReferenceUse
from app.core.routing import RouteCall, delivery_view
from app.core.site import Site
from app.errors import DataError
from app.model import Attempt, DeliveryWork, Json, Reference
from app.pipeline.request import find_operation
from app.pipeline.resolve import Resolution, Resolver
from app.pipeline.route import names_for, split_items

#: A file in which no expression can name `raw` has neither the word nor an escape that might spell it.
_MENTIONS_RAW = re.compile(r"\braw\b|\\[xuU]")


def _mentions_raw(text: str) -> bool:
    # Nearly all files have neither sign, which is seen much faster than the pattern.
    return ("raw" in text or "\\" in text) and _MENTIONS_RAW.search(text) is not None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A step of a delivery, rendered and ready to be sent."""

    operation: Operation
    args: Json
    body: Json
    idempotency_key: str
    used: Mapping[str, Any]  # the references that went in, by name
    names: Mapping[str, Any]  # what a probe and captures may name beside the answer


def idempotency_key(work: DeliveryWork) -> str:
    """The key of the delivery's current call: the same on every try, another one once it is to be sent anew."""
    return f"{work.delivery_id}.{work.step}" + (f".{work.resends}" if work.resends else "")


class Renderer:
    """Renders calls with the site's mappings."""

    def __init__(self, site: Site, resolver: Resolver) -> None:
        self._site, self._resolver = site, resolver
        # The vendor's words lie unparsed with each document, and hardly any mapping looks at them.
        self._raw = not site.files or any(map(_mentions_raw, site.files.values()))

    def plain_names(self, work: DeliveryWork, call: RouteCall) -> dict[str, Any]:
        """What `when` of a call sees: the document, the change, earlier answers, the target's settings."""
        names = names_for(work.document, work.change, raw=self._raw)
        names["answers"] = list(work.answers)
        names["settings"] = self._site.connections[call.connection].public_settings
        names["delivery"] = delivery_view(work.delivery_id, idempotency_key(work))
        return names

    def names(self, work: DeliveryWork, call: RouteCall) -> dict[str, Any]:
        """What the mapping of a call sees, but for the references. Raises `DataError` when the part is not there."""
        mapping = self._mapping(call)
        names = self.plain_names(work, call)
        if mapping.split is not None:
            parts = split_items(mapping, names)
            if work.part not in parts:
                what = f"part {work.part!r} of the split is gone" if work.part else "it was never split"
                raise DataError(what, path="split", where=str(mapping.where))
            names[mapping.split.name] = parts[work.part]
        return names

    def render(
        self, work: DeliveryWork, call: RouteCall, attempts: list[Attempt], references: list[Reference]
    ) -> Rendered | Resolution:
        """The request of a call, or the reference that stands in its way.

        `attempts` and `references` grow by what was asked for and learned on the way. Raises `DataError`.
        """
        mapping = self._mapping(call)
        names = self.names(work, call)
        operation = find_operation(self._site.connections[call.connection], call.operation)
        return fill_in(
            mapping, operation, names, lambda use: self._resolver.resolve(use, names, work), attempts, references
        )

    def _mapping(self, call: RouteCall) -> MappingFile:
        return self._site.mappings[call.mapping]


def fill_in(
    mapping: MappingFile,
    operation: Operation,
    names: dict[str, Any],
    resolve: Callable[[ReferenceUse], Resolution],
    attempts: list[Attempt],
    references: list[Reference],
) -> Rendered | Resolution:
    """The request that a mapping makes for an operation, or the reference that stands in its way.

    `names` are what the mapping sees; `refs` is added. `attempts` and `references` grow by what was asked for and
    learned on the way. Raises `DataError`.
    """
    known: dict[str, str] = {}
    used: dict[str, Any] = {}
    for use in mapping.references:
        found = resolve(use)
        attempts.extend(found.attempts)
        if found.learned and found.reference:
            references.append(found.reference)
        if found.reference is None or found.reference.state == "conflict":
            return found
        known[use.name] = found.reference.to_id
        used[use.name] = {
            "from": found.key.id,
            "to": found.reference.to_id,
            "kind": found.key.kind,
            "origin": found.reference.origin,
            "to_system": found.key.to_system,
        }
    names["refs"] = known
    args = mapping.args.render(names, "args") if mapping.args else {}
    body = mapping.body.render(names, "body") if mapping.body else None
    told = {
        "args": args,
        "request": {"body": body, "args": args},
        "settings": names["settings"],
        "delivery": names["delivery"],
    }
    return Rendered(operation, args, body, names["delivery"]["key"], used, told)
