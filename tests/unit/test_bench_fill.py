"""The bench's copies of an event: as many rows as the original left, with numbers and ids of their own."""

from __future__ import annotations

from pathlib import Path

from app.adapters.ledger import migrate, open_ledger
from app.adapters.system import SystemClock
from app.model import Receipt
from bench.events import Events
from bench.fill import copies, engine_of, serial_of, traces_of

_SERIAL, _OTHER = "w000000", "x000001"
_IDS = {_SERIAL: "evt_01m81gz5tjek0mv4tjk1yr7bsk", _OTHER: "evt_01m81gz5tjek0mv4tjk1yr7bsm"}


def test_each_copy_of_an_event_has_an_id_and_a_number_of_its_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate(url)
    ledger, engine = open_ledger(url, clock=SystemClock()), engine_of(url)
    ledger.receive([_receipt(_SERIAL), _receipt(_OTHER)])
    ledger.close()

    left = traces_of(engine, _SERIAL)
    assert {row["id"] for table, rows in left.items() if table.name == "events" for row in rows} == {_IDS[_SERIAL]}
    copies(engine, left, _SERIAL, 10, 7, {"events": {"because": "copied"}})

    ledger = open_ledger(url, clock=SystemClock())
    found = ledger.claim_events("platform", 50, 60.0, "token")
    copied = [work for work in found if work.event_id not in _IDS.values()]
    assert len(found) == 9 and len({work.event_id for work in copied}) == 7
    assert {work.body for work in copied} == {b"{}"}, "what is long is left out"
    assert all(work.event_id[:14] == _IDS[_SERIAL][:14] and len(work.event_id) == 30 for work in copied)
    again = [_receipt(serial_of(number)) for number in range(10, 18)]
    assert [one.duplicate for one in ledger.receive(again)] == [True] * 7 + [False], "each has a vendor's id of its own"
    ledger.close()
    engine.dispose()


def _receipt(serial: str) -> Receipt:
    padded, body = serial.rjust(14, "0"), Events("secret").body(serial, serial)
    event_id = _IDS.get(serial, f"evt_{padded:0>26}")
    now = SystemClock().now()
    return Receipt(event_id, "platform", f"evt-{padded}", "return.labelled", now, {}, body, "received")
