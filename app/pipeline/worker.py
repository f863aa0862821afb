"""A worker process: RQ hands it wake-ups, its engine drains the lanes."""

from __future__ import annotations

import os
import random
import socket

import structlog

from app.core.polls import PollKey
from app.core.site import Site
from app.pipeline.call import Caller
from app.pipeline.deliver import Deliverer
from app.pipeline.dispatch import Engine
from app.pipeline.engine_ports import WorkerServices
from app.pipeline.gates import Gates
from app.pipeline.poll import Poller
from app.pipeline.read import Reader
from app.pipeline.tokens_login import Logins
from app.pipeline.trades import delivering, polling, reading
from app.pipeline.waits import Waits

log = structlog.get_logger()

#: Work under way at SIGTERM gets so long, in seconds; what is not done by then is left to its lease.
FINISH_S = 25.0
#: Counters are kept in so many rows, so that workers do not queue for one.
_SHARDS = 16

_engine: Engine | None = None


def current_engine() -> Engine:
    """The engine of this worker process. Raises RuntimeError in any other process."""
    if _engine is None:
        raise RuntimeError("no engine runs in this process: wake-ups belong to `backhaul worker`")
    return _engine


def build_engine(services: WorkerServices) -> Engine:
    """The engine of this process, with the steps of the pipeline; not started."""
    site, ledger, clock, ids = services.site, services.ledger, services.clock, services.ids
    rng = random.Random()
    shard = f"worker {os.getpid() % _SHARDS}"
    holder = f"{socket.gethostname()}:{os.getpid()}:{ids.new('wrk')}"
    gates = build_gates(site, services, holder)
    caller = build_caller(services, gates)
    waits = Waits(site.hub, clock, rng)
    reader = Reader(site, ledger, caller, clock, ids, waits, shard)
    deliverer = Deliverer(site, ledger, caller, clock, ids, waits, shard)
    poller = Poller(site, ledger, caller, gates, clock, ids, waits, shard)
    trades = {"in": reading(ledger, reader), "out": delivering(ledger, deliverer), "poll": polling(ledger, poller)}
    return Engine(site, gates, trades, clock, ids, services.wakes, rng)


def build_caller(services: WorkerServices, gates: Gates) -> Caller:
    """What makes the calls of this process."""
    logins = Logins(services.http, services.clock, services.tokens, services.hide)
    return Caller(services.site, gates, services.http, services.clock, logins)


def polls_on(site: Site) -> dict[PollKey, float]:
    """The polls that the files have on, each with how often it looks, in seconds."""
    return {
        PollKey(connection.name, name): every_s
        for connection in site.connections.values()
        for name, every_s in connection.polls.items()
    }


def build_gates(site: Site, services: WorkerServices, holder: str) -> Gates:
    """The gates to the site's connections."""
    limits = {name: connection.limits for name, connection in site.connections.items()}
    return Gates(limits, site.hub.breaker, services.ledger, services.clock, holder)


def run_worker(services: WorkerServices) -> None:
    """Take wake-ups until SIGTERM or SIGINT, then finish what is in hand and hand back the rest.

    Ends the process with 1 when Redis was away for too long; what is in hand is finished first. Must run in the main
    thread: it takes signals.
    """
    assert services.wakes is not None, "a worker needs Redis"
    services.ledger.keep_site_version(services.site.stamp, services.site.files)
    services.ledger.keep_polls(polls_on(services.site))
    engine = build_engine(services)
    engine.start()
    global _engine
    _engine = engine
    log.info("worker.started", stamp=services.site.stamp[:12], pid=os.getpid())
    asked = False
    try:
        asked = services.wakes.work(engine.pause_claims)
    finally:
        finished = engine.stop(FINISH_S)
        services.close()
    log.info("worker.ended", asked=asked, finished=finished)
    if not asked:
        raise SystemExit(1)
