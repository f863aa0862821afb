"""What the engine needs of the world, as small protocols. The adapters fulfil them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from app.core.connectors import Connection
from app.core.lane_state import LaneState
from app.core.polls import PollFinish, PollKey, PollWork
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.model import DeliveryWork, EventWork, NoResponse, Receipt, Received, Request, Response
from app.pipeline.checkup import CheckedLedger
from app.pipeline.ports import PipelineLedger, Transaction
from app.pipeline.retention import ForgetfulLedger


class GateLedger(Protocol):
    """The part of the ledger that says whether and how hard a connection may be called, for all processes alike."""

    def lane_state(self, connection: str, /) -> LaneState:
        """The connection's state; a fresh one when nothing is known."""

    def save_lane(self, state: LaneState, before: LaneState, /) -> None:
        """Keep what changed since `before` of the breaker's part of the state; whether it is paused is not touched."""

    def pause(self, connection: str, because: str, who: str, /) -> None:
        """Stop calling a connection until somebody resumes it."""

    def take_trial(self, connection: str, lease_s: float, /) -> bool:
        """Whether this caller may make the one trial call of a breaker that was open."""

    def take_tokens(self, connection: str, rate_per_s: float, want: int, /) -> tuple[int, float]:
        """How many calls may be made now, up to `want`; and when none, seconds until the next."""

    def take_permits(self, connection: str, holder: str, cap: int, want: int, lease_s: float, /) -> int:
        """Hold up to `want` of the connection's `cap` calls at the same time; how many are held now."""

    def release_permits(self, connection: str, holder: str, /) -> None:
        """Hold none any more."""


class EngineLedger(GateLedger, Protocol):
    """The part of the ledger that the engine claims from."""

    def claim_events(self, connection: str, limit: int, lease_s: float, token: str, /) -> Sequence[EventWork]:
        """Up to `limit` due events of a connection, now held by the token until the lease ends."""

    def claim_deliveries(self, connection: str, limit: int, lease_s: float, token: str, /) -> Sequence[DeliveryWork]:
        """Up to `limit` due deliveries whose current call goes to a connection, held likewise."""

    def renew(self, token: str, lease_s: float, /) -> object:
        """Move the end of the lease of all that the token holds."""

    def hand_back(self, token: str, ids: Sequence[str], /) -> object:
        """Give claimed work back, untried: due now, the attempt not counted."""

    def give_way(self) -> None:
        """Wait until no other thread of this process writes."""


class SealedLedger(Protocol):
    """The part of the ledger that seals what was done."""

    def seal_marks(self) -> dict[str, int]:
        """Where each sealed table, and what is being written, stands now."""

    def settled(self, marks: dict[str, int], /) -> bool:
        """Whether nothing can come in below these marks any more."""

    def seal(self, marks: dict[str, int], /) -> int:
        """Seal some rows up to these marks; how many."""


class ClockLedger(SealedLedger, ForgetfulLedger, CheckedLedger, Protocol):
    """The part of the ledger that the clock looks at."""

    def hold_lease(self, name: str, holder: str, seconds: float, /) -> bool:
        """Take or renew a named lease; False while somebody else holds it."""

    def due_lanes(self) -> list[str]:
        """The lanes with work that can be claimed now, without those that may not be called."""

    def mend_times(self, lease_s: float, /) -> int:
        """Bring forward what was written by a clock that has been put back since; how many rows that was."""


class WakesLanes(Protocol):
    """Wakes lanes in other processes. Raises `QueueUnavailable`."""

    def wake(self, lane: str, n: int = 1, *, force: bool = False) -> bool:
        """Have workers drain the lane; False when it was woken already and nobody has come yet."""


class TakesWakes(WakesLanes, Protocol):
    """Also takes wake-ups. Raises `QueueUnavailable`."""

    def hold(self, lane: str, /) -> None:
        """Keep a lane that was woken from being woken again, for half a minute or until this process lets go of it."""

    def let_go(self, lane: str, /) -> None:
        """From now on the lane can be woken again, unless another process holds it."""

    def listen(self, heard: Callable[[str], object], ended: threading.Event, /) -> None:
        """Call `heard` with each lane that is woken although somebody holds it, until `ended` is set."""

    def work(self, on_stop: Callable[[], None], /) -> bool:
        """Take wake-ups until asked to stop (True) or until Redis is gone (False)."""


class SendsHttp(Protocol):
    """Sends a request and never raises for what the network does."""

    def send(
        self,
        connection: Connection,
        request: Request,
        timeout_s: float,
        credentials: Mapping[str, str] | None = None,
        /,
    ) -> Response | NoResponse:
        """The whole answer, or why there is none. `credentials` are headers that a login gave."""


class KeepsTokens(Protocol):
    """What the workers share of their logins. Every method raises `QueueUnavailable`."""

    def get(self, key: str, /) -> str | None:
        """What is kept under a key."""

    def put(self, key: str, value: str, seconds: float, /) -> None:
        """Keep a value for so long."""

    def lock(self, key: str, owner: str, seconds: float, /) -> bool:
        """Whether the owner may go on alone now."""

    def unlock(self, key: str, owner: str, /) -> None:
        """Let the next one go on."""


class Reads(Protocol):
    """Reads claimed events."""

    def read(self, work: EventWork, /) -> Any:
        """Read one, in a pool thread."""

    def failed(self, work: EventWork, error: Exception, /) -> Any:
        """What to write when reading raised."""

    def commit(self, token: str, results: Sequence[Any], /) -> list[str]:
        """Write many; the lanes that got work."""


class Delivers(Protocol):
    """Carries out deliveries."""

    def claim(self, connection: str, limit: int, lease_s: float, token: str, /) -> Sequence[DeliveryWork]:
        """Claim due ones, with what the ledger knows of their numbers."""

    def deliver(self, work: DeliveryWork, held: Callable[[], bool], /) -> Any:
        """Try one, in a strand; `held` tells whether its lease still holds."""

    def failed(self, work: DeliveryWork, error: Exception, /) -> Any:
        """What to write when delivering raised."""

    def commit(self, token: str, finishes: Sequence[Any], /) -> list[str]:
        """Write many; the lanes that got work."""


class Polls(Protocol):
    """Reads claimed polls."""

    def claim(self, connection: str, limit: int, lease_s: float, token: str, /) -> Sequence[PollWork]:
        """Claim due ones."""

    def poll(self, work: PollWork, /) -> Any:
        """Read one, in a pool thread."""

    def failed(self, work: PollWork, error: Exception, /) -> Any:
        """What to write when reading raised."""

    def commit(self, token: str, results: Sequence[Any], /) -> list[str]:
        """Keep what came, and write where they stand; the lanes that got work."""


class PollLedger(Protocol):
    """The part of the ledger that knows the polls."""

    def claim_polls(self, connection: str, limit: int, lease_s: float, token: str, /) -> Sequence[PollWork]:
        """Up to `limit` due polls of a connection, now held by the token until the lease ends."""

    def renew_polls(self, token: str, lease_s: float, /) -> object:
        """Move the end of the lease of all that the token holds."""

    def hand_back_polls(self, token: str, keys: Collection[PollKey], /) -> object:
        """Give claimed polls back, untried."""

    def give_way(self) -> None:
        """Wait until no other thread of this process writes."""

    def receive(self, receipts: Sequence[Receipt], /) -> Sequence[Received]:
        """Keep messages, each once; answers in the same order."""

    def write(self) -> AbstractContextManager[PollTransaction]:
        """A transaction: committed at the end of the block, rolled back when it raises."""


class PollTransaction(Protocol):
    """The part of a transaction that polls write."""

    def finish_polls(self, token: str, finishes: Sequence[PollFinish]) -> set[PollKey]:
        """Write what became of claimed polls; the keys of those that the token still held."""

    def count(self, amounts: Mapping[tuple[str, str], float], shard: str) -> None:
        """Add to counters: {(name, labels as JSON): amount}."""


class WorkerTransaction(Transaction, PollTransaction, Protocol):
    """All that a worker writes in one transaction."""


class WorkerLedger(EngineLedger, PollLedger, PipelineLedger, Protocol):
    """All that a worker process needs of the ledger."""

    def write(self) -> AbstractContextManager[WorkerTransaction]:
        """A transaction: committed at the end of the block, rolled back when it raises."""

    def keep_polls(self, on: Mapping[PollKey, float], /) -> None:
        """These polls are on, each with how often it looks in seconds; all others are off from now."""

    def keep_site_version(self, stamp: str, files: Mapping[str, str], /) -> None:
        """Keep the files that this process works by, once for each stamp."""


class CallingServices(Protocol):
    """What every process that makes calls is given, beside its ledger."""

    @property
    def site(self) -> Site:
        """The compiled files."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def ids(self) -> Ids:
        """New ids."""

    @property
    def http(self) -> SendsHttp:
        """The way out."""

    @property
    def tokens(self) -> KeepsTokens | None:
        """Where processes share the tokens of their logins; None: each logs in for itself."""

    @property
    def hide(self) -> Callable[[str, str], object]:
        """Tells the log, for a connection, of a secret that came later."""


class WorkerServices(CallingServices, Protocol):
    """What a worker process is given."""

    @property
    def ledger(self) -> WorkerLedger:
        """The ledger."""

    @property
    def wakes(self) -> TakesWakes | None:
        """The queue."""

    def close(self) -> None:
        """Let go of connections."""


class ClockServices(Protocol):
    """What a clock process is given."""

    @property
    def site(self) -> Site:
        """The compiled site."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def ids(self) -> Ids:
        """New ids."""

    @property
    def ledger(self) -> ClockLedger:
        """The ledger."""

    @property
    def wakes(self) -> WakesLanes | None:
        """The queue."""

    def close(self) -> None:
        """Let go of connections."""


#: When a connection that may not be called now is worth another look; None = when somebody resumes it.
Until = datetime | None
