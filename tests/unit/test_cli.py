"""The commands on a small site with a real ledger; nothing runs beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.adapters.files import load_site
from app.adapters.ledger import Ledger
from app.adapters.redis_facts import RedisFacts
from app.cli import _COMMANDS, main
from app.cli.context import Cli
from app.errors import ConfigError
from app.model import DeliveryFinish
from tests.contract.making import claim, deliver, finish, key, later, received
from tests.support import HandClock
from tests.unit.conftest import Run
from tests.unit.site_kit import ENV, FILES


@pytest.fixture
def ledger(site_ledger: Ledger) -> Ledger:
    """The ledger that the commands use, with the machine's clock."""
    return site_ledger


@pytest.fixture
def dead(ledger: Ledger, clock: HandClock) -> str:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", DeliveryFinish(delivery_id, "dead", None, "no such sku", "data"))
    return delivery_id


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_says_what_it_does(run: Run, name: str) -> None:
    assert "Usage:" in run(name, "--help").output


def test_the_help_loads_none_of_the_large_libraries() -> None:
    watch = "import sys; from app.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    large = {"yaml", "jinja2", "jsonschema_rs", "sqlalchemy", "flask", "redis", "structlog", "asyncio", "ssl"}
    assert not large & set(done.stdout.split())


def test_check_is_quiet_about_a_good_site(run: Run) -> None:
    assert "no problems" in run("check").output


def test_check_shows_every_problem_with_its_place_and_ends_with_2(run: Run, site: Path) -> None:
    text = FILES["config/routes.yaml"].replace("wms.announce", "wms.announced").replace("source: shop", "source: shpo")
    (site / "config/routes.yaml").write_text(text)
    lines = run("check", status=2).output.splitlines()
    assert len([line for line in lines if line.startswith("config/routes.yaml:")]) == 2
    found = json.loads(run("check", "--json", status=2).stdout)
    assert {problem["file"] for problem in found} == {"config/routes.yaml"}


def test_a_secret_that_is_not_set_is_a_problem(run: Run) -> None:
    assert "WMS_TOKEN" in run("check", status=2, env={"WMS_TOKEN": None}).output  # type: ignore[dict-item]


def test_env_names_a_file_of_values(run: Run, site: Path, tmp_path: Path) -> None:
    file = tmp_path / "values.env"
    file.write_text("WMS_TOKEN=from-the-file\n")
    runner = CliRunner(env={**ENV, "WMS_TOKEN": None})
    assert runner.invoke(main, ["--site", str(site), "--env", str(file), "check"]).exit_code == 0


def test_up_refuses_to_start_while_there_is_a_problem(run: Run, site: Path) -> None:
    (site / "config/routes.yaml").write_text("routes: 7\n")
    assert "config/routes.yaml:1" in run("up", status=2).output
    assert not (site / "var").exists()


@pytest.mark.parametrize("name", ["web", "worker", "clock"])
def test_a_process_without_redis_says_what_to_do(run: Run, name: str) -> None:
    assert "no REDIS_URL is set" in run(name, status=2).output


def test_a_ledger_that_is_not_there_yet_is_no_traceback(run: Run) -> None:
    assert "run `backhaul migrate`" in run("trace", "R-1", status=2).output
    assert "made" in run("migrate").output
    assert "up to date" in run("migrate").output
    assert "nothing has the number R-1" in run("trace", "R-1", status=1).output


def test_trace_tells_the_story_and_hides_persons(run: Run, dead: str) -> None:
    text = run("trace", "R-1").output
    assert "return.labelled from shop" in text and f"backhaul retry {dead}" in text
    told = json.loads(run("trace", dead, "--json").stdout)
    assert told["stories"][0]["objects"] == [{"kind": "return", "connection": "shop", "id": "R-1"}]


def test_dead_work_is_listed_and_retried_once(run: Run, dead: str) -> None:
    assert dead in run("dead").output
    assert json.loads(run("dead", "--json").stdout)[0]["id"] == dead
    assert f"{dead} is due now" in run("retry", dead).output
    assert "not retried" in run("retry", dead, status=1).output
    assert "nothing is dead" in run("dead").output
    assert json.loads(run("deliveries", "--json", "--state", "ready").stdout)[0]["id"] == dead


def test_what_is_done_is_sent_again_only_with_a_reason(run: Run, ledger: Ledger, dead: str) -> None:
    assert "it is not done" in run("retry", dead, "--again", "--why", "sent back", status=1).output
    run("retry", dead)
    claim(ledger, "b")
    finish(ledger, "b", DeliveryFinish(dead, "done", None))
    assert "not retried" in run("retry", dead, status=1).output
    for wrong in (["--again"], ["--again", "--why", " "], ["--why", "sent back"], ["--call", "1"]):
        assert "why" in run("retry", dead, *wrong, status=2).output
    told = run("retry", dead, "--again", "--why", "the bank sent it back")
    assert told.stdout == f"{dead} is due now, under a new key\n"
    assert "because the bank sent it back" in run("trace", "R-1").output
    assert "made no call 2" in run("retry", dead, "--again", "--why", "x", "--call", "2", status=1).output


def test_a_hub_that_runs_older_files_is_told_of(run: Run, site: Path, ledger: Ledger, dead: str) -> None:
    ledger.keep_site_version("0lder" * 8, {})
    assert "older files" not in run("retry", dead).stderr
    ledger.hold_lease("clock", "here", 60)
    assert "the hub runs older files (0lder0ld since " in run("doctor", status=1).output
    claim(ledger, "b")
    finish(ledger, "b", DeliveryFinish(dead, "dead", None, "no such sku", "data"))
    told = run("retry", dead)
    assert told.stderr.endswith("restart it\n") and told.stdout == f"{dead} is due now\n"
    ledger.keep_site_version(load_site(site, env=ENV).stamp, {})
    assert "older files" not in run("doctor", status=1).output


def test_parked_work_is_released_by_telling_the_number(run: Run, ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, "parked", because="not known yet", waits_for=str(key())))
    assert delivery_id in run("parked").output
    said = run("refs", "set", "order", "#1001", "0000012E4", "--from", "shop", "--to", "erp").output
    assert "order #1001 (shop to erp) is 0000012E4; 1 released" in said
    assert "nothing is parked" in run("parked").output
    [row] = json.loads(run("refs", "show", "1001", "--json").stdout)
    assert (row["to_id"], row["origin"], row["state"]) == ("0000012E4", "manual", "known")


def test_a_reference_that_no_file_knows_is_refused(run: Run, ledger: Ledger) -> None:
    known = "known: order --from shop --to erp"
    assert known in run("refs", "set", "odrer", "1", "2", status=2).output
    assert known in run("refs", "set", "order", "1", "2", "--from", "spoh", status=2).output
    assert "is 2" in run("refs", "set", "order", "1", "2").output


def test_numbers_are_imported_as_they_stand(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text('\ufefffrom,to\n#1,0001\n1e5,"1_000"\n')
    options = ["--kind", "order", "--from", "shop", "--to", "erp"]
    assert "2 taken over; 0 released" in run("refs", "import", str(file), *options).output
    found = {row["id"]: row["to_id"] for row in json.loads(run("refs", "show", "--json").stdout)}
    assert found == {"#1": "0001", "1e5": "1_000"}
    file.write_text("shop,erp\n1,2\n")
    assert "has no columns `from` and `to`" in run("refs", "import", str(file), *options, status=1).output


def test_what_is_in_doubt_is_settled_by_a_person(run: Run, ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    assert "not in doubt" in run("resolve", delivery_id, "delivered", status=1).output
    claim(ledger, "a")
    finish(ledger, "a", later(clock, delivery_id, "in_doubt"))
    assert "settled: delivered" in run("resolve", delivery_id, "delivered").output
    assert "no delivery dlv_x" in run("resolve", "dlv_x", "dead", status=1).output


def test_a_connection_is_paused_and_resumed(run: Run, ledger: Ledger) -> None:
    run("pause", "wms", "--because", "stocktaking")
    assert ledger.lane_state("wms").because == "stocktaking"
    run("resume", "wms")
    assert not ledger.lane_state("wms").paused
    assert "there are shop, wms" in run("pause", "wsm", status=2).output


def test_events_are_listed(run: Run, ledger: Ledger, clock: HandClock) -> None:
    event_id = received(ledger, clock, state="unknown", because="event type 'x' is not known")
    assert event_id in run("events").output
    assert [row["id"] for row in json.loads(run("events", "--state", "unknown", "--json").stdout)] == [event_id]
    assert "no events" in run("events", "--state", "dead").output
    assert "nothing was turned away" in run("events", "--state", "rejected").output


def test_send_without_a_hub_says_so(run: Run, site: Path) -> None:
    (site / "event.json").write_text('{"id": "1", "topic": "label.printed"}')
    assert (
        "no answer from http://127.0.0.1:9"
        in run("send", "shop", "event.json", "--url", "http://127.0.0.1:9", status=1).output
    )
    assert "receives nothing" in run("send", "wms", "event.json", status=2).output


@pytest.mark.parametrize("text", ["abc", "99999", "-1", "80.0"])
def test_a_port_of_the_environment_that_is_none_is_told(text: str) -> None:
    cli = Cli(None, None)
    cli.__dict__["env"] = {"PORT": text}
    with pytest.raises(ConfigError, match="which is no port"):
        cli.port(8080)
    cli.__dict__["env"] = {"PORT": "8081"}
    assert cli.port(8080) == 8081


def test_doctor_names_what_is_wrong_and_ends_with_1(run: Run) -> None:
    text = run("doctor", status=1).output
    assert "there is no ledger yet" in text and "ok    files" in text
    levels = {one["about"]: one["level"] for one in json.loads(run("doctor", "--json", status=1).stdout)}
    assert levels["files"] == "ok" and levels["ledger"] == "fail" and levels["redis"] == "ok"


@pytest.mark.parametrize(
    ("persistent", "words"), [(True, "are kept over"), (False, "are forgotten at"), (None, "unknown whether")]
)
def test_doctor_says_whether_redis_keeps_wake_ups(
    run: Run, monkeypatch: pytest.MonkeyPatch, persistent: bool | None, words: str
) -> None:
    facts = RedisFacts("redis 7 at localhost", private=True, persistent=persistent, evicts=False)
    monkeypatch.setattr("app.adapters.redis_facts.redis_facts", lambda _: facts)
    assert words in run("doctor", status=1, env={"REDIS_URL": "redis://localhost"}).output


def test_a_fault_of_the_hub_is_one_line(run: Run, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.ledger.Ledger.events", lambda *_: 1 / 0)
    assert "a fault of the hub itself: ZeroDivisionError" in run("events", status=1).output
