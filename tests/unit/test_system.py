"""Ids: unique, in order, and of one form. The clock: right, but where a file bends it."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters import files, system
from app.adapters.system import SystemClock, SystemIds


def test_ids_have_their_prefix_and_26_signs_without_those_that_look_alike() -> None:
    assert re.fullmatch(r"evt_[0-9a-hjkmnp-tv-z]{26}", SystemIds().new("evt"))


def test_ids_of_one_process_count_up() -> None:
    ids = SystemIds()
    made = [ids.new("x") for _ in range(5_000)]
    assert made == sorted(made) and len(set(made)) == len(made)


def test_ids_of_many_threads_are_all_different_and_count_up_in_each() -> None:
    ids = SystemIds()

    def make(_: int) -> list[str]:
        return [ids.new("x") for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert all(part == sorted(part) for part in made)
    assert len({one for part in made for one in part}) == 8 * 500


@pytest.fixture
def bent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemClock:
    """A clock that looks at its file each time."""
    monkeypatch.setattr(system, "_LOOK_S", 0.0)
    told = files.settings({"BACKHAUL_CLOCK_SHIFT_FILE": str(tmp_path / "shift")})
    return SystemClock(told.clock_shift_file)


def ahead_s(clock: SystemClock) -> float:
    """How far it is ahead of the machine's, in seconds."""
    return (clock.now() - datetime.now(UTC)).total_seconds()


def test_a_file_bends_the_clock_for_as_long_as_it_says_so(bent: SystemClock, tmp_path: Path) -> None:
    assert abs(ahead_s(bent)) < 60
    before = bent.monotonic()
    for told, seconds in (("3600", 3600), ("-3600.5", -3600.5), ("", -3600.5), ("what?", -3600.5), ("0", 0)):
        (tmp_path / "shift").write_text(told)
        assert abs(ahead_s(bent) - seconds) < 60
        assert abs(bent.time_ns() / 1e9 - bent.now().timestamp()) < 60
    (tmp_path / "shift").unlink()
    assert abs(ahead_s(bent)) < 60
    assert 0 <= bent.monotonic() - before < 60


def test_without_a_file_nothing_is_looked_at_and_the_clock_is_the_machines() -> None:
    assert files.settings({}).clock_shift_file is None
    assert abs(ahead_s(SystemClock())) < 60


def test_ids_stay_unique_and_count_up_although_the_clock_is_put_back(bent: SystemClock, tmp_path: Path) -> None:
    ids, made = SystemIds(bent), []
    for told in ("3600", "0", "-3600", "7200"):
        (tmp_path / "shift").write_text(told)
        made += [ids.new("x") for _ in range(50)]
    assert made == sorted(made) and len(set(made)) == len(made)


def stopped(millis: int) -> SystemClock:
    """A clock that stands still."""
    clock = SystemClock()
    clock.time_ns = lambda: millis * 1_000_000
    return clock


def test_more_ids_than_fit_into_a_millisecond_are_unique_and_count_up() -> None:
    ids = SystemIds(stopped(1_700_000_000_000))
    made = [ids.new("x") for _ in range(5_000)]
    assert made == sorted(made) and len(set(made)) == len(made)
    assert made[0][2:12] == "01hf7yat00"


def test_two_makers_of_ids_make_different_ones_in_the_same_millisecond() -> None:
    makers = [SystemIds(stopped(7)) for _ in range(50)]
    made = {ids.new("x") for ids in makers for _ in range(3)}
    assert len(made) == 150


@pytest.mark.parametrize("later", (7, 8))
def test_a_fork_makes_ids_of_its_own(later: int) -> None:
    clock, millis = SystemClock(), 7
    clock.time_ns = lambda: millis * 1_000_000
    ids = SystemIds(clock)
    before = ids.new("x")
    millis = later
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writing, ids.new("x").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="ascii") as told:
        theirs = told.read()
    os.waitpid(child, 0)
    assert theirs > before
    assert theirs != ids.new("x")
