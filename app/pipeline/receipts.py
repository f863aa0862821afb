"""Commits receipts in groups: many requests wait at the door, one thread writes for all of them."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import lru_cache, partial
from typing import Protocol

import structlog

from app.core import counting
from app.errors import LedgerUnavailable
from app.model import Receipt, Received, Rejection

log = structlog.get_logger()

BATCH = 256
QUEUE_LIMIT = 5_000
#: Where so many took part in the last commit or came while it ran, as many are on their way again. They are waited for
#: as long as one comes in so many seconds, at most so long: one commit for all costs little more than one for each.
_CROWD, _NEXT_S, _GATHER_S = 4, 0.002, 0.01
#: Counters and rejections are written at most this often, in seconds, and later while the ledger is away.
_ASIDE_EVERY_S = 1.0
_ASIDE_AGAIN_S = 5.0
_REJECTIONS_HELD = 500


class CountingTransaction(Protocol):
    """The part of a transaction that counts."""

    def count(self, amounts: Mapping[tuple[str, str], float], shard: str) -> None:
        """Add to counters."""


class ReceiptLedger(Protocol):
    """The part of the ledger that takes receipts."""

    def receive(
        self, receipts: Sequence[Receipt], more: Callable[[], Sequence[Receipt]] = ..., /
    ) -> Sequence[Received]:
        """Keep them in one transaction, answers in the same order; `more` is asked once that has begun."""

    def reject(self, rejections: Sequence[Rejection]) -> None:
        """Keep a bounded log of what was turned away."""

    def write(self) -> AbstractContextManager[CountingTransaction]:
        """A transaction."""


class _Batch:
    """Receipts that are committed together, with one lock for all the request threads that wait for it.

    The writer opens it once. Each thread passes it on as soon as it runs: so they wake one after the other, instead of
    all at once to queue for the interpreter.
    """

    __slots__ = ("answers", "done", "receipts")

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.answers: Sequence[Received | Exception] = ()
        self.done = threading.Lock()
        self.done.acquire()


class ReceiptWriter:
    """The one writer of receipts in a process. Idle, it costs nothing."""

    def __init__(
        self,
        ledger: ReceiptLedger,
        on_committed: Callable[[Iterable[str]], object],
        *,
        shard: str = "web",
        limit: int = QUEUE_LIMIT,
    ) -> None:
        """`on_committed` is told the lanes that got work; it must not wait."""
        self._ledger, self._on_committed, self._shard, self._limit = ledger, on_committed, shard, limit
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._batches = deque([_Batch()])  # the last one takes what comes
        self._crowd = 0  # rung again once so many wait
        self._tally: dict[tuple[str, str], float] = {}
        self._rejections: deque[Rejection] = deque(maxlen=_REJECTIONS_HELD)
        self._aside_due: float | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many receipts wait to be written."""
        return sum(len(batch.receipts) for batch in self._batches)

    def submit(self, receipt: Receipt, timeout_s: float) -> Received:
        """Keep a receipt and wait until it is committed.

        Raises LedgerUnavailable when the ledger refused it, too many wait already, or `timeout_s` is over; in the
        last case it may still be committed later, and the sender's next try is then a duplicate.
        """
        batch, place = self._add_to_batch(receipt)
        if not batch.done.acquire(timeout=timeout_s):
            raise LedgerUnavailable(f"not committed within {timeout_s:g} s")
        batch.done.release()
        answer = batch.answers[place]
        if isinstance(answer, LedgerUnavailable):
            # An exception of one's own: the same one raised in many threads would collect all their tracebacks.
            raise LedgerUnavailable(str(answer))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reject(self, rejection: Rejection, known: bool) -> None:
        """Count a request that was turned away and keep it for the log; an unknown connection is no label."""
        with self._lock:
            self._rejections.append(rejection)
        self._count(counting.REJECTED, 1.0, connection=rejection.connection if known else "", cause=rejection.cause)

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then stop."""
        with self._lock:
            self._closing = True
        self._bell.put(None)
        self._thread.join(timeout_s)

    def _add_to_batch(self, receipt: Receipt) -> tuple[_Batch, int]:
        with self._lock:
            batch = self._batches[-1]
            if self._closing or (len(self._batches) - 1) * BATCH + len(batch.receipts) >= self._limit:
                raise LedgerUnavailable("shutting down" if self._closing else f"{self._limit} receipts wait already")
            if len(batch.receipts) >= BATCH:
                batch = _Batch()
                self._batches.append(batch)
            place = len(batch.receipts)
            batch.receipts.append(receipt)
            if place == 0 or place + 1 == self._crowd:
                self._bell.put(None)
            return batch, place

    def _run(self) -> None:
        while True:
            batch = self._next()
            if batch:
                self._commit(batch)
            due = self._aside_due
            if due is not None and (self._closing or time.monotonic() >= due):
                self._write_aside()
            if self._closing and not self.waiting:
                return

    def _next(self) -> _Batch | None:
        if not self._batches[0].receipts:
            due = self._aside_due
            self._listen(None if due is None else max(0.0, due - time.monotonic()))
        self._gather()
        with self._lock:
            return self._take_batch()

    def _take_batch(self) -> _Batch | None:
        """What has waited longest; None when nobody waits. To be called with the lock held."""
        if not self._batches[0].receipts:
            return None
        batch = self._batches.popleft()
        if not self._batches:
            self._batches.append(_Batch())
            while not self._bell.empty():
                self._bell.get_nowait()
        return batch

    def _gather(self) -> None:
        until = time.monotonic() + _GATHER_S
        came = 0
        while self._crowd >= _CROWD and not self._closing and came < len(self._batches[0].receipts) < self._crowd:
            if time.monotonic() >= until:
                return
            came = len(self._batches[0].receipts)
            self._listen(_NEXT_S)

    def _listen(self, timeout_s: float | None) -> None:
        """Wait until somebody rings; others may have rung for what is done already."""
        with suppress(queue.Empty):
            self._bell.get(timeout=timeout_s)

    def _commit(self, batch: _Batch) -> None:
        batches = [batch]
        answers = self._keep(batches)
        receipts = _receipts(batches)
        begin = 0
        for one in batches:
            one.answers = answers[begin : begin + len(one.receipts)]
            begin += len(one.receipts)
            one.done.release()
        # It is forgotten by halves: one small batch among large ones says little.
        self._crowd = min(max(len(receipts) + len(self._batches[-1].receipts), self._crowd // 2), BATCH)
        amounts: Counter[tuple[str, str]] = Counter()
        for receipt, answer in zip(receipts, answers, strict=True):
            if isinstance(answer, Received):
                amounts[receipt.connection, "duplicate" if answer.duplicate else receipt.state] += 1
        lanes = {f"in:{connection}" for connection, state in amounts if state == "received"}
        if lanes:
            self._on_committed(lanes)
        for (connection, state), amount in amounts.items():
            self._count(counting.EVENTS, amount, connection=connection, state=state)

    def _keep(self, batches: list[_Batch]) -> Sequence[Received | Exception]:
        """The answers for one batch, and for one more where that came before the ledger could be written."""
        try:
            return self._ledger.receive(batches[0].receipts, partial(self._take_more, batches))
        except LedgerUnavailable as error:
            return [error] * len(_receipts(batches))
        except Exception:
            # One receipt that the ledger cannot take must not turn the others away.
            return [self._keep_one(receipt) for receipt in _receipts(batches)]

    def _keep_one(self, receipt: Receipt) -> Received | Exception:
        try:
            return self._ledger.receive([receipt])[0]
        except Exception as error:
            return error

    def _take_more(self, batches: list[_Batch]) -> Sequence[Receipt]:
        with self._lock:
            fits = len(batches[0].receipts) + len(self._batches[0].receipts) <= BATCH
            batch = self._take_batch() if fits else None
        if batch is None:
            return ()
        batches.append(batch)
        return batch.receipts

    def _count(self, name: str, amount: float, **labels: str) -> None:
        self._add({_counter(name, *labels.items()): amount})

    def _add(self, amounts: Mapping[tuple[str, str], float]) -> None:
        with self._lock:
            for key, amount in amounts.items():
                self._tally[key] = self._tally.get(key, 0.0) + amount
            if self._aside_due is None:
                self._aside_due = time.monotonic() + _ASIDE_EVERY_S
                # The writer may be asleep without a time to wake at.
                self._bell.put(None)

    def _write_aside(self) -> None:
        with self._lock:
            amounts, self._tally = self._tally, {}
            rejections = list(self._rejections)
            self._rejections.clear()
            self._aside_due = None
        try:
            if rejections:
                self._ledger.reject(rejections)
                rejections = []
            with self._ledger.write() as tx:
                tx.count(amounts, self._shard)
        except Exception as error:
            log.warning("counters.delayed", error=type(error).__name__)
            with self._lock:
                self._rejections.extendleft(reversed(rejections[: _REJECTIONS_HELD - len(self._rejections)]))
            self._add(amounts)
            self._aside_due = time.monotonic() + _ASIDE_AGAIN_S


def _receipts(batches: Iterable[_Batch]) -> list[Receipt]:
    return [receipt for batch in batches for receipt in batch.receipts]


@lru_cache(maxsize=1024)
def _counter(name: str, *labels: tuple[str, str]) -> tuple[str, str]:
    """The key of a counter as the ledger takes it; asked for with every message, and there are few."""
    tally = counting.Tally()
    tally.add(name, **dict(labels))
    (key,) = tally.amounts()
    return key
