"""References: one number asked for in another system's words. The first step of the file that answers wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.core import references as files
from app.core.mapping import ReferenceUse
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError
from app.model import Attempt, DeliveryWork, Outcome, Reference, ReferenceKey, StoredReference
from app.pipeline.call import Blocked, Called, Caller
from app.pipeline.ports import PipelineLedger

#: What the ledger was asked ahead counts for so long, in seconds; later it is asked again.
_FRESH_S = 1.0


class Asks(Protocol):
    """Whose calls ask for numbers and look at targets: a delivery, or a question of a bridge."""

    @property
    def delivery_id(self) -> str:
        """Under which the tries are kept."""

    @property
    def attempts(self) -> int:
        """The number of this try."""

    @property
    def step(self) -> int:
        """Index of the call to be made now."""

    @property
    def stored(self) -> dict[str, StoredReference]:
        """What the ledger was asked ahead."""


@dataclass(slots=True)
class Resolution:
    """What became of one reference. Exactly one of `reference`, `missing`, `blocked` and `failed` is set."""

    key: ReferenceKey
    reference: Reference | None = None  # known, or a conflict
    learned: bool = False  # it is news for the cross-references
    missing: str = ""  # park | retry | fail
    blocked: Blocked | None = None
    failed: Outcome | None = None
    attempts: list[Attempt] = field(default_factory=list)


class Resolver:
    """Translates numbers by the site's reference files, the ledger's cross-references and look-ups at connections."""

    def __init__(self, site: Site, ledger: PipelineLedger, caller: Caller, clock: Clock, ids: Ids) -> None:
        self._site, self._ledger, self._caller, self._clock, self._ids = site, ledger, caller, clock, ids

    def ask_ahead(self, wanted: Sequence[tuple[DeliveryWork, ReferenceUse, Mapping[str, Any]]]) -> None:
        """Ask the ledger once for all that these deliveries will want to know of it, each with its names."""
        keys: list[tuple[DeliveryWork, str, ReferenceKey]] = []
        for work, use, names in wanted:
            if files.Stored() in self._file(use).steps:
                # What cannot be worked out says so when it is delivered.
                with suppress(DataError):
                    keys.append((work, use.name, self._key(use, names)))
        if not keys:
            return
        at = self._clock.monotonic()
        known = self._ledger.find_references([key for _, _, key in keys])
        for work, name, key in keys:
            work.stored[name] = StoredReference(key, known.get(key), at)

    def resolve(self, use: ReferenceUse, names: Mapping[str, Any], work: Asks) -> Resolution:
        """Translate what `use` asks for.

        Raises `DataError` when the number to translate is missing, empty or no text.
        """
        ahead = work.stored.get(use.name)
        file = self._file(use)
        found = Resolution(ahead.key if ahead else self._key(use, names))
        if ahead and self._clock.monotonic() - ahead.at > _FRESH_S:
            ahead = None
        for step in file.steps:
            if self._answered(step, found, work, ahead):
                return found
        # Before it is said to be unknown: it may have come since the ledger was asked.
        if ahead and self._answered(files.Stored(), found, work, None):
            return found
        found.missing = file.missing
        return found

    def _file(self, use: ReferenceUse) -> files.ReferenceFile:
        return self._site.references[use.kind, use.from_system, use.to_system]

    def _key(self, use: ReferenceUse, names: Mapping[str, Any]) -> ReferenceKey:
        path = f"references.{use.name}.id"
        wanted = as_id(use.id.render(names, path), path)
        file = self._file(use)
        scope = str(file.scope.render(names, "scope")) if file.scope else ""
        return ReferenceKey(use.kind, use.from_system, use.to_system, wanted, scope)

    def _answered(self, step: files.Step, found: Resolution, work: Asks, ahead: StoredReference | None) -> bool:
        key, now = found.key, self._clock.now()
        match step:
            case files.Table(name=name):
                to_id = self._site.tables[name].get(key.id)
                if to_id is None:
                    return False
                found.reference = Reference(key, to_id, "table", now, {"table": name})
            case files.Stored():
                stored = ahead.reference if ahead else self._ledger.find_references([key]).get(key)
                # A conflict is looked at again: the other system may have been put right since.
                if stored is None or stored.state == "conflict":
                    return False
                found.reference = stored
            case files.Derive(value=value):
                to_id = as_id(value.render(_names(key), "derive"), "derive")
                found.reference = Reference(key, to_id, "derive", now, {"from": key.id})
            case files.Lookup():
                return self._looked_up(step, found, work)
        return True

    def _looked_up(self, step: files.Lookup, found: Resolution, work: Asks) -> bool:
        names = _names(found.key)
        called = self._caller.call(step.connection, step.operation, step.args.render(names, "lookup.with"))
        if isinstance(called, Blocked):
            found.blocked = called
            return True
        attempt = called.attempt(self._ids, "lookup", work.attempts, delivery_id=work.delivery_id)
        found.attempts.append(attempt)
        outcome = called.outcome
        if outcome.status == 404 and outcome.result == "rejected":
            return False
        if outcome.result != "delivered":
            found.failed = outcome
            return True
        candidates = self._taken(step, called, names)
        if not candidates:
            return False
        evidence: dict[str, Any] = {"attempt": attempt.attempt_id, "by": f"{step.connection}.{step.operation}"}
        now = self._clock.now()
        if len(candidates) > 1:
            found.reference = _conflict(found.key, candidates, evidence, now)
        else:
            found.reference = Reference(found.key, candidates[0], "lookup", now, evidence)
        found.learned = True
        return True

    def _taken(self, step: files.Lookup, called: Called, names: Mapping[str, Any]) -> list[str]:
        assert called.response is not None
        answer = {**names, "body": called.response.body, "status": called.response.status}
        taken = step.take.render(answer, "lookup.take")
        if taken is None:
            return []
        rows = taken if isinstance(taken, list) else [taken]
        return list(dict.fromkeys(as_id(row, "lookup.take") for row in rows if row is not None))


def _conflict(key: ReferenceKey, candidates: list[str], evidence: dict[str, Any], at: datetime) -> Reference:
    return Reference(key, "", "lookup", at, {**evidence, "candidates": candidates}, state="conflict")


def _names(key: ReferenceKey) -> dict[str, Any]:
    return {"id": key.id, "scope": key.scope}


def as_id(value: Any, path: str) -> str:
    """An id as text. Raises `DataError` for what is no id: empty, a fraction, a list, nothing at all."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{value!r} is no number that can be looked up", path=path, todo="an id is text that is not empty")
