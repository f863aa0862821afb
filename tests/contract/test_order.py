"""Deliveries of one order key run one after the other, whatever else happens; others never wait for them."""

from __future__ import annotations

import pytest

from app.adapters.ledger import Ledger
from app.model import DeliveryFinish
from tests.contract.making import claim_ids, deliver, done, finish, later
from tests.support import HandClock


def test_a_later_one_waits_until_the_earlier_one_is_through(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2)
    [other] = deliver(ledger, clock, object_id="R-2")
    assert claim_ids(ledger, "a") == [first, other]
    assert claim_ids(ledger) == []
    finish(ledger, "a", done(first))
    assert claim_ids(ledger) == [second]


@pytest.mark.parametrize("state", ["ready", "waiting", "parked", "conflict", "in_doubt"])
def test_one_that_is_not_through_holds_back_the_later_ones(ledger: Ledger, clock: HandClock, state: str) -> None:
    first, _ = deliver(ledger, clock, many=2)
    claim_ids(ledger, "a")
    finish(ledger, "a", later(clock, first, state, 3600))
    assert claim_ids(ledger) == []


@pytest.mark.parametrize("state", ["done", "skipped", "dead"])
def test_one_that_is_final_holds_back_none(ledger: Ledger, clock: HandClock, state: str) -> None:
    first, second = deliver(ledger, clock, many=2)
    claim_ids(ledger, "a")
    finish(ledger, "a", DeliveryFinish(first, state, None))  # type: ignore[arg-type]
    assert claim_ids(ledger) == [second]


def test_without_an_order_key_nothing_waits(ledger: Ledger, clock: HandClock) -> None:
    free = deliver(ledger, clock, many=3, order_key="")
    assert claim_ids(ledger) == free


def test_the_order_holds_per_lane(ledger: Ledger, clock: HandClock) -> None:
    [first] = deliver(ledger, clock, lane="wms")
    [second] = deliver(ledger, clock, lane="erp")
    assert claim_ids(ledger, lane="erp") == [second]
    assert claim_ids(ledger, lane="wms") == [first]


def test_parts_of_a_split_return_do_not_wait_for_each_other(ledger: Ledger, clock: HandClock) -> None:
    [of_one] = deliver(ledger, clock, part="#1")
    [of_two] = deliver(ledger, clock, part="#2")
    [of_one_again] = deliver(ledger, clock, part="#1")
    [of_all] = deliver(ledger, clock)
    [of_two_again] = deliver(ledger, clock, part="#2")
    assert claim_ids(ledger, "a") == [of_one, of_two]
    finish(ledger, "a", done(of_one), later(clock, of_two, "parked", 3600))
    assert claim_ids(ledger, "b") == [of_one_again]
    finish(ledger, "b", done(of_one_again))
    assert claim_ids(ledger) == []
    ledger.retry([of_two], "me")
    assert claim_ids(ledger, "c") == [of_two]
    finish(ledger, "c", done(of_two))
    assert claim_ids(ledger, "d") == [of_all]
    finish(ledger, "d", done(of_all))
    assert claim_ids(ledger) == [of_two_again]


def test_a_dead_one_that_is_retried_waits_for_the_one_under_way(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2)
    claim_ids(ledger, "a")
    finish(ledger, "a", DeliveryFinish(first, "dead", None, "no", "data"))
    assert claim_ids(ledger, "b") == [second]
    assert ledger.retry([first], "me") == [first]
    assert claim_ids(ledger) == []
    finish(ledger, "b", later(clock, second, seconds=0))
    assert claim_ids(ledger) == [first]


def test_a_retried_one_and_a_lapsed_one_do_not_wait_for_each_other(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2)
    claim_ids(ledger, "a")
    finish(ledger, "a", DeliveryFinish(first, "dead", None))
    assert claim_ids(ledger, "b") == [second]
    ledger.retry([first], "me")
    clock.move(61)
    assert claim_ids(ledger, "c") == [first]
    finish(ledger, "c", done(first))
    assert claim_ids(ledger) == [second]
