"""The work of a lane that is in hand: which token holds what, what is finished, how it is committed or given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from app.core.ports import Clock
from app.errors import LedgerUnavailable

log = structlog.get_logger()

#: Finished work waits for so long, in seconds, for more to be committed with it, and no more than so many.
COMMIT_WITHIN_S = 0.1
COMMIT_MOST = 256
#: Clocks are put right by a little all the time.
_JUMP_S = 1.0
#: Where work stands, and what is new where its tries are counted anew: it began again, or a poll was good.
_STANDS = ("step", "created_at", "cursor")
_LEDGER_WAITS = (0.1, 0.3, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Trade:
    """What is done with the work of a lane: reading events, or delivering.

    What carries work out can ask whether the lease of it still holds.
    """

    claim: Callable[[str, int, float, str], Sequence[Any]]
    identify: Callable[[Any], str]
    carry_out: Callable[[Any, Callable[[], bool]], Any]
    failed: Callable[[Any, Exception], Any]
    commit: Callable[[str, Sequence[Any]], list[str]]
    hand_back: Callable[[str, Sequence[str]], object]
    renew: Callable[[str, float], object]
    give_way: Callable[[], object]  # to whoever writes what is finished


@dataclass(frozen=True, slots=True)
class Done:
    """Work that was carried out; without a finish when nothing can be written of it."""

    work: Any
    finish: Any
    offset_s: float  # of the clock to the one that always runs, when the finish was made
    late: bool = False  # not begun: its lease was over before somebody had time for it


class _Held(NamedTuple):
    token: str
    work: Any  # as it was claimed last


class Hand:
    """Holds claimed work until it is committed. Used by the runner's thread; `tokens` and `size` by others, too."""

    def __init__(self, lane: str, trade: Trade, clock: Clock) -> None:
        self._lane, self._trade, self._clock = lane, trade, clock
        self._held: dict[str, _Held] = {}  # by the id of the work
        self._since: dict[str, float] = {}  # token: when it was claimed or renewed
        self._finished: list[Done] = []
        self._first_finished = 0.0
        self._failures = 0
        self._not_before = 0.0

    @property
    def size(self) -> int:
        """How much is claimed and not committed."""
        return len(self._held)

    @property
    def unfinished(self) -> int:
        """How much of it is still to be carried out."""
        return len(self._held) - len(self._finished)

    @property
    def tokens(self) -> set[str]:
        """The tokens that hold it."""
        return {held.token for held in self._held.copy().values()}

    @property
    def ledger_is_away(self) -> bool:
        """Whether the ledger failed a moment ago and is left alone."""
        return self._failures > 0 and self._clock.monotonic() < self._not_before

    def claim(self, connection: str, limit: int, lease_s: float, token: str) -> list[Any] | None:
        """Claim up to `limit`; what is to be begun, or None when the ledger is away. `size` grows by it."""
        claimed_at = self._clock.monotonic()
        try:
            claimed = self._trade.claim(connection, limit, lease_s, token)
        except LedgerUnavailable as error:
            self.ledger_failed(error)
            return None
        self._failures = 0
        new, moved_on = [], []
        # Before others can see the token: its lease may be renewed from then on.
        self._since = {held: self._since.get(held, claimed_at) for held in self.tokens} | {token: claimed_at}
        for work in claimed:
            key = self._trade.identify(work)
            if key not in self._held:
                new.append(work)
            elif not _untouched(self._held[key].work, work):
                # Somebody else had it meanwhile: what this try finds out is about the work as it was.
                moved_on.append(key)
                continue
            # What is in hand and was claimed anew had lost its lease: the try that runs goes on under this token.
            self._held[key] = _Held(token, work)
        if moved_on:
            self._return(token, moved_on)
        return new

    def renew(self, lease_s: float) -> None:
        """Keep the leases of all that is in hand. Raises `LedgerUnavailable`."""
        for token in self.tokens:
            now = self._clock.monotonic()
            self._trade.renew(token, lease_s)
            # What was over before may be somebody else's by now, and the ledger does not tell what. A token that is not
            # there any more was let go of meanwhile.
            if now - self._since.get(token, float("-inf")) < lease_s:
                self._since[token] = now

    def is_late(self, work: Any, lease_s: float) -> bool:
        """Whether the lease of work in hand may be over, or was since it was claimed: this process stood still."""
        held = self._held.get(self._trade.identify(work))
        since = self._since.get(held.token, float("-inf")) if held else float("-inf")
        return self._clock.monotonic() - since >= lease_s

    def done(self, work: Any, finish: Any, *, late: bool = False, began_s: float = float("-inf")) -> Done:
        """Work with its finish, made since `offset_s` was `began_s`, or just now.

        When the clock was put back in between, nobody knows by which time the finish was made: by the later one it
        is due too soon at worst.
        """
        return Done(work, finish, max(began_s, self.offset_s()), late)

    def add(self, done: Done) -> None:
        """Something is finished."""
        if done.late:
            log.warning("lane.late", lane=self._lane, id=self._trade.identify(done.work))
            self.give_back([done.work])
            return
        if done.finish is None:
            # Its lease ends by itself, and the ledger counts how often that happens.
            self._drop(done.work)
            return
        if not self._finished:
            self._first_finished = self._clock.monotonic()
        self._finished.append(done)

    def patience(self) -> float | None:
        """Seconds until something has to be done even if nothing more is finished; None = for ever."""
        now = self._clock.monotonic()
        if self._finished:
            due = max(self._first_finished + COMMIT_WITHIN_S, self._not_before if self._failures else 0.0)
            return max(0.0, due - now)
        return self._not_before - now if self.ledger_is_away else None

    def ripe(self) -> bool:
        """Whether it is time to commit what is finished."""
        if not self._finished or self.ledger_is_away:
            return False
        return (
            len(self._finished) >= COMMIT_MOST
            or len(self._finished) == len(self._held)
            or self._clock.monotonic() - self._first_finished >= COMMIT_WITHIN_S
        )

    def commit(self) -> tuple[int, list[str]]:
        """Commit what is finished, in one transaction for each token; how much that was, and the lanes to wake.

        What the ledger could not take stays; what cannot be written is written as failed.
        """
        by_token: dict[str, list[Done]] = {}
        for done in self._finished:
            by_token.setdefault(self._held[self._trade.identify(done.work)].token, []).append(done)
        before = len(self._held)
        self._finished = []
        lanes: list[str] = []
        for token, group in by_token.items():
            lanes += self._write(token, group)
        if not self._finished:
            self._failures = 0
        return before - len(self._held), list(dict.fromkeys(lanes))

    def give_back(self, works: Iterable[Any]) -> None:
        """Hand back what nobody has begun with. Left to its lease when the ledger is away."""
        by_token: dict[str, list[str]] = {}
        for work in works:
            token = self._drop(work)
            if token:
                by_token.setdefault(token, []).append(self._trade.identify(work))
        for token, keys in by_token.items():
            self._return(token, keys)

    def _return(self, token: str, keys: Sequence[str]) -> None:
        try:
            self._trade.hand_back(token, keys)
        except LedgerUnavailable as error:
            log.warning("lane.left", lane=self._lane, size=len(keys), because=str(error))

    def saved(self, work: Any, error: Exception) -> Done:
        """A fault of our own becomes a state that people can see; without a finish when even that fails."""
        log.error("work.failed", lane=self._lane, id=self._trade.identify(work), exc_info=error)
        try:
            return self.done(work, self._trade.failed(work, error))
        except Exception as second:
            log.error("work.lost", lane=self._lane, id=self._trade.identify(work), exc_info=second)
            return self.done(work, None)

    def ledger_failed(self, error: LedgerUnavailable) -> None:
        """Leave the ledger alone for a while, longer each time."""
        if not self._failures:
            log.warning("ledger.away", lane=self._lane, because=str(error))
        self._not_before = self._clock.monotonic() + _LEDGER_WAITS[min(self._failures, len(_LEDGER_WAITS) - 1)]
        self._failures += 1

    def _write(self, token: str, group: list[Done]) -> list[str]:
        try:
            lanes = self._trade.commit(token, [self._of_today(done) for done in group])
        except LedgerUnavailable as error:
            self.ledger_failed(error)
            self._finished += group
            return []
        except Exception as error:
            log.error("commit.failed", lane=self._lane, size=len(group), exc_info=error)
            if len(group) == 1:
                return self._write_failed(token, group[0], error)
            # Something in the batch cannot be written: one at a time shows which.
            return [lane for done in group for lane in self._write(token, [done])]
        for done in group:
            self._drop(done.work)
        return lanes

    def _write_failed(self, token: str, done: Done, error: Exception) -> list[str]:
        saved = self.saved(done.work, error)
        try:
            lanes = self._trade.commit(token, [self._of_today(saved)]) if saved.finish is not None else []
        except LedgerUnavailable as away:
            self.ledger_failed(away)
            self._finished.append(done)
            return []
        except Exception as second:
            log.error("work.lost", lane=self._lane, id=self._trade.identify(done.work), exc_info=second)
            lanes = []
        self._drop(done.work)
        return lanes

    def _drop(self, work: Any) -> str | None:
        held = self._held.pop(self._trade.identify(work), None)
        return held and held.token

    def offset_s(self) -> float:
        """Of the clock to the one that always runs."""
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _of_today(self, done: Done) -> Any:
        """The finish, with the time by which it was said when it is due: the clock may be put back until it is written.

        When that was done since it was made, what it waits for comes that much earlier.
        """
        back_s, now = self.offset_s() - done.offset_s, self._clock.now()
        return _told(done.finish, back_s if back_s < -_JUMP_S else 0.0, now)


def _untouched(held: Any, claimed: Any) -> bool:
    """Whether nobody else had work in between that is claimed once more.

    A claim counts a try, which a finish may take back: then what it came from, or where it stands, tells of it.
    """
    if getattr(claimed, "came_from", "running") != "running" or claimed.attempts != held.attempts + 1:
        return False
    return all(getattr(held, name, None) == getattr(claimed, name, None) for name in _STANDS)


def _told(finish: Any, by_s: float, now: datetime) -> Any:
    """A finish, or what holds one, due so many seconds later, as it is told now."""
    if hasattr(finish, "finish"):
        return replace(finish, finish=_told(finish.finish, by_s, now))
    if finish.due_at is None:
        return finish
    due_at = max(finish.due_at + timedelta(seconds=by_s), now) if by_s else finish.due_at
    return replace(finish, due_at=due_at, told_at=now)
