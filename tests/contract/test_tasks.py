"""Tasks are raised once per object and key, and closed once."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.core.tasks import NewTask
from app.model import Change, DeliveryFinish, Document, NewDelivery
from tests.contract.making import claim, deliver, document, done, finish, new, received
from tests.support import HandClock

KEY = ("return", "shop", "R-1")


def a_task(key: str = "law:received:1:2>1", **more: Any) -> NewTask:
    return NewTask(new("tsk"), **{"kind": "law", "key": key, "because": "received 2 of 1", **more})


def raised(ledger: Ledger, clock: HandClock, *tasks: NewTask, object_id: str = "R-1", **more: Any) -> Document:
    picture = document(clock, received(ledger, clock), object_id, **more)
    with ledger.write() as tx:
        tx.add_documents([picture])
        tx.add_tasks(picture, tasks)
    return picture


def test_a_task_is_raised_once_per_object_and_key_also_when_it_was_closed(ledger: Ledger, clock: HandClock) -> None:
    raised(ledger, clock, a_task(), a_task(), a_task("law:other"))
    assert ledger.open_tasks() == 2
    assert [ledger.close_task(row["id"], "me") for row in ledger.tasks()] == [True, True]
    raised(ledger, clock, a_task())
    assert (ledger.open_tasks(), len(ledger.tasks())) == (0, 2)
    raised(ledger, clock, a_task(), object_id="R-2")
    raised(ledger, clock, a_task(), connection="other")
    raised(ledger, clock, a_task(), kind="order")
    assert ledger.open_tasks() == 3


def test_a_task_tells_what_it_is_about(ledger: Ledger, clock: HandClock) -> None:
    raised(ledger, clock, a_task(kind="reversal", key="k", data={"change": "x", "facts": [{"delivery": "dlv_1"}]}))
    [row] = ledger.tasks({"state": "open", "kind": "reversal", "connection": "shop"})
    assert row == ledger.task(row["id"])
    assert row["data"] == {"change": "x", "facts": [{"delivery": "dlv_1"}]}
    assert (row["object_kind"], row["connection"], row["object_id"]) == KEY
    assert (row["at"], row["state"], row["closed_at"]) == ("2026-11-22T12:00:00.000Z", "open", None)
    assert ledger.tasks({"kind": "law"}) == [] and ledger.task("tsk_none") is None


def test_the_newest_tasks_come_first_and_no_more_than_asked_for(ledger: Ledger, clock: HandClock) -> None:
    raised(ledger, clock, *(a_task(f"k{number}") for number in range(5)))
    assert [row["key"] for row in ledger.tasks({}, 2)] == ["k4", "k3"]


@pytest.mark.parametrize("filters", [{"colour": "red"}, {"state": "lost"}])
def test_a_filter_that_there_is_not_is_refused(ledger: Ledger, filters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="there are"):
        ledger.tasks(filters)


def test_a_task_is_closed_once_with_who_and_why(ledger: Ledger, clock: HandClock) -> None:
    raised(ledger, clock, a_task())
    [row] = ledger.tasks()
    clock.move(60)
    assert ledger.close_task(row["id"], "me", "called them")
    assert not ledger.close_task(row["id"], "you")
    assert not ledger.close_task("tsk_none", "me")
    closed = ledger.task(row["id"])
    assert closed is not None
    assert (closed["state"], closed["closed_at"], closed["closed_by"], closed["note"]) == (
        "closed",
        "2026-11-22T12:01:00.000Z",
        "me",
        "called them",
    )
    [act] = ledger.acts(row["id"])
    assert (act["who"], act["act"], act["after"]) == ("me", "task close", {"state": "closed", "note": "called them"})


def test_the_hub_itself_settles_a_task_once_and_says_so(ledger: Ledger, clock: HandClock) -> None:
    first, second = a_task("label:p1", kind="label"), a_task("label:p2", kind="label")
    raised(ledger, clock, first, second)
    for note in ("it has a label", "again"):
        with ledger.write() as tx:
            tx.settle_task(first.task_id, note)
            assert [one.task_id for one in tx.open_tasks_of(KEY, "label")] == [second.task_id]
    closed = ledger.task(first.task_id)
    assert closed is not None
    assert (closed["state"], closed["closed_by"], closed["note"]) == ("closed", "backhaul", "it has a label")
    assert [(act["who"], act["act"]) for act in ledger.acts(first.task_id)] == [("backhaul", "task close")]


def test_open_tasks_of_an_object_are_told_with_their_data_by_age(ledger: Ledger, clock: HandClock) -> None:
    first, second = (a_task(f"label:p{number}", kind="label", data={"parcel": f"p{number}"}) for number in (2, 1))
    raised(ledger, clock, first, a_task(), second)
    raised(ledger, clock, a_task("label:p2", kind="label"), object_id="R-2")
    with ledger.write() as tx:
        assert [(one.task_id, one.data) for one in tx.open_tasks_of(KEY, "label")] == [
            (first.task_id, {"parcel": "p2"}),
            (second.task_id, {"parcel": "p1"}),
        ]
        assert tx.open_tasks_of(("order", "shop", "R-1"), "label") == []


def test_a_transaction_that_fails_raises_nothing(ledger: Ledger, clock: HandClock) -> None:
    picture = document(clock, received(ledger, clock))
    with pytest.raises(RuntimeError), ledger.write() as tx:
        tx.add_tasks(picture, [a_task()])
        raise RuntimeError
    assert ledger.open_tasks() == 0


def test_what_was_made_of_an_object_is_told_with_its_state(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2)
    deliver(ledger, clock, object_id="R-2")
    [work] = claim(ledger, "a", limit=1)
    finish(ledger, "a", done(work.delivery_id))
    with ledger.write() as tx:
        found = tx.carried(KEY)
    assert [(one.delivery_id, one.route, one.lane, one.state, one.step, one.sent) for one in found] == [
        (first, "announce", "wms", "done", 0, False),
        (second, "announce", "wms", "ready", 0, False),
    ]
    assert found[0].change == work.change


def test_what_the_transaction_itself_made_is_among_it(ledger: Ledger, clock: HandClock) -> None:
    [before] = deliver(ledger, clock)
    event_id = received(ledger, clock)
    with ledger.write() as tx:
        mine, other = document(clock, event_id), document(clock, event_id, "R-2")
        tx.add_documents([mine, other])
        for picture in (mine, other):
            ids = tx.add_changes(picture, [Change("line.accepted", "line.accepted:1:1", {"total": 1})])
            made = NewDelivery(new("dlv"), "line.accepted:1:1", "refund", "", "erp", "", "stamp")
            tx.add_deliveries(picture, ids["line.accepted:1:1"], [made])
        found = tx.carried(KEY)
    assert [one.route for one in found] == ["announce", "refund"]
    assert found[0].delivery_id == before
    assert (found[1].change.data, found[1].lane, found[1].state) == ({"total": 1}, "erp", "ready")


def test_a_story_tells_its_tasks_and_is_found_by_them(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    [work] = claim(ledger, "a")
    finish(ledger, "a", DeliveryFinish(delivery_id, "done", None))
    with ledger.write() as tx:
        tx.add_tasks(work.document, [a_task()])
    [row] = ledger.tasks()
    ledger.close_task(row["id"], "me")
    assert ledger.find(row["id"]) == [KEY]
    story = ledger.story([KEY])
    assert [task["id"] for task in story.tasks] == [row["id"]]
    assert [act["act"] for act in story.audit] == ["task close"]
