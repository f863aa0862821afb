"""The clock seals what has been there for one of its looks, and no more at once than leaves time for the lanes."""

from __future__ import annotations

from app.pipeline.sealer import EVERY_S, Sealer
from tests.support import HandClock


class Sealed:
    """A ledger with so many rows, sealed a hundred at a time."""

    def __init__(self) -> None:
        self.rows, self.sealed = 0, 0
        self.under_way = False

    def seal_marks(self) -> dict[str, int]:
        return {"attempts": self.rows}

    def settled(self, marks: dict[str, int]) -> bool:
        return not self.under_way

    def seal(self, marks: dict[str, int]) -> int:
        count = min(100, marks["attempts"] - self.sealed)
        self.sealed += count
        return count


def test_only_what_was_there_at_the_look_before_is_sealed(clock: HandClock) -> None:
    ledger = Sealed()
    sealer = Sealer(ledger, clock)
    ledger.rows = 5
    assert sealer.look() == 0
    ledger.rows = 7
    assert sealer.look() == 0
    clock.move(EVERY_S)
    assert sealer.look() == 5
    clock.move(EVERY_S)
    assert sealer.look() == 2 and ledger.sealed == 7


def test_much_that_waits_is_sealed_bit_by_bit(clock: HandClock) -> None:
    ledger = Sealed()
    sealer = Sealer(ledger, clock, lambda seconds: None)
    ledger.rows = 4_000
    sealer.look()
    clock.move(EVERY_S)
    assert [sealer.look() for _ in range(4)] == [1_600, 1_600, 800, 0]


def test_others_may_write_after_each_transaction(clock: HandClock) -> None:
    ledger = Sealed()
    sealed_at: list[int] = []
    sealer = Sealer(ledger, clock, lambda seconds: sealed_at.append(ledger.sealed) if seconds > 0.01 else None)
    ledger.rows = 250
    sealer.look()
    clock.move(EVERY_S)
    sealer.look()
    assert sealed_at == [100, 200, 250]


def test_nothing_is_sealed_while_what_was_under_way_at_the_last_look_still_is(clock: HandClock) -> None:
    ledger = Sealed()
    sealer = Sealer(ledger, clock)
    ledger.rows, ledger.under_way = 5, True
    sealer.look()
    clock.move(EVERY_S)
    assert sealer.look() == 0
    ledger.rows, ledger.under_way = 9, False
    assert sealer.look() == 0
    clock.move(EVERY_S)
    assert sealer.look() == 5
