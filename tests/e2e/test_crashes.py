"""Processes die at the worst moment: nothing is lost, nothing happens twice, and work goes on by itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import redis

from tests.e2e.stack import ROOT, Stack, free_port, wait_for
from tests.e2e.test_main_job import announced, spec, wait_announced


def know(stack: Stack, *orders: str) -> None:
    """Let the ERP know these orders."""
    stack.erp.post("/_sim/seed", {"orders": [{"number": f"E-{one}", "externalNumber": one} for one in orders]})


def sent(stack: Stack, name: str) -> list[dict[str, Any]]:
    """Every announcement request of a return, also those without effect."""
    return [r for r in stack.wms.requests("announce_return") if r["body"]["rmaNumber"].startswith(f"ro-{name}")]


def test_a_worker_killed_while_the_warehouse_works_leaves_one_announcement(fresh_stack: Stack) -> None:
    stack = fresh_stack
    know(stack, "k1")
    stack.wms.misbehave("announce_return", "slow", times=1, seconds=2.0)
    stack.seed_return(**spec("k1", "k1"))
    stack.send_label("k1-p1")
    wait_for("the request at the warehouse", lambda: sent(stack, "k1"))
    stack.kill("worker")
    stack.start("worker")
    wait_for("the second try", lambda: [r for r in sent(stack, "k1")[1:] if r["ended_at"]], 30)
    assert [bool(r["effect"]) for r in sent(stack, "k1")] == [True, False]
    assert len({r["headers"]["Idempotency-Key"] for r in sent(stack, "k1")}) == 1
    wait_for("done", lambda: stack.deliveries(state="done"))


def test_a_worker_killed_in_the_middle_of_a_burst_leaves_each_return_announced_once(fresh_stack: Stack) -> None:
    stack = fresh_stack
    names = [f"b{number:03d}" for number in range(60)]
    know(stack, *names)
    for name in names:
        stack.seed_return(**spec(name, name))
    stack.wms.misbehave("announce_return", "slow", times=None, seconds=0.05)
    for number, name in enumerate(names):
        assert stack.send_label(f"{name}-p1") == [200]
        if number % 20 == 10:
            stack.kill("worker")
            stack.start("worker")
    wait_for("all announced", lambda: len(stack.announcements()) >= len(names), 60)
    wait_for("all done", lambda: len(stack.deliveries(state="done", limit=500)) == len(names), 30)
    rmas = [body["rmaNumber"] for body in stack.announcements()]
    assert len(rmas) == len(set(rmas)) == len(names)


def test_a_single_web_process_serves_by_itself_and_ends_when_told(fresh_stack: Stack) -> None:
    stack = fresh_stack
    web = stack.processes["web"]
    if sys.platform.startswith("linux"):
        assert not Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text()
    stack.kill("web", signal.SIGTERM)
    assert web.returncode == 0


def test_a_worker_gives_way_to_the_door_where_it_does_not_hold_its_lock(stack: Stack, hub_ledger_url: str) -> None:
    level = {name: os.getpriority(os.PRIO_PROCESS, stack.processes[name].pid) for name in ("web", "clock", "worker")}
    usual = level["web"]
    assert level["worker"] == (usual if hub_ledger_url.startswith("sqlite") else max(usual, 10))
    assert level["clock"] == usual


def test_a_web_process_killed_under_load_loses_nothing_that_it_answered(fresh_stack: Stack) -> None:
    stack = fresh_stack
    names = [f"w{number:02d}" for number in range(30)]
    know(stack, *names)
    for name in names:
        stack.seed_return(**spec(name, name))
    answered = 0
    for number, name in enumerate(names):
        if number == 15:
            stack.kill("web")
            assert stack.send_label(f"{name}-p1") == [0]
            stack.start("web")
            stack.wait_ready()
        # As a vendor does: again until it is answered.
        statuses = wait_for("an answer", lambda name=name: (s := stack.send_label(f"{name}-p1")) == [200] and s)
        answered += len(statuses)
    assert answered == len(names)
    wait_for("all announced", lambda: len(stack.announcements()) >= len(names), 60)
    rmas = [body["rmaNumber"] for body in stack.announcements()]
    assert len(rmas) == len(set(rmas)) == len(names)


def test_without_redis_events_are_taken_and_done_once_it_is_back(fresh_stack: Stack) -> None:
    stack = fresh_stack
    know(stack, "r1", "r2")
    for name in ("r1", "r2"):
        stack.seed_return(**spec(name, name))
    stack.kill("redis")
    assert stack.send_label("r1-p1") == [200]
    assert stack.get_status("/readyz") == 200
    stack.start("redis")
    if stack.processes["worker"].poll() is not None:
        stack.start("worker")
    wait_announced(stack, "r1", seconds=30)
    redis.Redis.from_url(stack.env["REDIS_URL"]).flushall()
    assert stack.send_label("r2-p1") == [200]
    wait_announced(stack, "r2", seconds=30)


def test_a_dead_clock_is_not_ready_and_a_second_one_takes_over(fresh_stack: Stack) -> None:
    stack = fresh_stack
    stack.start("clock-2")
    stack.kill("clock")
    know(stack, "c1")
    stack.wms.misbehave("announce_return", "503", times=2)
    stack.seed_return(**spec("c1", "c1"))
    stack.send_label("c1-p1")
    wait_announced(stack, "c1", seconds=30)
    stack.kill("clock-2")
    wait_for("not ready", lambda: stack.get_status("/readyz") == 503)
    assert stack.get_status("/healthz") == 200


def test_a_dead_target_does_not_fail_readiness_and_comes_back_by_itself(fresh_stack: Stack) -> None:
    stack = fresh_stack
    know(stack, "d1")
    stack.wms.misbehave("announce_return", "drop_before_apply", times=6)
    stack.seed_return(**spec("d1", "d1"))
    stack.send_label("d1-p1")
    wait_for("tries", lambda: len(sent(stack, "d1")) >= 2)
    assert stack.get_status("/readyz") == 200
    assert len(wait_announced(stack, "d1", seconds=40)) == 1


def test_an_answer_lost_after_the_effect_is_not_an_effect_twice(fresh_stack: Stack) -> None:
    stack = fresh_stack
    know(stack, "a1")
    stack.wms.misbehave("announce_return", "drop", times=1)
    stack.seed_return(**spec("a1", "a1"))
    stack.send_label("a1-p1")
    wait_for("done", lambda: stack.deliveries(state="done"))
    assert [bool(r["effect"]) for r in sent(stack, "a1")] == [True, False]
    assert len(announced(stack, "a1")) == 1


def test_sigterm_lets_a_worker_finish_what_it_has_in_hand(fresh_stack: Stack) -> None:
    stack = fresh_stack
    know(stack, "t1")
    stack.wms.misbehave("announce_return", "slow", times=1, seconds=1.5)
    stack.seed_return(**spec("t1", "t1"))
    stack.send_label("t1-p1")
    wait_for("the request at the warehouse", lambda: sent(stack, "t1"))
    stack.kill("worker", signal.SIGTERM)
    (row,) = stack.deliveries()
    assert row["state"] == "done"
    assert len(sent(stack, "t1")) == 1


def test_up_starts_all_with_its_own_redis_and_restarts_what_dies(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    env = {key: value for key, value in stack.env.items() if key not in ("REDIS_URL", "DATABASE_URL")}
    port = free_port()
    stack.url = f"http://127.0.0.1:{port}"
    log = (tmp_path / "up.log").open("wb")
    command = [sys.executable, "-m", "app.cli", "up", "--port", str(port)]
    up = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        stack.wait_ready()
        know(stack, "u1")
        stack.seed_return(**spec("u1", "u1"))
        stack.send_label("u1-p1")
        wait_announced(stack, "u1")
        subprocess.run(["pkill", "-9", "-P", str(up.pid)], check=True)
        stack.wait_ready()
        know(stack, "u2")
        stack.seed_return(**spec("u2", "u2"))
        wait_for("an answer", lambda: stack.send_label("u2-p1") == [200])
        wait_announced(stack, "u2", seconds=40)
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0, (tmp_path / "up.log").read_text()
    finally:
        up.kill()
        stack.stop()


def test_a_ledger_that_cannot_be_written_is_a_503_and_never_a_false_yes(fresh_stack: Stack) -> None:
    stack = fresh_stack
    know(stack, "l1")
    stack.seed_return(**spec("l1", "l1"))
    with closing(sqlite3.connect(stack.folder / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert stack.send_label("l1-p1") == [503]
        other.execute("ROLLBACK")
    wait_for("an answer", lambda: stack.send_label("l1-p1") == [200])
    assert len(wait_announced(stack, "l1", seconds=30)) == 1
