"""The same question asked many times at once, of two processes, while the shop misbehaves: one effect, one answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.ledger import Ledger
from tests.pipeline.bridge_kit import Portal, Shop, process, site_of
from tests.support import HandClock

pytestmark = pytest.mark.usefixtures("alone")
_numbers = count(1)
TROUBLES = st.lists(st.sampled_from(["lost", "done, then lost", 503, 429, 422]), max_size=4)


@pytest.fixture
def hubs(tmp_path: Path, ledger: Ledger, clock: HandClock) -> Iterator[tuple[Shop, list[Portal]]]:
    """A shop, and two processes of the hub that ask it."""
    shop, site = Shop(), site_of(tmp_path)
    clock.monotonic = time.monotonic  # type: ignore[method-assign]
    with process(site, ledger, clock, shop) as one, process(site, ledger, clock, shop) as two:
        yield shop, [one, two]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    askers=st.integers(2, 8), refunds=TROUBLES, notes=st.lists(st.sampled_from(["lost", "done, then lost"]), max_size=2)
)
def test_one_question_has_one_effect(
    hubs: tuple[Shop, list[Portal]], clock: HandClock, askers: int, refunds: list[object], notes: list[object]
) -> None:
    shop, portals = hubs
    asked = {"transactionId": f"t-{next(_numbers)}", "orderNumber": "4711", "amount": "5.00", "note": "hi"}
    shop.say("/refunds", *refunds)
    shop.say("/notes", *notes)
    refunded, noted = len(shop.refunds), shop.notes.total()
    answers: list[bytes] = []
    with ThreadPoolExecutor(askers) as pool:
        for _ in range(12):
            found = list(pool.map(lambda number: portals[number % 2].ask("resolve-return", asked), range(askers)))
            assert {one.status_code for one in found} <= {200, 503}
            answers += [one.data for one in found if one.status_code == 200]
            clock.move(700)  # whatever was shut is open again
            if all(one.status_code == 200 for one in found):
                break
    assert len(set(answers)) == 1, answers
    assert len(shop.refunds) == refunded + 1
    assert shop.notes.total() == noted + 1
