"""`backhaul backup`, `restore`, `import`, `export` and `ledger restored` on a small site; nothing runs beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.adapters.ledger import Ledger, open_ledger
from app.adapters.ledger.schema import REVISIONS
from app.adapters.system import SystemClock
from app.bootstrap import running_lock
from tests.contract.making import claim_ids, deliver, received
from tests.support import HandClock
from tests.unit.conftest import Run


def opened(site: Path) -> Ledger:
    return open_ledger(f"sqlite:///{site}/var/backhaul.db", clock=SystemClock())


@pytest.fixture
def filled(site: Path, migrated_sqlite: Path, clock: HandClock) -> Path:
    """A site with a ledger of one delivery that a worker holds, and an event that waits to be read."""
    (site / "var").mkdir()
    shutil.copy(migrated_sqlite, site / "var/backhaul.db")
    ledger = opened(site)
    deliver(ledger, clock)
    claim_ids(ledger, "tok")
    received(ledger, clock)
    ledger.hold_lease("clock", "somebody", -1.0)
    ledger.close()
    return site


def test_a_backup_says_what_it_holds_and_a_restore_what_is_to_be_done(run: Run, filled: Path) -> None:
    file = filled / "backup.db"
    told = run("backup", str(file))
    assert told.exit_code == 0 and "2 events; nothing is sealed yet" in told.output
    again = run("backup", str(file), status=1)
    assert "nothing is overwritten" in again.output
    refused = run("restore", str(file), status=1)
    assert "--replace" in refused.output
    back = run("restore", str(file), "--replace")
    assert back.exit_code == 0, back.output
    for said in ("2 events", "1 deliveries had not ended", "1 events had not been read", "ledger trust", ".before-"):
        assert said in back.output, said
    ledger = opened(filled)
    (restore,) = ledger.restores()
    assert restore.wary_until > restore.at
    assert [act["act"] for act in ledger.acts("ledger", 10)] == ["restore"]
    ledger.close()
    assert "without a look" in run("ledger", "trust").output
    assert "nothing waits" in run("ledger", "trust").output


def test_machines_are_told_the_same(run: Run, filled: Path) -> None:
    file = filled / "backup.db"
    assert json.loads(run("backup", str(file), "--json").stdout)["events"] == 2
    told = json.loads(run("restore", str(file), "--replace", "--json", "--wary-for", "2h").stdout)
    assert (told["events"], told["open_deliveries"], told["unread_events"]) == (2, 1, 1)
    assert told["repeated"] + told["probed"] + told["in_doubt"] + told["unknown"] == 1
    again = json.loads(run("ledger", "restored", "--json").stdout)
    assert again["open_deliveries"] == 1 and again["wary_until"] > told["wary_until"]
    assert "no duration" in run("restore", str(file), "--wary-for", "soon", status=2).output


def test_a_ledger_that_a_clock_works_on_is_not_marked(run: Run, filled: Path) -> None:
    ledger = opened(filled)
    ledger.hold_lease("clock", "somebody", 60.0)
    ledger.close()
    told = run("ledger", "restored", status=1)
    assert "the hub runs" in told.output


def test_a_ledger_of_a_newer_hub_is_refused_with_the_exit_of_a_wrong_configuration(run: Run, filled: Path) -> None:
    from sqlalchemy import NullPool, create_engine, text

    engine = create_engine(f"sqlite:///{filled}/var/backhaul.db", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for command in (["migrate"], ["clock"], ["ledger", "verify"], ["deliveries"]):
        told = run(*command, status=2, env={"REDIS_URL": f"unix://{filled}/none.sock"})
        assert "newer Backhaul" in told.output and "Traceback" not in told.output, command
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :one"), {"one": f"moved-{REVISIONS[-1]}-ab"})
    told = run("deliveries", status=2)
    assert "was moved to another database" in told.output
    assert run("import", "--from", f"{filled}/var/backhaul.db", "--give-up").exit_code == 0
    assert run("deliveries").exit_code == 0


def test_a_password_is_no_argument(run: Run, filled: Path) -> None:
    told = run("export", "--to", "postgresql://me:hush-hush@db/hub", status=2)
    assert "no password in an argument" in told.output and "hush-hush" not in told.output
    assert "say where to" in run("export", status=2).output


def test_doctor_tells_of_a_ledger_that_is_not_sound(run: Run, filled: Path) -> None:
    ledger = opened(filled)
    a_round = {"began": "2026-11-22T00:00:00.000Z", "ended": "2026-11-22T01:00:00.000Z", "rows": 12, "unsound": 0}
    ledger.put_fact("checkup", {"now": None, "last": {**a_round, "named": []}, "part": "", "after": None})
    ledger.close()
    assert "all 12 rows" in run("doctor", status=1).output
    ledger = opened(filled)
    wrong = {**a_round, "unsound": 2, "named": ["events evt_1 is held and not running"]}
    ledger.put_fact("checkup", {"now": None, "last": wrong, "part": "", "after": None})
    ledger.close()
    told = run("doctor", status=1)
    assert "2 faults found" in told.output and "evt_1" in told.output


@pytest.mark.parametrize(
    "command",
    [
        ("restore", "backup.db", "--replace"),
        ("ledger", "restored"),
        ("import", "--from", "other.db"),
        ("export", "--to", "postgresql://me@127.0.0.1:1/hub"),
    ],
    ids=lambda command: command[0],
)
def test_beside_a_hub_that_runs_no_ledger_is_put_back_or_moved(
    run: Run, filled: Path, command: tuple[str, ...]
) -> None:
    before = (filled / "var/backhaul.db").read_bytes()
    with running_lock(filled / "var"):
        told = run(*command, status=1)
    assert "a hub runs on" in told.output and "stop it first" in told.output
    assert (filled / "var/backhaul.db").read_bytes() == before


def test_doctor_tells_of_a_ledger_that_others_can_read(run: Run, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = filled / "var/backhaul.db"
    told = "other users of this machine can read"
    # The folders of tests are their user's alone.
    monkeypatch.setattr("app.cli.doctor_checks._folders_are_open", lambda file: True)
    ledger.chmod(0o600)
    assert told not in run("doctor", status=1).output
    ledger.chmod(0o644)
    assert told in run("doctor", status=1).output
