"""Leases, counters, ages of what waits, versions of the site, and who was turned away at the door."""

from __future__ import annotations

from datetime import timedelta

from app.adapters.ledger import Ledger
from app.adapters.ledger.receipts import REJECTIONS_KEPT
from app.model import EventFinish, Rejection
from tests.contract.making import claim, deliver, finish, later, received
from tests.support import HandClock


def test_a_lease_has_one_holder_at_a_time(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.lease("clock") is None
    assert ledger.hold_lease("clock", "a", 5)
    assert not ledger.hold_lease("clock", "b", 5)
    assert ledger.hold_lease("other", "b", 5)
    clock.move(4)
    assert ledger.hold_lease("clock", "a", 5)
    assert ledger.lease("clock") == ("a", clock.now() + timedelta(seconds=5))
    clock.move(5)
    assert ledger.hold_lease("clock", "b", 5)
    assert not ledger.hold_lease("clock", "a", 5)


def test_counters_add_up_over_transactions_and_shards(ledger: Ledger) -> None:
    labels = '{"connection":"shop"}'
    for shard, amount in (("a", 1.0), ("b", 2.0), ("a", 4.0)):
        with ledger.write() as tx:
            tx.count({("events", labels): amount, ("other", "{}"): 1.0}, shard)
            tx.count({("events", labels): amount}, shard)
    assert ledger.counters() == {("events", labels): 14.0, ("other", "{}"): 3.0}


def test_what_waits_is_told_with_how_many_and_since_when(ledger: Ledger, clock: HandClock) -> None:
    oldest = clock.now()
    first, _ = deliver(ledger, clock, many=2, order_key="")
    clock.move(10)
    deliver(ledger, clock, lane="erp", order_key="")
    event_id = received(ledger, clock)
    claim(ledger, "a", limit=1)
    finish(ledger, "a", later(clock, first, "parked", 60))
    assert sorted(ledger.waiting()) == [
        ("delivery", "erp", "ready", 1, clock.now()),
        ("delivery", "wms", "parked", 1, oldest),
        ("delivery", "wms", "ready", 1, oldest),
        ("event", "shop", "received", 1, clock.now()),
    ]
    ledger.claim_events("shop", 1, 60, "b")
    finish(ledger, "b", EventFinish(event_id, "done", None))
    assert "event" not in {row[0] for row in ledger.waiting()}


def test_the_version_of_the_site_that_is_at_work_is_the_one_begun_with_last(ledger: Ledger, clock: HandClock) -> None:
    assert ledger.site_version() is None
    for stamp in ("abc", "def", "abc"):
        clock.move(1)
        ledger.keep_site_version(stamp, {"config/hub.yaml": "hub: {}"})
        assert ledger.site_version() == (stamp, clock.now())


def test_who_was_turned_away_is_kept_newest_first_and_not_for_ever(ledger: Ledger, clock: HandClock) -> None:
    ledger.reject([])
    ledger.reject([Rejection(clock.now(), "shop", "bad signature"), Rejection(clock.now(), "shop\x00", "too large")])
    assert [one.cause for one in ledger.rejections()] == ["too large", "bad signature"]
    assert ledger.rejections(1)[0].at == clock.now()
    for _ in range(3):
        ledger.reject([Rejection(clock.now(), "shop", f"no {number}") for number in range(REJECTIONS_KEPT // 2)])
    kept = ledger.rejections(10 * REJECTIONS_KEPT)
    assert len(kept) == REJECTIONS_KEPT
    assert kept[0].cause == f"no {REJECTIONS_KEPT // 2 - 1}"


def test_a_ledger_that_answers_can_be_pinged(ledger: Ledger) -> None:
    ledger.ping()
