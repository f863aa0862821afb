"""Which of two pictures of an object is the newer one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.core.documents import is_stale
from app.model import Document

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def picture(version: str = "", observed_at: datetime = NOW) -> Document:
    fields = {"kind": "return", "connection": "shop", "object_id": "R-1", "seq": 0, "event_id": "evt_1"}
    return Document(document_id="doc_1", version=version, observed_at=observed_at, body={}, raw={}, stamp="s", **fields)  # type: ignore[arg-type]


def test_the_first_picture_is_never_stale() -> None:
    assert not is_stale(picture(), None, NOW)


@pytest.mark.parametrize(("older", "newer"), [("v1", "v2"), ("t2026-01-01", "t2026-01-02")])
def test_the_sources_own_version_decides_whatever_the_clock_says(older: str, newer: str) -> None:
    assert is_stale(picture(older, NOW), picture(newer, NOW - HOUR), NOW)
    assert not is_stale(picture(newer, NOW - HOUR), picture(older, NOW + HOUR), NOW)
    assert is_stale(picture(older, NOW), picture(newer, NOW + HOUR), NOW)


def test_without_a_version_the_moment_decides_and_of_equals_the_later_arrival() -> None:
    assert is_stale(picture(observed_at=NOW - HOUR), picture(observed_at=NOW), NOW)
    assert not is_stale(picture(observed_at=NOW), picture(observed_at=NOW - HOUR), NOW)
    assert not is_stale(picture(), picture(), NOW)


def test_a_picture_from_a_time_to_come_outdates_nothing_for_the_clock_was_put_back_since() -> None:
    assert not is_stale(picture(), picture(observed_at=NOW + HOUR), NOW)
    assert is_stale(picture(), picture(observed_at=NOW + timedelta(seconds=2)), NOW)
