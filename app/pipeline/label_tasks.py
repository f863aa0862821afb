"""A label that could not be made asks for a person, and is settled when the return gets another label after all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from app.core.ports import Ids
from app.core.tasks import NewTask, OpenTask
from app.model import Change, Document
from app.pipeline.ports import Transaction

#: What `kind` such a task has.
LABEL = "label"
#: A carrier's code tells nothing of anybody. A sentence may hold an address, and what a task says goes into the log.
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")


def failed_labels(ids: Ids, document: Document, found: Sequence[Change], new: Collection[str]) -> Iterator[NewTask]:
    """A task for each parcel of which it is told for the first time that it has no label. Once for ever per parcel."""
    for change in found:
        if change.name == "parcel.failed" and change.key in new:
            parcel = change.data["parcel"]
            error = parcel.get("error") or ""
            says = f"no label could be made for parcel {parcel['id']}"
            if _CODE.fullmatch(error):
                says += f": {error}"
            known = [one["id"] for one in document.body.get("parcels") or ()]
            told = {"change": change.key, "parcel": parcel["id"], "error": error, "known": known}
            yield NewTask(ids.new("tsk"), LABEL, f"label:{parcel['id']}", says, told)


def settle_labels(tx: Transaction, document: Document, head: Document | None, found: Sequence[Change]) -> None:
    """Close the tasks that the labels of this picture settle.

    A label settles the task of its own parcel; that of a parcel which was not there when another failed took that
    one's place, and settles the oldest such task. One label settles one task: two parcels need two.
    """
    labelled = [change.data["parcel"]["id"] for change in found if change.name == "parcel.labelled"]
    # Asked for only where a label had failed: most labels come at once.
    if not labelled or head is None or not _any_failed(head):
        return
    waiting = list(tx.open_tasks_of((document.kind, document.connection, document.object_id), LABEL))
    for parcel in labelled:
        task = next((one for one in waiting if one.data["parcel"] == parcel), None)
        task = task or next((one for one in waiting if _replaced(one, parcel)), None)
        if task is not None:
            waiting.remove(task)
            tx.settle_task(task.task_id, f"parcel {parcel} has a label")


def _replaced(task: OpenTask, parcel: str) -> bool:
    return parcel not in task.data["known"]


def _any_failed(document: Document) -> bool:
    return any(parcel.get("state") == "failed" for parcel in document.body.get("parcels") or ())
