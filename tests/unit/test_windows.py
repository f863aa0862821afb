"""Windows: spans leave no gap, halves neither, and what was at rest is not read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.core.polls import Window
from app.core.windows import SEAM_S, Span, caught_up, next_span

NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
WINDOW = Window(overlap_s=300, behind_s=60, longest_s=86_400, start_s=172_800)


def later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)


def test_times_are_whole_seconds_in_utc() -> None:
    assert next_span(WINDOW, None, None, NOW).view() == {"from": "2026-11-20T12:00:00Z", "to": "2026-11-21T12:00:00Z"}


def test_a_cursor_of_a_clock_that_was_put_back_since_is_forgotten_so_that_nothing_is_left_out() -> None:
    cursor = later(NOW, 7200)
    assert next_span(WINDOW, cursor, later(cursor, 60), NOW) == next_span(WINDOW, None, None, NOW)
    near = later(NOW, 2)
    span = next_span(WINDOW, near, None, NOW)
    assert span.start < span.end == near.replace(microsecond=0)


def test_what_had_come_to_rest_when_it_was_read_is_not_read_again() -> None:
    cursor = later(NOW, -86_400)
    assert next_span(WINDOW, cursor, NOW, NOW).start == later(cursor, -SEAM_S).replace(microsecond=0)
    assert next_span(WINDOW, cursor, later(cursor, 160), NOW).start == later(cursor, -200).replace(microsecond=0)
    assert next_span(WINDOW, cursor, None, NOW).start == later(cursor, -300).replace(microsecond=0)


@given(st.integers(0, 300_000), st.integers(0, 700), st.integers(0, 400), st.integers(1, 200_000))
def test_spans_follow_each_other_without_a_gap_until_all_is_read(
    ago: int, overlap: int, behind: int, longest: int
) -> None:
    window = Window(overlap_s=overlap, behind_s=behind, longest_s=max(longest, ago // 50 + 2), start_s=1)
    cursor = later(NOW, -ago).replace(microsecond=0)
    for _ in range(60):
        span = next_span(window, cursor, None, NOW)
        assert span.start <= later(cursor, -SEAM_S)
        assert span.end >= cursor
        if caught_up(window, span.end, NOW):
            return
        assert span.end > cursor
        cursor = span.end
    raise AssertionError("never caught up")


@given(st.integers(0, 100_000), st.integers(0, SEAM_S))
def test_halves_hold_all_that_the_span_holds_and_end_at_one_second(length: int, seam: int) -> None:
    whole = Span(NOW.replace(microsecond=0), later(NOW.replace(microsecond=0), length + seam), seam)
    waiting, depth = [whole], 0
    while waiting and depth < 100:
        depth += 1
        span = waiting.pop()
        halves = span.halves()
        if halves is None:
            assert span.length_s <= 1
            continue
        first, second = halves
        assert (first.start, second.end) == (span.start, span.end)
        assert second.start < first.end, "an end that does not count hides nothing"
        assert first.length_s + second.length_s == span.length_s
        waiting = [first]
    assert depth <= 18
