"""References: one number asked for in another system's words. The first step of the file that answers wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.core import references as files
from app.core.mapping import ReferenceUse
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.errors import DataError
from app.model import Attempt, Outcome, Reference, ReferenceKey
from app.pipeline.call import Blocked, Called, Caller
from app.pipeline.ports import PipelineLedger


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

    def resolve(self, use: ReferenceUse, names: Mapping[str, Any], delivery_id: str, number: int) -> Resolution:
        """Translate what `use` asks for. `number` is the try of the delivery, kept with each look-up's attempt.

        Raises `DataError` when the number to translate is missing, empty or no text.
        """
        path = f"references.{use.name}.id"
        wanted = as_id(use.id.render(names, path), path)
        file = self._site.references[use.kind, use.from_system, use.to_system]
        scope = str(file.scope.render(names, "scope")) if file.scope else ""
        key = ReferenceKey(use.kind, use.from_system, use.to_system, wanted, scope)
        found = Resolution(key)
        for step in file.steps:
            if self._answered(step, found, delivery_id, number):
                return found
        found.missing = file.missing
        return found

    def _answered(self, step: files.Step, found: Resolution, delivery_id: str, number: int) -> bool:
        key, now = found.key, self._clock.now()
        match step:
            case files.Table(name=name):
                to_id = self._site.tables[name].get(key.id)
                if to_id is None:
                    return False
                found.reference = Reference(key, to_id, "table", now, {"table": name})
            case files.Stored():
                stored = self._ledger.find_reference(key)
                # A conflict is looked at again: the other system may have been put right since.
                if stored is None or stored.state == "conflict":
                    return False
                found.reference = stored
            case files.Derive(value=value):
                to_id = as_id(value.render(_names(key), "derive"), "derive")
                found.reference = Reference(key, to_id, "derive", now, {"from": key.id})
            case files.Lookup():
                return self._looked_up(step, found, delivery_id, number)
        return True

    def _looked_up(self, step: files.Lookup, found: Resolution, delivery_id: str, number: int) -> bool:
        names = _names(found.key)
        called = self._caller.call(step.connection, step.operation, step.args.render(names, "lookup.with"))
        if isinstance(called, Blocked):
            found.blocked = called
            return True
        attempt = called.attempt(self._ids, "lookup", number, delivery_id=delivery_id)
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
