"""Hands on a real ledger, as workers have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.adapters.ledger import Ledger
from app.model import DeliveryWork
from app.pipeline.hand import Hand, Trade
from tests.support import HandClock

LEASE_S = 60.0


def hand(ledger: Ledger, clock: HandClock) -> Hand:
    """A hand for deliveries to the warehouse."""

    def commit(token: str, finishes: Sequence[Any]) -> list[str]:
        with ledger.write() as tx:
            tx.finish_deliveries(token, finishes)
        return []

    def identify(work: DeliveryWork) -> str:
        return work.delivery_id

    def never(*_: Any) -> Any:
        raise AssertionError("not asked for")

    trade = Trade(
        ledger.claim_deliveries, identify, never, never, commit, ledger.hand_back, ledger.renew, ledger.give_way
    )
    return Hand("out:wms", trade, clock)


def taken(hand: Hand, token: str) -> list[DeliveryWork]:
    """What the hand is to begin with after a claim; it may have gone on with more."""
    works = hand.claim("wms", 10, LEASE_S, token)
    assert works is not None
    return works
