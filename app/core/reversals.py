"""What takes back an earlier fact of a return: a decision or a refund that its source reversed.

A reversal is a change like any other, for routes to listen to. Where a delivery of the fact was carried out, only a
person can say what has to be undone: see `app.pipeline.compare`.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.core.documents import quantity, says, whole
from app.model import Change, Json

#: The changes that tell a reversal.
REVERSALS = frozenset({"return.reopened", "line.reversed", "line.removed", "refund.withdrawn"})
#: The facts that a reversal can take back: those that somebody acts upon with money or goods.
REVERSIBLE = frozenset(
    {
        "return.rejected",
        "return.cancelled",
        "line.received",
        "line.accepted",
        "line.rejected",
        "return.decided",
        "refund.started",
        "refund.changed",
        "refund.closed",
    }
)
_DECISIONS = ("accepted", "rejected")
#: The states of a return that goes nowhere.
ENDED = frozenset({"rejected", "cancelled"})
_RANKS = {"started": 1, "closed": 2}


def reversals(line: Json, was: Json) -> Iterator[Change]:
    """What the line takes back of what it was. Its key tells the fall, so that the same one is told once for ever."""
    key = line["key"]
    for decision in _DECISIONS:
        if not (says(was, decision) or says(line, decision)):
            continue
        had, has = quantity(was, decision), quantity(line, decision)
        if has < had:
            data = {"line": line, "decision": decision, "quantity": whole(had - has), "total": whole(has)}
            yield Change("line.reversed", f"line.reversed:{key}:{decision}:{whole(had)}>{whole(has)}", data)
    if not was:
        return
    decision, state = was.get("state"), line.get("state")
    # Where quantities tell the decision, they have told its fall too; a word beside them may mean part of the line.
    if decision in _DECISIONS and state not in (None, decision) and not quantity(was, decision):
        data = {"line": line, "decision": decision}
        yield Change("line.reversed", f"line.reversed:{key}:{decision}>{state}", data)
    had_refund, refund = was.get("refund") or {}, line.get("refund") or {}
    if _rank(refund) < _rank(had_refund):
        data = {"line": line, "refund": refund, "refund_before": had_refund}
        withdrawn = f"refund.withdrawn:{key}:{had_refund['state']}>{refund.get('state') or 'none'}"
        yield Change("refund.withdrawn", withdrawn, data)


def reopened(before: Json, after: Json) -> Iterator[Change]:
    """A return that had ended goes on after all."""
    was, state = before.get("state"), after.get("state")
    if was in ENDED and state not in (None, "closed", *ENDED):
        yield Change("return.reopened", f"return.reopened:{was}>{state}", {"state_before": was})


def removed(line: Json) -> Change:
    """A line that is no longer part of its return."""
    return Change("line.removed", f"line.removed:{line['key']}", {"line": line})


def takes_back(reversal: Change, fact: Change) -> bool:
    """Whether the fact is one of those that the reversal is about: of its line, and of what it reverses."""
    if reversal.name == "return.reopened":
        return bool(fact.name == f"return.{reversal.data['state_before']}")
    line = (fact.data or {}).get("line")
    if line is None or line["key"] != reversal.data["line"]["key"]:
        return False
    if reversal.name == "line.reversed":
        return bool(fact.name == f"line.{reversal.data['decision']}")
    return reversal.name == "line.removed" or fact.name.startswith("refund.")


def _rank(refund: Json) -> int:
    return _RANKS.get(refund.get("state") or "", 0)
