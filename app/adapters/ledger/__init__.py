"""The ledger: the record of everything, in SQLite or PostgreSQL. Whatever is not final in it has a `due_at`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Connection

from app.adapters.ledger import engine, statements
from app.adapters.ledger.acts import Acting
from app.adapters.ledger.api_tokens import ApiTokens
from app.adapters.ledger.bridge_answers import BridgeAnswers
from app.adapters.ledger.claims import Claiming
from app.adapters.ledger.engine import Database, sqlite_is_safe, sqlite_version
from app.adapters.ledger.erasing import Erasing
from app.adapters.ledger.facts import Facts
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.lanes import Lanes
from app.adapters.ledger.mending import Mending
from app.adapters.ledger.migrate import SchemaState, migrate, need_current, refuse, schema_state, state_of
from app.adapters.ledger.polls import Polling, PollWriting
from app.adapters.ledger.queries import Queries
from app.adapters.ledger.receipts import Receiving
from app.adapters.ledger.references import Referring
from app.adapters.ledger.restoring import Restoring
from app.adapters.ledger.retaining import Retaining
from app.adapters.ledger.sending_again import SendingAgain
from app.adapters.ledger.setting_references import SettingReferences
from app.adapters.ledger.sharing import Sharing
from app.adapters.ledger.soundness import CHECKS, Verifying
from app.adapters.ledger.story import Stories, StoryRows
from app.adapters.ledger.tasks import Tasks, TaskWriting
from app.adapters.ledger.transaction import ObjectKey, bounded_key, lasts
from app.core.ports import Clock
from app.errors import ConfigError, LedgerUnavailable, Outdated

__all__ = [
    "CHECKS",
    "Ledger",
    "SchemaState",
    "StoryRows",
    "Transaction",
    "migrate",
    "need_current",
    "open_ledger",
    "prepare",
    "refuse",
    "schema_state",
    "sqlite_is_safe",
    "sqlite_version",
]


#: How long to wait for others who write, in seconds.
_BUSY_S = 5.0
#: Clocks are put right by a little all the time.
_JUMP_MS = 1_000


class Transaction(Finishing, TaskWriting, PollWriting):
    """One transaction of the ledger: all of it is written, or none.

    It begins when something is first read or written: what can be made ready before that keeps nobody waiting.
    """

    def __init__(self, db: Database, begin: Callable[[], tuple[Connection, int]], now: Callable[[], int]) -> None:
        """`begin` gives the connection and the time of what is written, `now` that of what is foreseen, in ms."""
        super().__init__(db)
        self._begin, self._clock_ms = begin, now
        self._foreseen: dict[ObjectKey, int] = {}  # the number of each object's last document

    def foresee(self, keys: Iterable[ObjectKey]) -> None:
        """Learn of these objects before the transaction begins: what follows from that then keeps nobody waiting.

        To be called first. When one of them has changed by the time at which the transaction begins, whatever begins
        it raises `Outdated`. Does nothing on PostgreSQL, where only who writes the same objects waits.
        """
        fresh = {bounded_key(key) for key in keys}
        if self._db.dialect == "postgresql" or not fresh:
            return
        self._now = self._clock_ms()
        with self._db.read() as connection:
            self._learn(connection, fresh)
        self._foreseen = {key: self._objects[key].last for key in fresh}

    def __getattr__(self, name: str) -> Any:
        if name not in ("_connection", "_now"):
            raise AttributeError(name)
        self._connection, now = self._begin()
        self.__dict__.setdefault("_now", now)
        if self._foreseen and lasts(self._connection, self._foreseen.keys()) != self._foreseen:
            raise Outdated("one of these objects was written meanwhile")
        return self.__dict__[name]


class Ledger(
    Receiving,
    Claiming,
    Lanes,
    Referring,
    Sharing,
    Acting,
    SendingAgain,
    SettingReferences,
    ApiTokens,
    Queries,
    Erasing,
    Stories,
    Tasks,
    Polling,
    BridgeAnswers,
    Mending,
    Restoring,
    Facts,
    Retaining,
    Verifying,
):
    """The ledger. One per process, shared by its threads. Every method may raise `LedgerUnavailable`."""

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction: committed at the end of the block, rolled back when it raises. Transactions do not nest.

        Also refused when the clock was put back while it waited for its turn: what is to be written names times from
        before.
        """
        before = self._offset()
        with ExitStack() as open_:

            def begin() -> tuple[Connection, int]:
                connection = open_.enter_context(self._db.write())
                now = self._now()
                if self._offset() < before - _JUMP_MS:
                    raise LedgerUnavailable("the clock was put back while the ledger was waited for")
                return connection, now

            transaction = Transaction(self._db, begin, self._now)
            yield transaction
            transaction.flush()

    def _offset(self) -> int:
        return self._now() - round(self._clock.monotonic() * 1000)

    def give_way(self) -> None:
        """Wait until no other thread of this process writes; to be called before something is begun that can wait.

        On SQLite all processes wait for the one that writes: it should not wait for the interpreter.
        """
        self._db.give_way()

    def ping(self) -> None:
        """Raises `LedgerUnavailable` when the ledger does not answer."""
        engine.ping(self._db)

    def close(self) -> None:
        """Let go of all connections."""
        self._db.close()


def prepare(url: str) -> None:
    """Make ready what the processes that are forked from this one need: they share it. Holds no connection after it.

    Raises `ConfigError`, `LedgerUnavailable`.
    """
    for works in (False, True):
        db = Database(url, _BUSY_S, stands_back=works)
        try:
            with db.read() as connection:
                statements.prepare(connection.dialect)
            with db.write():
                pass
        finally:
            db.close()


def open_ledger(
    url: str, *, clock: Clock, busy_timeout_s: float = _BUSY_S, wary: bool = False, stands_back: bool = False
) -> Ledger:
    """The ledger at a database URL (sqlite:///path or postgresql://…), migrated before by `migrate`.

    `busy_timeout_s` is how long to wait for others before `LedgerUnavailable`. `wary` takes nothing from who may
    still work on it before half a lease is over. With `stands_back` other processes write first, most of the time.

    Raises `ConfigError` when the URL or the tables do not fit, `LedgerUnavailable` when the database cannot be reached.
    """
    db = Database(url, busy_timeout_s, stands_back=stands_back)
    try:
        state = state_of(db)
        if state != "current":
            refuse(state, repr(db.url))
            raise ConfigError(f"the tables of the ledger at {db.url!r} are {state}, run `backhaul migrate`")
    except BaseException:
        db.close()
        raise
    return Ledger(db, clock, wary=wary)
