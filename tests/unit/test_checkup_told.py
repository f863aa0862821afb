"""What the clock found when it looked through the ledger stands in `/metrics`."""

from __future__ import annotations

from flask import Flask

from app.core.checkup import FACT
from tests.unit.door_kit import Services
from tests.unit.test_metrics import read

DAY = {"began": "2026-11-22T00:00:00.000Z", "ended": "2026-11-22T01:00:00.000Z", "rows": 12, "unsound": 0, "named": []}


def kept(services: Services, **rounds: object) -> None:
    services.ledger.put_fact(FACT, {"now": None, "last": None, "part": "", "after": None, **rounds})


def test_how_much_is_not_sound_is_a_metric(app: Flask, services: Services) -> None:
    assert ("backhaul_ledger_unsound", ()) not in read(app)
    kept(services, last=DAY)
    found = read(app)
    assert (found["backhaul_ledger_unsound", ()], found["backhaul_ledger_verified_rows", ()]) == (0, 12)
    assert found["backhaul_ledger_verified_timestamp_seconds", ()] == 1_795_309_200
    # What the round that goes on has found is told before it ends, and what the last one found is not forgotten.
    kept(services, last=DAY, now={**DAY, "ended": "", "unsound": 3})
    assert read(app)["backhaul_ledger_unsound", ()] == 3
    kept(services, last={**DAY, "unsound": 2}, now={**DAY, "ended": ""})
    assert read(app)["backhaul_ledger_unsound", ()] == 2
