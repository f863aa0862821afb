"""A backup is taken while events flow, and put back after more has happened: every effect happens once all the same."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from app.adapters.ledger import open_ledger, schema_state
from tests.contract.making import deliver, received
from tests.e2e.stack import Stack, running_stack, wait_for
from tests.e2e.test_crashes import know
from tests.e2e.test_main_job import spec
from tests.postgres import Cluster
from tests.support import HandClock

#: So many returns at least before the backup, and after it.
MORE = 15


@pytest.fixture(params=["sqlite", "postgresql"])
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stack, str]]:
    """A running hub, and the URL of the database into which its ledger is put back."""
    if request.param == "sqlite":
        with running_stack(tmp_path) as stack:
            yield stack, stack.env["DATABASE_URL"]
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with cluster.copy("template0") as url, cluster.copy("template0") as other, running_stack(tmp_path, url) as stack:
        yield stack, other
        stack.stop()


def test_what_was_called_after_the_backup_is_not_called_again(loaded: tuple[Stack, str]) -> None:
    stack, back = loaded
    # Slow enough for some to be under way at any moment.
    stack.wms.misbehave("announce_return", "slow", times=None, seconds=0.3)
    names: list[str] = []
    backed_up = Event()

    def send() -> None:
        more = MORE
        while more:
            more -= backed_up.is_set()
            name = f"s{len(names):03d}"
            know(stack, name)
            stack.seed_return(**spec(name, name))
            assert stack.send_label(f"{name}-p1") == [200]
            names.append(name)

    sender = Thread(target=send)
    sender.start()
    try:
        wait_for("events flow", lambda: len(names) >= MORE and len(stack.announcements()) >= 5)
        told = stack.cli("backup", str(stack.folder / "backup"))
        at_backup = len(stack.announcements())
    finally:
        backed_up.set()
        sender.join()
    wait_for("all announced", lambda: len(stack.announcements()) == len(names), 60)
    assert "events" in told and at_backup < len(names)
    for name in ("web", "clock", "worker"):
        stack.kill(name, signal.SIGTERM)
    replace = ["--replace"] if back == stack.env["DATABASE_URL"] else []
    stack.env["DATABASE_URL"] = back
    said = stack.cli("restore", str(stack.folder / "backup"), *replace)
    assert "ask the vendor to send its webhooks again: returnista_eu" in said
    stack.start("web", "clock", "worker")
    stack.wait_ready()
    for name in names:
        assert stack.send_label(f"{name}-p1") == [200]
    done = wait_for(
        "all done", lambda: len(rows := stack.deliveries(state="done", limit=500)) == len(names) and rows, 60
    )
    assert len(stack.deliveries(limit=500)) == len(done)
    rmas = [body["rmaNumber"] for body in stack.announcements()]
    assert len(rmas) == len(set(rmas)) == len(names)
    # The simulator knows its returns again, whatever the key: here nothing was even tried twice.
    posts = [one["body"]["rmaNumber"] for one in stack.wms.requests("announce_return")]
    keys = {
        (one["body"]["rmaNumber"], one["headers"]["Idempotency-Key"]) for one in stack.wms.requests("announce_return")
    }
    assert len(keys) == len(set(posts))
    assert "sound" in stack.cli("ledger", "verify")
    assert "restore" in stack.cli("audit")


def test_a_move_killed_again_and_again_comes_to_its_end_and_the_hub_goes_on_there(
    fresh_stack: Stack, postgres: Cluster
) -> None:
    stack = fresh_stack
    know(stack, "m1", "m2")
    for name in ("m1", "m2"):
        stack.seed_return(**spec(name, name))
    stack.send_label("m1-p1")
    wait_for("done", lambda: stack.deliveries(state="done"))
    source = stack.env["DATABASE_URL"]
    clock = HandClock()
    ledger = open_ledger(source, clock=clock)
    for number in range(600):
        received(ledger, clock, connection="returnista_eu", vendor_id=f"old {number}", state="ignored")
    for number in range(50):
        deliver(ledger, clock, object_id=f"old-{number}", lane="nowhere")
    ledger.close()
    with postgres.copy("template0") as target:
        path = source.removeprefix("sqlite:///")
        env = {**stack.env, "DATABASE_URL": target}
        command = [sys.executable, "-m", "app.cli", "import", "--from", path]
        refused = subprocess.run(command, cwd=stack.folder, env=env, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 1 and "stop the hub" in refused.stderr
        for name in ("web", "clock", "worker"):
            stack.kill(name, signal.SIGTERM)
        kills = 0
        for after in range(1, 40):
            process = subprocess.Popen(
                command, cwd=stack.folder, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stderr is not None
            # So many signs of progress further than the last time.
            read = process.stderr.read(400 * after)
            if len(read) < 400 * after:
                assert process.wait(60) == 0, read
                break
            process.kill()
            process.wait(60)
            kills += 1
            assert schema_state(source) == "moved"
        assert kills >= 2 and schema_state(target) == "current"
        assert "moved to another database" in stack.cli("migrate", check=False)
        stack.env["DATABASE_URL"] = target
        stack.start("web", "clock", "worker")
        stack.wait_ready()
        assert stack.send_label("m1-p1") == [200]
        assert stack.send_label("m2-p1") == [200]
        wait_for("the second", lambda: len(stack.announcements()) == 2)
        wait_for("both", lambda: len(stack.deliveries(state="done")) == 2)
        assert "sound" in stack.cli("ledger", "verify")
        stack.stop()
