"""Rows are written many at a time: none is lost, none changes its place, none spoils the others."""

from __future__ import annotations

import pytest

from app.adapters.ledger import Ledger
from app.model import Identifier
from tests.contract.making import claim, claim_ids, deliver, done, finish
from tests.support import HandClock


@pytest.mark.parametrize("many", [1, 2, 3, 4, 5, 15, 16, 21, 63, 64, 65, 85, 150])
def test_any_number_of_rows_is_written_and_stays_in_its_order(ledger: Ledger, clock: HandClock, many: int) -> None:
    made = deliver(ledger, clock, many=many, order_key="")
    assert claim_ids(ledger, "a", limit=200) == made
    assert finish(ledger, "a", *map(done, made)) == set(made)
    assert len(ledger.deliveries({"state": "done"}, 200)) == many


def test_odd_texts_are_kept_beside_plain_ones(ledger: Ledger, clock: HandClock) -> None:
    odd = [
        "plain",
        "nul\x00",
        "lone \ud800",
        "Größe ½",
        "long " * 100,
        '"quoted"\\',
        "100% %(a)s :b ?",
        "', ''); --",
        "",
    ]
    deliver(ledger, clock, numbers=[Identifier(text, "order") for text in odd])
    [work] = claim(ledger, "a")
    assert finish(ledger, "a", done(work.delivery_id, because="both \x00 and \ud800", identifiers=()))
    values = {row["value"] for row in ledger.story([("return", "shop", "R-1")]).identifiers}
    assert {"plain", "nul\\u0000", "lone \\ud800", "Größe ½", '"quoted"\\', "100% %(a)s :b ?", "', ''); --"} <= values
    assert len(values) == len(odd) + 1
