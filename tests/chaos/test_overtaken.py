"""A worker stands still, first calls made and not written; the one that took them over dies at the second ones."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaos import faults
from chaos.faults import Planned
from chaos.plan import Options, Recorded, SourcePlan
from chaos.sources import fulfillment_returns
from chaos.stage import Stage

_POSTGRES = bool(os.environ.get("CHAOS_POSTGRES"))
_FIRST, _SECOND = "get_fulfillment_order", "list_refunds"
#: Shorter than the hub waits for an answer.
_SLOW_S = 2.0
_LEASE_S = 4.0
#: So much later a worker has read an answer and tries to write what came of it.
_SOON_S = 0.5


@pytest.mark.chaos
def test_no_call_is_taken_for_made_that_was_not(tmp_path: Path) -> None:
    made = fulfillment_returns.plan(random.Random(4), 40, "T", 1.0)
    options = Options(seed=1, events=0, seconds=0, faults=(), postgres=_POSTGRES)
    with Stage(tmp_path, options, hub={"lease": f"{_LEASE_S:g}s"}) as stage:
        _away(stage, "worker-2")
        stage.misbehave("refunds", _FIRST, "slow", seconds=_SLOW_S)
        _send(stage, made)
        stage.until("first calls are under way", lambda: _under_way(stage, _FIRST), 40)
        lock = faults.make(Planned(0.0, "ledger_lock", {}))
        lock.begin(stage)
        stage.until("they are answered", lambda: not _under_way(stage, _FIRST), 20)
        time.sleep(_SOON_S)
        stage.kill("worker-1", signal.SIGSTOP)
        lock.end(stage)
        stage.misbehave_no_more("refunds", _FIRST, "slow")
        stage.misbehave("refunds", _SECOND, "slow", seconds=_SLOW_S)
        stage.keeper.release("worker-2")
        stage.until("somebody else is at a second call", lambda: _under_way(stage, _SECOND), 60)
        _away(stage, "worker-2")
        # Nobody holds what he held any more.
        time.sleep(_LEASE_S + 1.0)
        stage.misbehave_no_more("refunds", _SECOND, "slow")
        stage.kill("worker-1", signal.SIGCONT)
        stage.keeper.release("worker-2")
        everything = frozenset(message.event_id for message in made.messages)
        stage.until("all is paid, and nothing more", lambda: not made.check(_paid(stage, made), everything), 60)


def _away(stage: Stage, worker: str) -> None:
    stage.keeper.hold(worker)
    stage.kill(worker)
    stage.until(f"{worker} is away", lambda: not stage.keeper.pid(worker), 10)


def _send(stage: Stage, made: SourcePlan) -> None:
    for ask in made.seeds:
        stage.control(ask.simulator, ask.path, ask.value)
    for message in made.messages:
        for ask in message.before:
            stage.control(ask.simulator, ask.path, ask.value)
        url, headers = f"{stage.hub_url}/webhooks/{message.source}", dict(message.headers(datetime.now(UTC)))
        assert stage.http.post(url, data=message.body, headers=headers, timeout=10).status_code == 202


def _under_way(stage: Stage, operation: str) -> int:
    return sum(one.operation == operation and not one.ended_at for one in stage.recorded("refunds"))


def _paid(stage: Stage, made: SourcePlan) -> list[Recorded]:
    return [one for one in stage.recorded("refunds") if one.effect and made.owns(one)]
