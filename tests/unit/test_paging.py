"""Lists: page after page, each item once, and an end even when the target turns in circles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.core.connectors import Paging
from app.pipeline.call import Caller, PagesStopped
from tests.support import HandClock
from tests.unit.call_kit import Target, caller, ok, status
from tests.unit.engine_kit import value


def paging(**more: Any) -> Paging:
    return Paging(
        items=value("{{ body.data }}"),
        next=value("{{ body.nextPage | default(none) }}"),
        param="page",
        size_param="limit",
        size=2,
        id=value("{{ item.id }}"),
        **more,
    )


def pages_of(made: Caller, target: Target, *pages: Any) -> list[str]:
    left = list(pages)
    target.answer = lambda request: ok(left.pop(0)) if left else status(503)(request)
    return [item["id"] for item in made.pages("acme_eu", "announce", {})]


def test_a_list_is_read_page_by_page_and_repeats_are_dropped(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    made = caller(ledger, clock, target, method="GET", paging=paging())
    first = {"data": [{"id": "a"}, {"id": "b"}], "nextPage": 2}
    last = {"data": [{"id": "b"}, {"id": "c"}]}
    assert pages_of(made, target, first, last) == ["a", "b", "c"]
    assert [request.url.partition("?")[2] for request in target.requests] == ["page=1&limit=2", "page=2&limit=2"]


def test_what_was_asked_for_may_end_a_list(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    until = replace(paging(), next=value("{{ page + 1 if (body.data | last).id < args.until else none }}"))
    made = caller(ledger, clock, target, method="GET", paging=until)
    left = [{"data": [{"id": "a"}, {"id": "b"}]}, {"data": [{"id": "c"}]}]
    target.answer = lambda request: ok(left.pop(0))
    assert [item["id"] for item in made.pages("acme_eu", "announce", {"until": "c"})] == ["a", "b", "c"]


@pytest.mark.parametrize("back", [1, 2, 0])
def test_pages_that_turn_back_do_not_go_on_for_ever(ledger: Ledger, clock: HandClock, back: int) -> None:
    target = Target()
    made = caller(ledger, clock, target, method="GET", paging=paging())
    pages = [{"data": [{"id": "a"}], "nextPage": 2}, {"data": [{"id": "b"}], "nextPage": back}]
    assert pages_of(made, target, *pages) == ["a", "b"]


def test_a_page_that_fails_is_no_end_of_the_list(ledger: Ledger, clock: HandClock) -> None:
    target = Target()
    made = caller(ledger, clock, target, method="GET", paging=paging())
    with pytest.raises(PagesStopped, match="503"):
        pages_of(made, target, {"data": [{"id": "a"}], "nextPage": 2})
