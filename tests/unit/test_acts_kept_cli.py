"""Every act of a person by the command line is kept: who, when, what, before and after.

A new command that is in none of the tables fails here, and so does an act that leaves no row.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click
import pytest

from app.adapters.ledger import Ledger
from app.cli import _COMMANDS, main
from app.cli.context import who
from app.core.bridges import BridgeFinish, Question
from app.core.tasks import NewTask
from app.model import DeliveryFinish, ReferenceKey
from tests.contract.making import claim, deliver, document, finish, later, received
from tests.postgres import Cluster
from tests.support import HandClock
from tests.unit.conftest import Run

#: Acts that make something new: there was nothing before.
CREATES = {"token new", "refs import", "poll"}
#: Commands that change nothing that a person decides, with what they do instead.
READING = {
    **dict.fromkeys(("trace", "events", "deliveries", "dead", "parked", "questions", "audit"), "list"),
    **dict.fromkeys(("tasks", "refs show", "token list", "ledger verify", "doctor"), "list"),
    **dict.fromkeys(("check", "test", "try", "new", "new connector"), "work with the site's files alone"),
    "backup": "makes a copy",
    **dict.fromkeys(("demo", "chaos"), "run a hub of their own, with a ledger of its own"),
    **dict.fromkeys(("up", "web", "worker", "clock"), "are the hub"),
    "migrate": "makes tables; what is in them stays",
    "send": "asks at the hub's door, as the vendor would",
}


def _cli_retry(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    delivery_id = _delivery(ledger, clock, "dead")
    run("retry", delivery_id)
    return delivery_id


def _cli_resolve(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    delivery_id = _delivery(ledger, clock, "in_doubt")
    run("resolve", delivery_id, "delivered")
    return delivery_id


def _cli_pause(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    run("pause", "wms")
    return "connection:wms"


def _cli_resume(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    run("resume", "wms")
    return "connection:wms"


def _cli_refs_set(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    key = ReferenceKey("order", "shop", "erp", "1")
    ledger.set_reference(key, "1", "test")
    run("refs", "set", "order", "1", "2")
    return str(key)


def _cli_refs_import(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    (folder / "orders.csv").write_text("from,to\n1,2\n3,4\n")
    run("refs", "import", str(folder / "orders.csv"), "--kind", "order")
    return str(ReferenceKey("order", "shop", "erp", "1"))


def _cli_tasks_close(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    picture = document(clock, received(ledger, clock))
    with ledger.write() as tx:
        tx.add_documents([picture])
        tx.add_tasks(picture, [NewTask("tsk_1", "law", "law:1", "line 1")])
    run("tasks", "close", "tsk_1")
    return "tsk_1"


def _cli_token_new(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    run("token", "new", "ann", "--role", "reader")
    return "token:ann"


def _cli_token_revoke(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    ledger.new_api_token("ann", "reader", "test", None)
    run("token", "revoke", "ann")
    return "token:ann"


def _cli_poll(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    # The vendor is not there: that somebody asked is kept all the same.
    run("poll", "shop", status=1)
    return "connection:shop"


def _cli_restored(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    ledger.close()
    run("ledger", "restored")
    return "ledger"


def _cli_caught_up(run: Run, ledger: Ledger, clock: HandClock, folder: Path) -> str:
    _cli_restored(run, ledger, clock, folder)
    run("ledger", "trust")
    return "ledger"


ACTING = {
    "retry": _cli_retry,
    "resolve": _cli_resolve,
    "pause": _cli_pause,
    "resume": _cli_resume,
    "refs set": _cli_refs_set,
    "refs import": _cli_refs_import,
    "tasks close": _cli_tasks_close,
    "token new": _cli_token_new,
    "token revoke": _cli_token_revoke,
    "poll": _cli_poll,
    "ledger restored": _cli_restored,
    "ledger trust": _cli_caught_up,
}
#: Acting commands whose rows are looked at in the tests of their own, and where.
ELSEWHERE = {
    "restore": "in the ledger that it puts back: below",
    "import": "in the ledger that it fills: below",
    "export": "in the ledger that it fills: below",
    "erase": "contract/test_erasing.py",
}


@pytest.fixture
def ledger(site_ledger: Ledger) -> Ledger:
    """The ledger that the commands use."""
    return site_ledger


def _delivery(ledger: Ledger, clock: HandClock, state: str) -> str:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    dead = DeliveryFinish(delivery_id, "dead", None, "no such sku", "data")
    finish(ledger, "a", dead if state == "dead" else later(clock, delivery_id, state))
    return delivery_id


def _commands() -> set[str]:
    names = set()
    for name in _COMMANDS:
        command = main.get_command(click.Context(main), name)
        if isinstance(command, click.Group):
            names |= {f"{name} {inner}" for inner in command.commands}
            names |= {name} if command.invoke_without_command else set()
        else:
            names.add(name)
    return names


def test_every_command_either_acts_and_is_tried_here_or_does_something_else() -> None:
    assert _commands() <= {*READING, *ACTING, *ELSEWHERE}
    assert set(ACTING) <= _commands()


@pytest.mark.parametrize("command", ACTING)
def test_an_act_by_the_command_line_is_kept_under_the_name_of_the_user(
    run: Run, ledger: Ledger, clock: HandClock, tmp_path: Path, command: str
) -> None:
    target = ACTING[command](run, ledger, clock, tmp_path)
    row, *earlier = json.loads(run("audit", "--json", "--who", who()).stdout)
    assert len(earlier) == (command == "ledger trust")
    assert (row["who"], row["target"]) == (who(), target) and row["after"] is not None
    assert datetime.fromisoformat(row["at"]) and (row["before"] is None) == (row["act"] in CREATES)
    assert target in run("audit", "--target", target, "--limit", "1").output
    assert "nothing was done by hand that fits" in run("audit", "--target", "evt_none").output


def test_an_act_on_a_question_of_a_bridge_is_kept(run: Run, ledger: Ledger) -> None:
    ledger.claim_bridge(Question("brq_1", "labels", "shop", "R-1", {}), "tok", 60)
    ledger.finish_bridge("tok", BridgeFinish("brq_1", "in_doubt", because="no answer"))
    run("resolve", "brq_1", "delivered")
    (row,) = json.loads(run("audit", "--json").stdout)
    told = {"who": who(), "act": "resolve", "target": "brq_1"}
    assert told.items() <= row.items()
    assert (row["before"], row["after"]) == ({"state": "in_doubt"}, {"verdict": "delivered"})


def test_a_restore_and_a_restore_by_hand_and_trust_are_kept_with_what_they_say(
    run: Run, ledger: Ledger, site: Path
) -> None:
    received(ledger, HandClock())
    ledger.close()
    run("backup", str(site / "copy.db"))
    run("restore", str(site / "copy.db"), "--replace")
    run("ledger", "restored")
    run("ledger", "trust")
    rows = json.loads(run("audit", "--json", "--target", "ledger").stdout)
    assert [(row["who"], row["act"]) for row in rows] == [
        (who(), "caught up"),
        (who(), "restore"),
        (who(), "restore"),
    ]
    assert all("wary_until" in row["after"] for row in rows) and "knew_until" in rows[1]["before"]


@pytest.mark.parametrize("command", ["import", "export"])
def test_a_move_is_kept_in_the_ledger_that_goes_on(
    run: Run, ledger: Ledger, site: Path, postgres: Cluster, command: str
) -> None:
    received(ledger, HandClock())
    ledger.close()
    with postgres.copy("template0") as url:
        if command == "import":
            run("import", "--from", str(site / "var/backhaul.db"), env={"DATABASE_URL": url})
        else:
            run("export", "--to", url)
        (row,) = json.loads(run("audit", "--json", env={"DATABASE_URL": url}).stdout)
    assert (row["who"], row["act"], row["target"]) == (who(), "move", "ledger") and "mark" in row["after"]


def test_the_environment_does_not_say_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = who()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "the-boss")
    assert who() == before and before.startswith("cli:") and "the-boss" not in before


def test_a_user_without_a_name_is_known_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_123)
    assert who() == "cli:4000000123"
