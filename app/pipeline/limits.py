"""Limits: facts that go beyond what was delivered are not written; a person is told of each."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.limits import LIMITED, beyond
from app.core.ports import Ids
from app.core.tasks import NewTask
from app.model import FINAL_DELIVERY_STATES, Change, Document
from app.pipeline.ports import Transaction


def within_limits(tx: Transaction, ids: Ids, document: Document, found: Sequence[Change]) -> list[Change]:
    """The changes without those that go beyond what was delivered; each of these raises a task."""
    if not any(change.name in LIMITED and "delivered" in _quantity(change) for change in found):
        return list(found)
    carried = tx.carried((document.kind, document.connection, document.object_id))
    # What ended without a call told nobody.
    acted = [one.change for one in carried if one.state == "done" or one.step or one.state not in FINAL_DELIVERY_STATES]
    refused = beyond(found, acted)
    if refused:
        tx.add_tasks(document, [_task(ids, document, change) for change in refused])
    keys = {change.key for change in refused}
    return [change for change in found if change.key not in keys]


def _task(ids: Ids, document: Document, change: Change) -> NewTask:
    line = change.data["line"]
    of = f"order line {line['order_line']}, of which {line['quantity']['delivered']} were delivered"
    says = f"{change.key} is not told on: it goes beyond {of}"
    told = {"change": change.key, "document": document.document_id}
    return NewTask(ids.new("tsk"), "law", f"beyond:{change.key}", says, told)


def _quantity(change: Change) -> dict[str, object]:
    found: dict[str, object] = change.data["line"].get("quantity") or {}
    return found
