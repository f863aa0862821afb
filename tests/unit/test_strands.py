"""Strands of one thread: who waits lets the others go on, each wait ends, and nobody outside can tell."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.system import SystemClock
from app.core.strands import aside, carrier
from app.pipeline.carry import HANGS_S, RelievedError, Strands
from tests.unit.engine_kit import until

CLOCK = SystemClock()
FAR = float("inf")


class Peer:
    """A socket that a strand waits for, and the other end of it."""

    def __init__(self) -> None:
        self.mine, self.other = socket.socketpair()

    def answer(self) -> None:
        self.other.send(b"x")

    def wait(self, deadline: float = FAR) -> bool:
        here = carrier()
        assert here is not None
        return here.until_ready(self.mine.fileno(), deadline)

    def close(self) -> None:
        self.mine.close()
        self.other.close()


@contextmanager
def peers(count: int) -> Iterator[list[Peer]]:
    made = [Peer() for _ in range(count)]
    yield made
    for peer in made:
        peer.close()


@contextmanager
def strands() -> Iterator[Strands]:
    """Strands that call what they are given."""
    with closing(Strands(lambda call: call(), CLOCK)) as made:
        yield made


def go_on(made: Strands) -> int:
    """Let all go on that can; how often one did."""
    return sum(iter(made.go_on, False))


def test_who_waits_lets_the_others_go_on_in_the_same_thread() -> None:
    told: list[Any] = []

    def call(name: str, peer: Peer) -> None:
        told.append((name, "asks", threading.get_ident()))
        assert peer.wait()
        told.append((name, "has it", threading.get_ident()))

    with peers(2) as (one, two), strands() as made:
        made.begin(lambda: call("one", one))
        made.begin(lambda: call("two", two))
        assert not made.go_on()
        two.answer()
        assert made.go_on()
        one.answer()
        assert made.go_on()
    here = threading.get_ident()
    assert told == [("one", "asks", here), ("two", "asks", here), ("two", "has it", here), ("one", "has it", here)]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_in_whatever_order_answers_come_each_strand_gets_all_of_its_own(counts: list[int], chance: Any) -> None:
    got: list[int] = [0] * len(counts)
    ended: list[int] = []

    def call(number: int, peer: Peer) -> None:
        for _ in range(counts[number]):
            assert peer.wait()
            got[number] += len(peer.mine.recv(1))
        ended.append(number)

    with peers(len(counts)) as made_peers, strands() as made:
        answers = [number for number, count in enumerate(counts) for _ in range(count)]
        chance.shuffle(answers)
        for number, peer in enumerate(made_peers):
            made.begin(lambda number=number, peer=peer: call(number, peer))  # type: ignore[misc]
            if answers and chance.random() < 0.5:
                made_peers[answers.pop()].answer()
        while answers:
            made_peers[answers.pop()].answer()
            if chance.random() < 0.5:
                made.go_on()
        made.finish(lambda: None)
    assert got == counts
    assert sorted(ended) == list(range(len(counts)))


def test_a_wait_ends_at_its_deadline() -> None:
    got: list[bool] = []
    with peers(2) as (soon, late), strands() as made:
        made.begin(lambda: got.append(late.wait(CLOCK.monotonic() + 60)))
        made.begin(lambda: got.append(soon.wait(CLOCK.monotonic() + 0.05)))
        assert not made.wait(30)
        assert go_on(made) == 1
        assert got == [False]
        late.answer()
        made.finish(lambda: None)
    assert got == [False, True]


def test_what_came_in_time_counts_although_the_thread_had_no_time_to_look() -> None:
    got: list[bool] = []
    with peers(1) as (peer,), strands() as made:
        deadline = CLOCK.monotonic() + 0.01
        made.begin(lambda: got.append(peer.wait(deadline)))
        peer.answer()
        assert until(lambda: CLOCK.monotonic() > deadline)
        made.finish(lambda: None)
    assert got == [True]


def test_who_rings_ends_a_wait_now_or_the_next_one_and_only_one() -> None:
    with strands() as made:
        made.ring()
        made.ring()
        assert made.wait(30)
        assert not made.wait(0.0)
        threading.Timer(0.02, made.ring).start()
        assert made.wait(30)
    made.ring()  # after its end it is harmless


def test_a_signal_may_ring_while_its_thread_is_ringing() -> None:
    with strands() as made:
        thread = threading.Thread(target=lambda: (made._lock.acquire(), made.ring(), made._lock.release()), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert made.wait(0.0)


def test_what_blocks_is_done_aside_and_gives_and_raises_the_same() -> None:
    got: list[Any] = []

    def asks(do: Any) -> None:
        try:
            got.append(aside(do))
        except ValueError as error:
            got.append(error)

    def fail() -> None:
        raise ValueError("told by another thread")

    lock = threading.Lock()
    lock.acquire()
    with peers(1) as (peer,), strands() as made:
        made.begin(lambda: asks(lambda: lock.acquire(timeout=30) and threading.get_ident()))
        # The lock is let go by a strand of the same thread.
        made.begin(lambda: (peer.wait(), lock.release()))
        peer.answer()
        made.finish(lambda: None)
        assert got.pop() not in (False, threading.get_ident())
        made.begin(lambda: asks(fail))
        made.finish(lambda: None)
        assert str(got.pop()) == "told by another thread"
    assert aside(threading.get_ident) == threading.get_ident()
    with pytest.raises(ValueError, match="told"):
        aside(fail)


def test_a_thread_that_hangs_is_relieved_and_sees_through_what_is_under_way() -> None:
    hangs, ended, relieved, rung = threading.Event(), [], threading.Event(), []

    def live(peer: Peer, born: list[Strands]) -> None:
        with strands() as made:
            made.begin(lambda: ended.append(peer.wait()))
            born.append(made)
            try:
                made.begin(lambda: ended.append(hangs.wait(30)))
            except RelievedError:
                relieved.set()
                made.finish(lambda: rung.append(len(ended)))

    with peers(1) as (peer,):
        born: list[Strands] = []
        thread = threading.Thread(target=live, args=(peer, born))
        thread.start()
        assert until(lambda: bool(born) and born[0].hangs())
        assert not born[0].hangs(), "it is relieved once"
        hangs.set()
        assert relieved.wait(10)
        peer.answer()
        thread.join(10)
    assert not thread.is_alive()
    assert ended == [True, True]
    assert rung == [1, 2]


def test_a_thread_that_only_waits_does_not_hang() -> None:
    with peers(1) as (peer,), strands() as made:
        made.begin(peer.wait)
        deadline = CLOCK.monotonic() + HANGS_S * 3
        assert not made.wait(HANGS_S * 3)
        assert CLOCK.monotonic() >= deadline - 0.01
        assert not made.hangs()


def test_what_a_strand_raises_is_told_to_its_thread_and_the_others_are_seen_through() -> None:
    ended: list[bool] = []

    def fail() -> None:
        raise ValueError("a fault of our own")

    with peers(1) as (peer,), strands() as made:
        made.begin(lambda: ended.append(peer.wait()))
        with pytest.raises(ValueError, match="of our own"):
            made.begin(fail)
        peer.answer()
        made.finish(lambda: None)
    assert ended == [True]


def test_outside_of_strands_nobody_carries() -> None:
    assert carrier() is None
