"""What is done with the lanes "in:…", "out:…" and "poll:…", and how much of it at a time and for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from app.core.polls import PollKey, PollWork
from app.core.site import Site
from app.pipeline.engine_ports import Delivers, EngineLedger, PollLedger, Polls, Reads
from app.pipeline.hand import Trade
from app.pipeline.lane import Pace


def reading(ledger: EngineLedger, reader: Reads) -> Trade:
    """What is done with lanes "in:…"."""
    return Trade(
        ledger.claim_events,
        attrgetter("event_id"),
        _only_reads(reader.read),
        reader.failed,
        reader.commit,
        ledger.hand_back,
        ledger.renew,
        ledger.give_way,
    )


def delivering(ledger: EngineLedger, deliverer: Delivers) -> Trade:
    """What is done with lanes "out:…"."""
    return Trade(
        deliverer.claim,
        attrgetter("delivery_id"),
        deliverer.deliver,
        deliverer.failed,
        deliverer.commit,
        ledger.hand_back,
        ledger.renew,
        ledger.give_way,
    )


def polling(ledger: PollLedger, poller: Polls) -> Trade:
    """What is done with lanes "poll:…"."""

    def identify(work: PollWork) -> str:
        return str(work.key)

    def hand_back(token: str, keys: Sequence[str]) -> object:
        return ledger.hand_back_polls(token, [PollKey.of(key) for key in keys])

    return Trade(
        poller.claim,
        identify,
        _only_reads(poller.poll),
        poller.failed,
        poller.commit,
        hand_back,
        ledger.renew_polls,
        ledger.give_way,
    )


def pace_of(site: Site, lane: str) -> Pace:
    """How much of a lane is worked on at a time, and for how long its work is claimed."""
    connection = site.connections.get(lane.partition(":")[2])
    most = connection.limits.concurrency if connection else site.hub.threads
    return Pace(min(most, site.hub.threads), site.hub.lease_s)


def _only_reads(carry_out: Callable[[Any], Any]) -> Callable[[Any, Callable[[], bool]], Any]:
    """It changes nothing outside: what it finds out is turned away with the lost lease, and that is enough."""
    return lambda work, _held: carry_out(work)
