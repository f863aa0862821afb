"""Whoever alters, removes or adds what was done is found out; and what a sound ledger holds is called sound."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text

from app.adapters.ledger import CHECKS, Ledger
from app.adapters.ledger.schema import audit
from app.core.sealing import compare, digest, pack, unpack
from tests.contract.making import attempt, claim_ids, deliver, done, finish, later, received
from tests.support import HandClock


def filled(ledger: Ledger, clock: HandClock, many: int = 3) -> list[str]:
    """A ledger with tries and acts that are sealed; the ids of its deliveries."""
    made = deliver(ledger, clock, many=many, order_key="")
    claim_ids(ledger, "tok")
    finish(ledger, "tok", *(_done(clock, one) for one in made))
    ledger.pause("wms", "by hand", "anna")
    seal(ledger)
    return made


def _done(clock: HandClock, delivery_id: str) -> object:
    return done(delivery_id, operation="announce_return", attempts=(attempt(clock, delivery_id),))


def seal(ledger: Ledger) -> int:
    """Seal all that is there."""
    marks, count = ledger.seal_marks(), 0
    while some := ledger.seal(marks):
        count += some
    return count


def faults(ledger: Ledger) -> list[str]:
    """All that is wrong."""
    return [f"{one.check}: {one.row} {one.what}" for check in CHECKS for one in ledger.verify(check)]


def change(ledger: Ledger, statement: str) -> None:
    """Do what nobody should."""
    with ledger._db.write() as connection:
        connection.execute(text(statement))


def test_a_sound_ledger_has_no_faults_and_is_sealed_once(ledger: Ledger, clock: HandClock) -> None:
    assert faults(ledger) == [] and seal(ledger) == 0
    filled(ledger, clock)
    assert faults(ledger) == [] and seal(ledger) == 0
    filled(ledger, clock, many=5)
    assert faults(ledger) == []
    assert ledger.kept()["attempts"] == 8


def test_rows_of_a_transaction_that_was_held_up_are_not_put_in_later(ledger: Ledger, clock: HandClock) -> None:
    if ledger._db.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: numbers are given in the order of the commits")
    with ledger._db.write() as held_up:
        held_up.execute(insert(audit).values(at=0, who="anna", act="pause", target="wms", before="{}", after="{}"))
        with ThreadPoolExecutor(1) as other:
            other.submit(ledger.pause, "erp", "by hand", "bert").result()
        marks = ledger.seal_marks()
        assert not ledger.settled(marks)
    assert ledger.settled(marks)
    assert ledger.seal(marks) == 2 and faults(ledger) == []


def test_more_rows_than_one_seal_takes_are_sealed_by_several(ledger: Ledger, clock: HandClock) -> None:
    made = deliver(ledger, clock, many=1100, order_key="")
    claim_ids(ledger, "tok", limit=2000)
    finish(ledger, "tok", *(_done(clock, one) for one in made))
    last = ledger.seal_marks()["attempts"]
    assert ledger.seal({"attempts": last - 1097}) == 3
    assert seal(ledger) == 1097 and faults(ledger) == []
    change(ledger, f"UPDATE attempts SET took_ms = 1 WHERE seq = {last - 400}")
    assert len(faults(ledger)) == 1


ALTERED: list[tuple[str, str]] = [
    ("UPDATE attempts SET outcome = 'rejected' WHERE id = '{second}'", "{second} was altered"),
    ("UPDATE attempts SET response = '{{}}' WHERE id = '{second}'", "{second} was altered"),
    ("DELETE FROM attempts WHERE id = '{second}'", "was removed"),
    ("UPDATE attempts SET seq = 1000000 WHERE id = '{second}'", "was removed"),
    ("UPDATE audit SET who = 'bert'", "pause of connection:wms was altered"),
    ("DELETE FROM audit", "was removed"),
    ("DELETE FROM seals WHERE seq = 1", "does not follow"),
    ("UPDATE seals SET digests = '' WHERE seq = 1", "was put in later"),
]


@pytest.mark.parametrize(("statement", "told"), ALTERED)
def test_what_was_altered_removed_or_added_is_named(
    ledger: Ledger, clock: HandClock, statement: str, told: str
) -> None:
    made = filled(ledger, clock)
    shown = ledger.delivery(made[1])
    assert shown is not None
    names = {"second": shown["attempt_rows"][0]["id"]}
    change(ledger, statement.format(**names))
    assert any(told.format(**names) in fault for fault in faults(ledger)), faults(ledger)


def test_a_row_put_between_sealed_ones_is_named(ledger: Ledger, clock: HandClock) -> None:
    made = filled(ledger, clock)
    change(ledger, "DELETE FROM attempts WHERE seq = 2")
    claim = attempt(clock, made[0])
    with ledger.write() as tx:
        tx._keep_attempts([claim])
    change(ledger, f"UPDATE attempts SET seq = 2 WHERE id = '{claim.attempt_id}'")
    assert [fault for fault in faults(ledger) if claim.attempt_id in fault]


UNSOUND: list[tuple[str, str]] = [
    ("UPDATE deliveries SET token = 'tok' WHERE id = '{waits}'", "nobody holds it"),
    ("UPDATE deliveries SET because = '' WHERE id = '{waits}'", "does not say why"),
    ("UPDATE calls SET state = 'made'", "no call of it was delivered"),
    ("DELETE FROM calls", "no call of it was delivered"),
    ("UPDATE attempts SET delivery_id = 'dlv_gone'", "has no delivery"),
    ("UPDATE attempts SET event_id = 'evt_gone'", "has no event"),
    ("UPDATE identifiers SET object_id = 'R-gone'", "findable that is not there"),
]


@pytest.mark.parametrize(("statement", "told"), UNSOUND)
def test_what_cannot_be_is_named(ledger: Ledger, clock: HandClock, statement: str, told: str) -> None:
    ended, waits = deliver(ledger, clock, many=2, order_key="")
    claim_ids(ledger, "tok")
    finish(ledger, "tok", done(ended, operation="announce_return", attempts=(attempt(clock, ended),)))
    finish(ledger, "tok", later(clock, waits, because="busy"))
    received(ledger, clock)
    assert faults(ledger) == []
    change(ledger, statement.format(waits=waits))
    found = faults(ledger)
    assert found and all(told in fault for fault in found), found


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.floats(allow_nan=False))))
def test_rows_that_differ_have_different_digests(row: list[str | int | float | None]) -> None:
    assert digest(row) == digest(list(row))
    for other in ([*row, None], [*row, ""], ["", *row], [*row[:-1], f"{row[-1]}x"] if row else [0]):
        assert digest(other) != digest(row)
    assert digest(["ab", "c"]) != digest(["a", "bc"]) and digest([1]) != digest(["1"])


@given(st.dictionaries(st.integers(0, 2**62), st.binary(min_size=16, max_size=16), max_size=9), st.data())
def test_a_seal_tells_each_row_apart(rows: dict[int, bytes], data: st.DataObject) -> None:
    assert unpack(pack(rows)) == rows and list(compare(rows, rows)) == []
    if rows:
        gone = data.draw(st.sampled_from(sorted(rows)))
        fewer = {number: found for number, found in rows.items() if number != gone}
        assert list(compare(rows, fewer)) == [(gone, "was removed")]
        assert list(compare(fewer, rows)) == [(gone, "was put in later")]
        flipped: Callable[[bytes], bytes] = lambda found: bytes([found[0] ^ 1]) + found[1:]  # noqa: E731
        assert list(compare(rows, {**rows, gone: flipped(rows[gone])})) == [(gone, "was altered")]


@pytest.mark.parametrize("packed", [b"x", bytes(24) + bytes(24), bytes(7) + b"\x02" + bytes(16) + bytes(24)])
def test_a_seal_that_nobody_made_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|out of order"):
        unpack(packed)
