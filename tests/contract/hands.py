"""Hands on a real ledger, as workers have them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.connectors import Limits
from app.core.ports import Clock
from app.core.site import BreakerPolicy
from app.model import DeliveryFinish, DeliveryWork
from app.pipeline.gates import Gate
from app.pipeline.hand import Hand, Trade
from app.pipeline.lane import LaneRunner, Pace
from tests.support import HandClock

LEASE_S = 60.0


def hand(ledger: Ledger, clock: HandClock) -> Hand:
    """A hand for deliveries to the warehouse."""
    return Hand("out:wms", _trade(ledger), clock)


def _trade(ledger: Ledger) -> Trade:
    def commit(token: str, finishes: Sequence[Any]) -> list[str]:
        with ledger.write() as tx:
            tx.finish_deliveries(token, finishes)
        return []

    def identify(work: DeliveryWork) -> str:
        return work.delivery_id

    def never(*_: Any) -> Any:
        raise AssertionError("not asked for")

    return Trade(
        ledger.claim_deliveries, identify, never, never, commit, ledger.hand_back, ledger.renew, ledger.give_way
    )


class Alone:
    """The desk of an engine with one lane that ends as soon as it is dry."""

    def got_work(self, lanes: Sequence[str], /) -> None:
        """Nobody else is there."""

    def is_full(self, lane: str, /) -> None:
        """Nobody else is there."""

    def holds(self, lane: str, /) -> bool:
        """Somebody is woken for it."""
        return False

    def let_go(self, lane: str, /) -> None:
        """It is not held."""

    def may_end(self, runner: LaneRunner, /) -> bool:
        """It may, once it is dry."""
        return True


def run(ledger: Ledger, clock: Clock, carry_out: Callable[[DeliveryWork, Callable[[], bool]], DeliveryFinish]) -> None:
    """Work on the warehouse's lane until it is dry, as a worker does."""
    limits = Limits()
    gate = Gate("wms", limits, BreakerPolicy(), ledger, clock, "wrk_1", threading.Event())
    trade = replace(_trade(ledger), carry_out=carry_out)
    pace = Pace(limits.concurrency, LEASE_S)
    assert LaneRunner("out:wms", trade, gate, pace, clock, SystemIds(), Alone()).run()


def taken(hand: Hand, token: str) -> list[DeliveryWork]:
    """What the hand is to begin with after a claim; it may have gone on with more."""
    works = hand.claim("wms", 10, LEASE_S, token)
    assert works is not None
    return works
