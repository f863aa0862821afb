"""Many threads with a ledger each, as processes have one: everything is handed out once, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.adapters.ledger import Ledger, open_ledger
from app.core.lane_state import LaneState
from app.model import Change, NewDelivery
from tests.contract.making import deliver, document, done, finish, key, known, later, new, put, receipt, received
from tests.support import HandClock

THREADS = 4


@pytest.fixture
def ledgers(ledger_url: str, clock: HandClock) -> Iterator[list[Ledger]]:
    opened = [open_ledger(ledger_url, clock=clock, busy_timeout_s=20) for _ in range(THREADS)]
    yield opened
    for one in opened:
        one.close()


def _all_at_once(work: Callable[[Ledger], Any], ledgers: list[Ledger]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, ledgers))


def test_claims_never_overlap(ledgers: list[Ledger], clock: HandClock) -> None:
    ids = [
        delivery_id
        for number in range(20)
        for delivery_id in deliver(ledgers[0], clock, object_id=f"R-{number}", many=5)
    ]

    def work(ledger: Ledger) -> list[str]:
        taken: list[str] = []
        while claimed := ledger.claim_deliveries("wms", 7, 60, token := new("token")):
            taken += [work.delivery_id for work in claimed]
            assert len({work.document.object_id for work in claimed}) == len(claimed)
            assert len(finish(ledger, token, *(done(work.delivery_id) for work in claimed))) == len(claimed)
        return taken

    rounds = [taken for taken in _all_at_once(work, ledgers)]
    while rest := work(ledgers[0]):
        rounds.append(rest)
    assert Counter(delivery_id for taken in rounds for delivery_id in taken) == Counter(ids)


def test_the_same_message_sent_to_all_at_once_is_kept_once(ledgers: list[Ledger], clock: HandClock) -> None:
    vendor_ids = [f"v-{number}" for number in range(30)]

    def work(ledger: Ledger) -> list[str]:
        answers = []
        for start in range(0, len(vendor_ids), 10):
            batch = [receipt(clock, vendor_id) for vendor_id in reversed(vendor_ids[start : start + 10])]
            answers += ledger.receive(batch)
        return [answer.event_id for answer in answers]

    answered = _all_at_once(work, ledgers)
    assert all(ids == answered[0] for ids in answered)
    assert len(ledgers[0].events()) == len(vendor_ids)


def test_a_fact_seen_by_all_at_once_is_new_for_one(ledgers: list[Ledger], clock: HandClock) -> None:
    event_id = received(ledgers[0], clock)

    def work(ledger: Ledger) -> int:
        fresh = 0
        for number in range(10):
            made = document(clock, event_id, f"R-{number % 3}")
            with ledger.write() as tx:
                keys = [("return", "shop", f"R-{other}") for other in range(3)]
                tx.lock_objects(reversed(keys))
                tx.heads(keys)
                tx.add_documents([made])
                found = tx.add_changes(made, [Change("a", f"a:{number}"), Change("b", f"b:{number}")])
                for change_key, change_id in found.items():
                    delivery = NewDelivery(new("dlv"), change_key, "announce", "", "wms", "", "stamp")
                    tx.add_deliveries(made, change_id, [delivery])
                fresh += len(found)
                tx.count({("fresh", "{}"): float(len(found))}, "shared")
        return fresh

    assert sum(_all_at_once(work, ledgers)) == 20
    assert len(ledgers[0].deliveries()) == 20
    assert ledgers[0].counters() == {("fresh", "{}"): 20.0}
    numbers = [row["seq"] for row in ledgers[0].story([("return", "shop", "R-0")]).documents]
    assert sorted(numbers) == list(range(1, 4 * THREADS + 1))


def test_no_parked_delivery_misses_the_number_that_comes_meanwhile(ledgers: list[Ledger], clock: HandClock) -> None:
    ids = deliver(ledgers[0], clock, many=40, order_key="")
    claimed = [ledgers[0].claim_deliveries("wms", 1, 60, f"t{number}")[0].delivery_id for number in range(40)]
    assert claimed == ids

    def work(ledger: Ledger) -> None:
        mine = ledgers.index(ledger)
        for number in range(40):
            if mine == 0:
                waits = str(key(f"#{number}"))
                finish(ledger, f"t{number}", later(clock, ids[number], "parked", 3600, waits_for=waits))
            elif mine == 1:
                put(ledger, known(clock.now(), f"#{number}", "E"))

    _all_at_once(work, ledgers)
    assert [row["state"] for row in ledgers[0].deliveries()] == ["ready"] * 40


def test_a_lease_a_trial_and_the_last_permit_go_to_one(ledgers: list[Ledger], clock: HandClock) -> None:
    ledgers[0].save_lane(LaneState("wms", open_until=clock.now()))

    def work(ledger: Ledger) -> tuple[bool, bool, int, int]:
        me = new("holder")
        return (
            ledger.hold_lease("clock", me, 5),
            ledger.take_trial("wms", 5),
            ledger.take_permits("wms", me, 5, 2, 60),
            ledger.take_tokens("wms", 15, 2)[0],
        )

    leases, trials, permits, tokens = zip(*_all_at_once(work, ledgers), strict=True)
    assert (sum(leases), sum(trials), sorted(permits), sum(tokens)) == (1, 1, [0, 1, 2, 2], 3)
