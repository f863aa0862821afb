"""The threads of a lane: how many there are, by what a hand-moved clock says of the work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.pipeline.crew import LOOK_S, Crew
from tests.support import HandClock
from tests.unit.engine_kit import until

MOST = 16


class Target:
    """Answers when it is told to, after as long as it is told."""

    def __init__(self, clock: HandClock) -> None:
        self.clock, self.go, self.lock = clock, threading.Semaphore(0), threading.Lock()
        self.begun = self.done = 0

    def call(self, seconds: float) -> None:
        with self.lock:
            self.begun += 1
        self.go.acquire()
        with self.lock:
            self.clock.move(seconds)
            self.done += 1

    def answer(self, times: int) -> None:
        done = self.done
        for number in range(times):
            self.go.release()
            assert until(lambda number=number: self.done > done + number)  # type: ignore[misc]


@pytest.fixture
def target(clock: HandClock) -> Iterator[Target]:
    made = Target(clock)
    yield made
    made.go.release(10_000)


def crew_of(target: Target, most: int = MOST) -> Crew:
    """A crew that somebody joined who hung in his work before."""
    crew = Crew("out:wms", most, target.call, target.clock)
    crew.adopt()
    threading.Thread(target=crew.serve, daemon=True).start()
    return crew


def looks(crew: Crew, target: Target, count: int) -> None:
    for _ in range(count):
        target.clock.move(LOOK_S * 1.01)
        crew.look()


def test_work_that_is_answered_at_once_is_left_to_whoever_has_the_crew(target: Target) -> None:
    crew = crew_of(target)
    crew.put([0.0002] * 100)
    target.answer(10)
    target.clock.move(LOOK_S)
    crew.look()
    assert crew.here
    # The last of the crew ends what it has begun.
    target.answer(1)
    assert until(lambda: crew.threads == 0)
    waiting, target.go = crew.waiting, threading.Semaphore(10_000)
    assert crew.do_next()
    assert (crew.waiting, crew.threads) == (waiting - 1, 0)


def test_at_first_whoever_has_the_crew_does_the_work_and_no_thread_comes(target: Target) -> None:
    crew = Crew("out:wms", MOST, target.call, target.clock)
    crew.put([0.0] * 3)
    target.go.release(10)
    assert (crew.here, crew.threads, crew.look_due()) == (True, 0, None)
    assert [crew.do_next() for _ in range(4)] == [True, True, True, False]
    assert target.done == 3


def test_work_that_makes_whoever_has_the_crew_wait_is_given_to_threads(target: Target) -> None:
    crew = Crew("out:wms", MOST, target.call, target.clock)
    crew.put([0.05] * 100)
    target.go.release(2)
    assert crew.do_next() and crew.do_next()
    crew.look()
    assert (crew.here, crew.threads) == (False, 2)
    for _ in range(8):
        target.answer(1)
        crew.look()
    assert crew.threads == MOST


def test_with_a_target_that_hangs_all_threads_are_soon_there(target: Target) -> None:
    crew = crew_of(target)
    crew.put([0.0] * 100)
    looks(crew, target, 4)
    assert crew.threads == MOST
    assert until(lambda: target.begun == MOST)
    looks(crew, target, 4)
    assert crew.threads == MOST


def test_with_a_target_that_takes_its_time_the_threads_grow_although_work_gets_done(target: Target) -> None:
    crew = crew_of(target)
    crew.put([0.05] * 100)
    for _ in range(8):
        target.answer(1)
        crew.look()
    assert crew.threads == MOST


def test_when_the_target_is_fast_again_the_threads_go(target: Target) -> None:
    crew = crew_of(target)
    crew.put([0.0] * 100)
    looks(crew, target, 4)
    assert crew.threads == MOST
    target.go.release(1_000_000)

    def fewer() -> bool:
        done = target.done
        crew.put([0.0] * 2_000)
        until(lambda: target.done > done + MOST)
        looks(crew, target, 1)
        return crew.here

    assert until(fewer)


def test_no_more_threads_come_than_there_is_work_for(target: Target) -> None:
    crew = crew_of(target)
    crew.put([0.0] * 3)
    for _ in range(5):
        assert until(lambda: target.begun == crew.threads)
        looks(crew, target, 1)
    assert crew.threads == 3


def test_a_crew_of_one_stays_one(target: Target) -> None:
    crew = crew_of(target, most=1)
    crew.put([0.0] * 30)
    looks(crew, target, 5)
    assert crew.threads == 1
    assert crew.look_due() is None


def test_what_nobody_began_with_can_be_taken_back(target: Target) -> None:
    crew = crew_of(target, most=1)
    crew.put([0.0] * 10)
    assert until(lambda: target.begun == 1)
    assert len(crew.take_back()) == 9
    crew.close()
    target.answer(1)
    assert target.begun == 1
