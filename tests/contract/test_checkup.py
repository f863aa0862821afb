"""The clock looks through the ledger a little at a time, and finds what `backhaul ledger verify` finds."""

from __future__ import annotations

from contextlib import suppress

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from app.adapters.ledger import CHECKS, Ledger
from app.adapters.ledger.schema import attempts, deliveries, event_bodies
from app.adapters.ledger.seals import SEALED_MOST
from app.adapters.ledger.shared_schema import bridge_answers
from app.core.bridges import BridgeFinish, Question
from app.core.checkup import FACT, Piece, Round, read_rounds
from app.errors import LedgerUnavailable
from app.model import Identifier
from app.pipeline.checkup import PAUSE_S, Checkup
from tests.contract.making import attempt, claim_ids, deliver, done, finish
from tests.support import HandClock

DAY_S = 86_400.0


def fill(ledger: Ledger, clock: HandClock, many: int = 12) -> list[str]:
    ids = [deliver(ledger, clock, object_id=f"R-{number}", order_key="")[0] for number in range(many)]
    claim_ids(ledger, "tok")
    tries = [done(one, operation="announce", attempts=(attempt(clock, one),)) for one in ids]
    finish(ledger, "tok", *tries)
    ledger.seal(ledger.seal_marks())
    return ids


def whole(ledger: Ledger, most: int) -> tuple[int, list[tuple[str, str]]]:
    rows, faults = 0, []
    for part in ledger.parts():
        after = None
        while True:
            piece = ledger.look_at(part, after, most)
            # A seal holds a bounded number of rows, and one is looked at at least.
            assert piece.rows <= (max(most, SEALED_MOST) if part == "seals" else most)
            rows += piece.rows
            faults += [(fault.row, fault.what) for fault in piece.faults]
            after = piece.after
            if after is None:
                break
    return rows, faults


def at_once(ledger: Ledger) -> list[tuple[str, str]]:
    return [(fault.row, fault.what) for check in CHECKS for fault in ledger.verify(check)]


def harm(ledger: Ledger, *statements: object) -> None:
    with ledger._db.write() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize("most", [1, 5, 500])
def test_pieces_of_any_size_find_what_is_found_at_once(ledger: Ledger, clock: HandClock, most: int) -> None:
    ids = fill(ledger, clock)
    assert whole(ledger, most)[1] == at_once(ledger) == []
    with ledger._db.read() as connection:
        lost = connection.scalar(select(func.max(event_bodies.c.seq)))
        gone = connection.scalar(select(func.max(attempts.c.seq)))
    harm(
        ledger,
        update(deliveries).where(deliveries.c.id == ids[3]).values(state="waiting", due_at=1, because=""),
        update(attempts).where(attempts.c.delivery_id == ids[5]).values(took_ms=77),
        delete(event_bodies).where(event_bodies.c.seq == lost),
        delete(attempts).where(attempts.c.seq == gone),
    )
    rows, faults = whole(ledger, most)
    assert sorted(faults) == sorted(at_once(ledger)) and len(faults) == 4
    assert rows >= 12 * 4


def test_a_question_of_a_bridge_is_sound_though_it_has_no_document(ledger: Ledger) -> None:
    ledger.claim_bridge(Question("brq_1", "labels", "shop", "R-1", {}), "tok", 60)
    numbers = (Identifier("1004800", "order"),)
    ledger.finish_bridge("tok", BridgeFinish("brq_1", "answered", status=200, answer="{}", identifiers=numbers))
    assert at_once(ledger) == whole(ledger, 5)[1] == []
    harm(ledger, delete(bridge_answers))
    assert at_once(ledger) == whole(ledger, 5)[1] == [("brq_1", "makes something findable that is not there")]


def rounds(ledger: Ledger) -> tuple[Round | None, Round | None]:
    kept = ledger.fact(FACT)
    return read_rounds(kept[1]) if kept else (None, None)


def run(checkup: Checkup, clock: HandClock, looks: int) -> int:
    seen = 0
    for _ in range(looks):
        seen += checkup.look()
        clock.move(PAUSE_S)
    return seen


def test_a_round_is_made_once_a_day_and_its_result_is_kept(ledger: Ledger, clock: HandClock) -> None:
    ids = fill(ledger, clock)
    checkup = Checkup(ledger, clock, DAY_S)
    seen = run(checkup, clock, 60)
    _, last = rounds(ledger)
    assert last is not None and (last.rows, last.unsound) == (seen, 0) and last.ended > last.began
    assert run(checkup, clock, 200) == 0
    harm(ledger, update(attempts).where(attempts.c.delivery_id == ids[0]).values(because="it was me"))
    clock.move(DAY_S)
    with structlog.testing.capture_logs() as logs:
        run(checkup, clock, 60)
    assert [(one["log_level"], one["what"]) for one in logs if one["event"] == "ledger.unsound"] == [
        ("error", "was altered")
    ]
    _, last = rounds(ledger)
    assert last is not None and last.unsound == 1 and "was altered" in last.named[0]


def test_the_next_clock_goes_on_where_the_last_one_stopped(
    ledger: Ledger, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pipeline.checkup.MOST", 5)
    monkeypatch.setattr("app.pipeline.checkup._KEEP_S", 0.0)
    fill(ledger, clock)
    whole_round = run(Checkup(ledger, clock, DAY_S), clock, 4)
    now, last = rounds(ledger)
    assert now is not None and last is None
    whole_round += run(Checkup(ledger, clock, DAY_S), clock, 60)
    now, last = rounds(ledger)
    assert now is None and last is not None and last.rows == whole_round == whole(ledger, 5)[0]


def test_what_a_clock_found_before_it_died_is_kept_at_once(
    ledger: Ledger, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pipeline.checkup.MOST", 5)
    ids = fill(ledger, clock)
    harm(ledger, update(deliveries).where(deliveries.c.id == ids[11]).values(state="waiting", due_at=1, because=""))
    checkup, seen = Checkup(ledger, clock, DAY_S), 0
    with structlog.testing.capture_logs() as logs:
        while not any(one["event"] == "ledger.unsound" for one in logs):
            seen += run(checkup, clock, 1)
    now, _ = rounds(ledger)
    assert now is not None and (now.rows, now.unsound) == (seen, 1)
    run(Checkup(ledger, clock, DAY_S), clock, 60)
    _, last = rounds(ledger)
    assert last is not None and (last.rows, last.unsound) == (whole(ledger, 5)[0], 1)


def test_between_two_looks_is_a_pause(ledger: Ledger, clock: HandClock) -> None:
    fill(ledger, clock)
    checkup = Checkup(ledger, clock, DAY_S)
    assert checkup.look() > 0 and checkup.look() == 0
    clock.move(PAUSE_S)
    assert checkup.look() > 0


def test_a_round_of_another_version_is_begun_anew(ledger: Ledger, clock: HandClock) -> None:
    fill(ledger, clock)
    began = {"began": "2026-11-22T00:00:00.000Z", "ended": "", "rows": 7, "unsound": 0, "named": []}
    ledger.put_fact(FACT, {"now": began, "last": None, "part": "a table that went", "after": [3]})
    run(Checkup(ledger, clock, DAY_S), clock, 60)
    _, last = rounds(ledger)
    assert last is not None and last.rows == whole(ledger, 500)[0] and last.began > began["began"]


def test_it_is_never_done_when_that_is_not_wanted(ledger: Ledger, clock: HandClock) -> None:
    fill(ledger, clock)
    assert run(Checkup(ledger, clock, float("inf")), clock, 20) == 0 and ledger.fact(FACT) is None


def test_a_clock_that_is_put_back_does_not_put_the_next_round_off(ledger: Ledger, clock: HandClock) -> None:
    checkup = Checkup(ledger, clock, DAY_S)
    run(checkup, clock, 40)
    clock.move(-30 * DAY_S)
    before = rounds(ledger)[1]
    assert before is not None
    run(Checkup(ledger, clock, DAY_S), clock, 40)
    after = rounds(ledger)[1]
    assert after is not None and after.began < before.began


class Away:
    """A ledger that goes away at some of its looks."""

    def __init__(self, gone: list[bool]) -> None:
        self.gone, self.looked = gone, 0
        self.seen: set[tuple[str, object]] = set()

    def parts(self) -> tuple[str, ...]:
        return "a", "b"

    def look_at(self, part: str, after: object, most: int) -> Piece:
        self._may_be_gone()
        self.looked += 1
        self.seen.add((part, after))
        return Piece(1, (), None if after == 1 else 1)

    def fact(self, name: str) -> None:
        self._may_be_gone()

    def put_fact(self, name: str, value: object) -> None:
        self._may_be_gone()

    def _may_be_gone(self) -> None:
        if self.gone and self.gone.pop():
            raise LedgerUnavailable("gone")


@given(st.lists(st.booleans(), max_size=12))
def test_outages_leave_no_row_out(gone: list[bool]) -> None:
    clock, ledger = HandClock(), Away(gone)
    checkup, seen = Checkup(ledger, clock, DAY_S), 0
    for _ in range(40):
        with suppress(LedgerUnavailable):
            seen += checkup.look()
        clock.move(PAUSE_S)
    assert ledger.looked >= 4 and len(ledger.seen) == 4
