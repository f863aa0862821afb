"""What a source takes back of a return."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.files import schemas
from app.core.changes import RETURN_CHANGES, changes
from app.core.reversals import REVERSALS, REVERSIBLE
from app.core.validation import SchemaValidator
from app.model import Change


def a_return(*lines: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"id": "ro-1", "source": "shop", "lines": list(lines), **parts}


def line(state: str | None = None, refund: dict[str, Any] | None = None, **quantity: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"key": "l1", "quantity": quantity}
    if state:
        told["state"] = state
    return {**told, "refund": refund} if refund else told


def reversed_(before: Any, after: Any) -> list[Change]:
    return [change for change in changes(before, after) if change.name in REVERSALS]


def test_a_decision_that_falls_is_reversed_by_the_difference() -> None:
    (found,) = reversed_(a_return(line(accepted=3)), a_return(line(accepted=1)))
    assert (found.name, found.key) == ("line.reversed", "line.reversed:l1:accepted:3>1")
    assert (found.data["decision"], found.data["quantity"], found.data["total"]) == ("accepted", 2, 1)


def test_a_decision_that_turns_is_reversed_and_made_anew() -> None:
    found = changes(a_return(line(announced=1, accepted=1)), a_return(line(announced=1, rejected=1)))
    assert [change.key for change in found] == ["line.rejected:l1:1", "line.reversed:l1:accepted:1>0"]


def test_a_state_that_turns_counts_where_quantities_tell_no_decision() -> None:
    assert [one.key for one in reversed_(a_return(line("accepted")), a_return(line("in_review")))] == [
        "line.reversed:l1:accepted>in_review"
    ]
    assert reversed_(a_return(line("accepted")), a_return(line())) == []
    # Part of the line was accepted, the rest rejected: nothing was taken back.
    both = line("rejected", accepted=1, rejected=1)
    assert reversed_(a_return(line("accepted", accepted=1)), a_return(both)) == []


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ({"state": "started"}, {"state": "none"}, "refund.withdrawn:l1:started>none"),
        ({"state": "closed"}, {"state": "started"}, "refund.withdrawn:l1:closed>started"),
        ({"state": "closed", "amount": "1.00"}, None, "refund.withdrawn:l1:closed>none"),
    ],
)
def test_a_refund_that_goes_back_is_withdrawn(before: dict[str, Any], after: Any, key: str) -> None:
    (found,) = reversed_(a_return(line(refund=before)), a_return(line(refund=after)))
    assert (found.key, found.data["refund_before"]) == (key, before)


def test_a_line_that_is_gone_is_removed_once() -> None:
    assert [one.key for one in reversed_(a_return(line(accepted=1)), a_return())] == ["line.removed:l1"]


@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_a_return_that_had_ended_and_goes_on_is_reopened(state: str) -> None:
    (found,) = reversed_(a_return(state=state), a_return(state="in_transit"))
    assert (found.name, found.key) == ("return.reopened", f"return.reopened:{state}>in_transit")
    assert reversed_(a_return(state=state), a_return(state="closed")) == []


def test_what_is_received_is_no_decision() -> None:
    assert reversed_(a_return(line(announced=3, received=3)), a_return(line(announced=3, received=2))) == []


def test_every_reversal_is_a_change_with_a_shape() -> None:
    assert {*REVERSALS, *REVERSIBLE} <= set(RETURN_CHANGES)
    before = a_return(line(accepted=1, refund={"state": "started"}), {"key": "l2"}, state="cancelled")
    found = reversed_(before, a_return(line("in_review"), state="received"))
    assert {change.name for change in found} == REVERSALS
    schema = schemas()["return"]
    check = SchemaValidator({**schema["$defs"]["change"], "$defs": schema["$defs"]})
    for change in found:
        assert check.errors({**change.data, "name": change.name, "key": change.key}) == []
