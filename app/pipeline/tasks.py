"""Tasks: what a new picture of an object asks of a person. Worked out in the transaction that keeps the picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import structlog

from app.core.documents import broken_laws
from app.core.holding import holds
from app.core.ports import Ids
from app.core.reversals import REVERSALS, REVERSIBLE, takes_back
from app.core.site import Site
from app.core.tasks import Carried, NewTask
from app.model import FINAL_DELIVERY_STATES, Change, Document, Json
from app.pipeline.label_tasks import failed_labels, settle_labels
from app.pipeline.ports import Transaction

log = structlog.get_logger()


def raise_tasks(
    tx: Transaction,
    site: Site,
    ids: Ids,
    document: Document,
    head: Document | None,
    found: Sequence[Change],
    new: Collection[str],
) -> None:
    """Keep a task for each quantity law that the document breaks, for each label that could not be made, and for each
    fact that was acted upon and is now taken back, or true again after that. Labels that came after all settle theirs.

    `head` is the picture before, `found` what is new against it, `new` the keys of those never told before. A task
    that was raised before is left out.
    """
    settle_labels(tx, document, head, found)
    raised = [*_laws(ids, document, head), *failed_labels(ids, document, found, new)]
    reversals = [change for change in found if change.name in REVERSALS]
    again = [change for change in found if change.name in REVERSIBLE and change.key not in new]
    if head is not None and (reversals or again):
        confirmed = {route.name for route in site.routes if route.confirm}
        carried = tx.carried((document.kind, document.connection, document.object_id))
        acted = [one for one in carried if one.change.name in REVERSIBLE and _took_effect(one, confirmed)]
        raised.extend(_reversals(ids, head.body, document.body, reversals, acted))
        raised.extend(_repeats(ids, again, acted))
    if raised:
        tx.add_tasks(document, raised)
    for task in raised:
        log.warning("task.raised", kind=task.kind, event_id=document.event_id, because=task.because)


def _laws(ids: Ids, document: Document, head: Document | None) -> Iterator[NewTask]:
    for breach in broken_laws(document.kind, document.body):
        if head is not None and breach in broken_laws(head.kind, head.body):
            continue
        yield NewTask(ids.new("tsk"), "law", f"law:{breach.key}", breach.says, {"document": document.document_id})


def _reversals(
    ids: Ids, before: Json, after: Json, reversals: Sequence[Change], acted: Sequence[Carried]
) -> Iterator[NewTask]:
    open_facts = [one for one in acted if holds(one.change, before) and not holds(one.change, after)]
    for number, reversal in enumerate(reversals):
        # What belongs to no line, such as the decision of the whole return, is told with the last.
        mine = [one for one in open_facts if takes_back(reversal, one.change) or number == len(reversals) - 1]
        open_facts = [one for one in open_facts if one not in mine]
        if mine:
            told = {"change": reversal.key, "facts": [_told(one) for one in mine]}
            yield NewTask(ids.new("tsk"), "reversal", f"reversal:{reversal.key}", _says(reversal, mine), told)


def _repeats(ids: Ids, again: Sequence[Change], acted: Sequence[Carried]) -> Iterator[NewTask]:
    """A fact is told once for ever: who undid its effect by hand has to do it again by hand."""
    for change in again:
        mine = [one for one in acted if one.change.key == change.key]
        if mine:
            says = f"{change.key} is true again after it was taken back: {_acts(mine)} acted upon it once, and does not"
            told = {"change": change.key, "facts": [_told(one) for one in mine]}
            yield NewTask(ids.new("tsk"), "reversal", f"again:{change.key}", f"{says} again", told)


def _took_effect(one: Carried, confirmed: set[str]) -> bool:
    """Whether somebody was told of the fact, or will be though it no longer holds."""
    if one.state == "done" or one.step > 0:
        return True
    if one.state in FINAL_DELIVERY_STATES:
        return False
    # A route that confirms looks again before its first call, unless it has looked already.
    return one.route not in confirmed or one.sent or one.state == "running"


def _says(reversal: Change, facts: Sequence[Carried]) -> str:
    return f"{reversal.key}, after {_acts(facts)} acted upon {', '.join(_unique(one.change.key for one in facts))}"


def _acts(facts: Sequence[Carried]) -> str:
    return ", ".join(_unique(f"{one.route} to {one.lane} ({one.delivery_id})" for one in facts))


def _unique(words: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(words)


def _told(one: Carried) -> Json:
    return {"change": one.change.key, "delivery": one.delivery_id, "route": one.route, "state": one.state}
