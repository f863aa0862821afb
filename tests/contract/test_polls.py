"""Polls in the ledger: due ones are lanes, one worker reads at a time, and a cursor moves only under its token."""

from __future__ import annotations

from datetime import timedelta

from app.adapters.ledger import Ledger
from app.adapters.ledger.claims import DEADLY
from app.core.polls import PollFinish, PollKey, PollState
from app.model import Change, EventFinish
from tests.contract.making import document, receipt
from tests.support import HandClock

KEY = PollKey("shop", "changed")
OTHER = PollKey("shop", "orders")


def state(ledger: Ledger, key: PollKey = KEY) -> PollState:
    """Where the poll stands."""
    [found] = [one for one in ledger.polls() if one.key == key]
    return found


def finish(ledger: Ledger, clock: HandClock, token: str, **more: object) -> bool:
    """Write that a poll came to its end; whether the token still held it."""
    said = {"due_at": clock.now() + timedelta(minutes=10), "good": True, **more}
    with ledger.write() as tx:
        return tx.finish_polls(token, [PollFinish(KEY, **said)]) == {KEY}  # type: ignore[arg-type]


def test_a_poll_that_is_on_is_a_lane_that_is_due_at_once(ledger: Ledger) -> None:
    ledger.keep_polls({KEY: 600.0, PollKey("wms", "gradings"): 60.0})
    assert ledger.due_lanes() == ["poll:shop", "poll:wms"]
    assert state(ledger).cursor is None


def test_whoever_claims_it_holds_it_until_the_lease_ends(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    [work] = ledger.claim_polls("shop", 5, 60, "tok_1")
    assert (work.key, work.cursor, work.attempts) == (KEY, None, 1)
    assert ledger.claim_polls("shop", 5, 60, "tok_2") == []
    assert ledger.claim_poll(KEY, 60, "tok_2") is None
    assert ledger.due_lanes() == []
    assert state(ledger).running
    clock.move(61)
    assert ledger.due_lanes() == ["poll:shop"]
    [again] = ledger.claim_polls("shop", 5, 60, "tok_2")
    assert again.attempts == 2


def test_who_lost_its_lease_moves_no_cursor(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    ledger.claim_polls("shop", 5, 60, "tok_1")
    clock.move(61)
    ledger.claim_polls("shop", 5, 60, "tok_2")
    assert not finish(ledger, clock, "tok_1", cursor=clock.now())
    assert state(ledger).cursor is None
    assert finish(ledger, clock, "tok_2", cursor=clock.now(), found=3, new=2)
    after = state(ledger)
    assert (after.cursor, after.good_at, after.found, after.new) == (clock.now(), clock.now(), 3, 2)
    assert not finish(ledger, clock, "tok_2", cursor=clock.now() + timedelta(days=1)), "it is over"


def test_a_lease_is_renewed_and_work_given_back(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0, OTHER: 600.0})
    assert len(ledger.claim_polls("shop", 5, 60, "tok_1")) == 2
    clock.move(50)
    assert ledger.renew_polls("tok_1", 60) == 2
    clock.move(50)
    assert ledger.due_lanes() == []
    assert ledger.hand_back_polls("tok_1", [OTHER]) == 1
    assert ledger.hand_back_polls("tok_0", [KEY]) == 0
    [back] = ledger.claim_polls("shop", 5, 60, "tok_2")
    assert (back.key, back.attempts) == (OTHER, 1)


def test_a_cursor_never_goes_back(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    ledger.claim_polls("shop", 5, 60, "tok_1")
    finish(ledger, clock, "tok_1", cursor=clock.now())
    ledger.claim_poll(KEY, 60, "tok_2")
    finish(ledger, clock, "tok_2", cursor=clock.now() - timedelta(days=3))
    assert state(ledger).cursor == clock.now()


def test_failures_are_counted_until_a_good_one(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    for number in (1, 2):
        [work] = ledger.claim_polls("shop", 5, 60, f"tok_{number}")
        assert work.attempts == number
        finish(ledger, clock, f"tok_{number}", good=False, because="no answer", fault="transient", due_at=clock.now())
    assert (state(ledger).failures, state(ledger).because, state(ledger).fault) == (2, "no answer", "transient")
    ledger.claim_polls("shop", 5, 60, "tok_3")
    finish(ledger, clock, "tok_3", good=False, counted=False, because="paused", due_at=clock.now())
    assert state(ledger).failures == 2
    ledger.claim_polls("shop", 5, 60, "tok_4")
    finish(ledger, clock, "tok_4")
    assert (state(ledger).failures, state(ledger).because) == (0, "")


def test_a_list_that_kills_its_workers_is_left_alone_for_a_while(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    for number in range(DEADLY):
        assert len(ledger.claim_polls("shop", 5, 60, f"tok_{number}")) == 1
        clock.move(61)
    assert ledger.claim_polls("shop", 5, 60, "tok_last") == []
    assert "died" in state(ledger).because
    assert ledger.due_lanes() == []
    clock.move(3600)
    assert len(ledger.claim_polls("shop", 5, 60, "tok_again")) == 1


def test_what_is_no_longer_on_is_never_due_and_keeps_its_cursor(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 600.0})
    ledger.claim_polls("shop", 5, 60, "tok_1")
    finish(ledger, clock, "tok_1", cursor=clock.now())
    ledger.keep_polls({})
    clock.move(86_400)
    assert ledger.due_lanes() == []
    assert not state(ledger).on
    ledger.keep_polls({KEY: 600.0})
    assert ledger.due_lanes() == ["poll:shop"]
    assert state(ledger).cursor is not None


def test_a_poll_that_is_to_look_more_often_begins_with_it_at_once(ledger: Ledger, clock: HandClock) -> None:
    ledger.keep_polls({KEY: 86_400.0})
    ledger.claim_polls("shop", 5, 60, "tok_1")
    finish(ledger, clock, "tok_1", due_at=clock.now() + timedelta(days=1))
    ledger.keep_polls({KEY: 60.0})
    clock.move(61)
    assert ledger.due_lanes() == ["poll:shop"]


def test_by_hand_any_poll_can_be_read_and_one_that_is_off_stays_off(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.claim_poll(KEY, 60, "tok_1") is not None
    clock.move(61)
    assert ledger.due_lanes() == []
    assert ledger.claim_poll(KEY, 60, "tok_2") is not None
    assert finish(ledger, clock, "tok_2", cursor=clock.now(), due_at=clock.now())
    clock.move(61)
    assert ledger.due_lanes() == []


def test_a_paused_connection_is_not_polled_until_it_is_resumed(ledger: Ledger) -> None:
    ledger.keep_polls({KEY: 600.0})
    ledger.pause("shop", "key expired", "test")
    assert ledger.due_lanes() == []
    ledger.resume("shop", "test")
    assert ledger.due_lanes() == ["poll:shop"]


def test_what_polled_events_came_to_can_be_asked_for(ledger: Ledger, clock: HandClock) -> None:
    read, unread = (one.event_id for one in ledger.receive([receipt(clock), receipt(clock)]))
    ledger.claim_events("shop", 1, 60, "tok_1")
    with ledger.write() as tx:
        picture = document(clock, read)
        tx.add_documents([picture])
        tx.add_changes(picture, [Change("return.registered", "a"), Change("return.labelled", "b")])
        tx.finish_events("tok_1", [EventFinish(read, "done", None, document_id=picture.document_id)])
    assert ledger.effects([read, unread, "evt_none"]) == {read: ("done", 2), unread: ("received", 0)}
