"""Looks after a whole ledger: backs it up, puts it back, moves it. A hub at work needs nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.adapters.ledger import migrate, open_ledger, refuse, schema_state
from app.adapters.ledger.backup import Backup, backup_sqlite, need_alone, restore_sqlite
from app.adapters.ledger.dumps import backup_postgresql, restore_postgresql
from app.adapters.ledger.engine import parse
from app.adapters.ledger.moving import Moved, give_up, move
from app.core.ports import Clock
from app.core.restores import Restore


@dataclass(frozen=True, slots=True)
class PutBack:
    """What a restore came to."""

    backup: Backup
    restore: Restore
    aside: Path | None  # where the ledger is that stood there before


class LedgerKeeper:
    """Copies the ledger at a URL. Every method raises `HubError`, `LedgerUnavailable` and `ConfigError`."""

    def __init__(self, url: str, clock: Clock, env: Mapping[str, str]) -> None:
        """`env` is the environment for PostgreSQL's own programs."""
        self._url, self._clock, self._env = url, clock, env
        self._sqlite = parse(url).get_backend_name() == "sqlite"

    def backup(self, target: Path, tell: Callable[[int, int], object]) -> Backup:
        """Copy the ledger to a new file, while a hub works on it. `tell` hears how far it is, on SQLite."""
        if self._sqlite:
            return backup_sqlite(self._url, target, tell)
        return backup_postgresql(self._url, target, self._env)

    def restore(self, source: Path, who: str, wary_s: float, *, replace: bool) -> PutBack:
        """Put the ledger back from a backup and keep that it was; see `Ledger.mark_restored`."""
        marked: list[Restore] = []

        def prepare(url: str) -> None:
            refuse(schema_state(url), f"{source}")
            migrate(url)
            marked.append(self._mark(url, who, wary_s))

        if self._sqlite:
            backup, aside = restore_sqlite(self._url, source, prepare, replace=replace)
        else:
            backup, aside = restore_postgresql(self._url, source, self._env), None
            prepare(self._url)
        return PutBack(backup, marked[0], aside)

    def mark_restored(self, who: str, wary_s: float) -> Restore:
        """Keep of a ledger that was copied into its place by hand that it was put back."""
        if self._sqlite:
            need_alone(Path(parse(self._url).database or ""))
        return self._mark(self._url, who, wary_s)

    def take_from(self, source_url: str, who: str, tell: Callable[[str, int, int], object]) -> list[Moved]:
        """Move the ledger at another URL into this one, which is empty, or go on with that."""
        return move(source_url, self._url, self._clock, who, tell)

    def move_to(self, target_url: str, who: str, tell: Callable[[str, int, int], object]) -> list[Moved]:
        """Move this ledger into the one at another URL, which is empty, or go on with that."""
        return move(self._url, target_url, self._clock, who, tell)

    def give_up_move(self, source_url: str = "") -> None:
        """The ledger whose move was begun, this one or another, belongs to the hub again."""
        give_up(source_url or self._url)

    def _mark(self, url: str, who: str, wary_s: float) -> Restore:
        ledger = open_ledger(url, clock=self._clock)
        try:
            return ledger.mark_restored(who, wary_s)
        finally:
            ledger.close()
