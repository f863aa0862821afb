"""Ids: unique, in order, and of one form."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from app.adapters.system import SystemIds


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
