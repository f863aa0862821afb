"""Builds the real adapters and hands them out: the only place that does. Nothing happens on import.

The large libraries are imported inside the functions that need them, so that `backhaul up`, which lives as long as the
hub, and the small commands stay small.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from app.errors import ConfigError
from app.model import Problem

if TYPE_CHECKING:
    from app.adapters.case_files import CaseFiles
    from app.adapters.client import Client
    from app.adapters.files import Settings as Settings
    from app.adapters.http import HttpSender
    from app.adapters.ledger import Ledger as Ledger
    from app.adapters.ledger.keeper import LedgerKeeper
    from app.adapters.ledger.moving import Moved as Moved
    from app.adapters.queue import Wakes
    from app.adapters.redis_facts import RedisFacts
    from app.adapters.redis_server import RedisServer
    from app.adapters.running import Lock, Running
    from app.adapters.token_store import TokenStore
    from app.core.ports import Clock, Ids
    from app.core.site import Site

Part = Literal["web", "worker", "clock", "cli"]

#: So many new objects, and so many searches of the younger ones, are between two searches for garbage.
_GARBAGE = (20_000, 20, 20)


@dataclass(frozen=True, slots=True)
class Services:
    """What a process of the hub works with. `part` names the process in its log lines."""

    site: Site
    settings: Settings
    clock: Clock
    ids: Ids
    ledger: Ledger
    wakes: Wakes | None  # None: this process wakes nobody
    tokens: TokenStore | None  # None: it logs in for itself
    hide: Callable[[str, str], object]  # tells the log of a secret that came later
    http: HttpSender
    log: Any
    part: Part

    def close(self) -> None:
        """Let go of connections."""
        self.http.close()
        self.ledger.close()
        for shared in (self.wakes, self.tokens):
            if shared:
                shared.close()


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What the ledger is, for people, and what is unsafe about it."""

    what: str
    warning: str = ""


# --- files and environment -----------------------------------------------------------------------


def environment(site: Path | None = None, env_file: Path | None = None) -> dict[str, str]:
    """The environment, beneath it `env_file`, or the `.env` of the site's folder when there is none."""
    from app.adapters import files

    return files.environment(site, env_file)


def settings(env: Mapping[str, str], site: Path | None = None) -> Settings:
    """Where the site, `var/`, the ledger and Redis of this process are, defaults filled in.

    Without DATABASE_URL the ledger is a SQLite file in `var/`; without REDIS_URL the server of the hub that runs on
    this `var/` is meant, None when none runs.
    """
    from app.adapters import files, running

    told = files.settings({**env, "BACKHAUL_SITE": str(site)} if site else env)
    note = None if told.redis_url else running.find(told.var_dir)
    return replace(
        told,
        database_url=told.database_url or f"sqlite:///{told.var_dir.absolute() / 'backhaul.db'}",
        redis_url=told.redis_url or (note.redis_url if note else None) or None,
    )


def site(settings: Settings, env: Mapping[str, str], **how: bool) -> Site:
    """The compiled site; for `how` see `load_site`. Raises `ConfigError` with every problem in its files."""
    from app.adapters import files

    return files.load_site(settings.site, env=env, **how)


def case_files(settings: Settings) -> CaseFiles:
    """What reads the files that YAML cases name."""
    from app.adapters.case_files import CaseFiles

    return CaseFiles(settings.site, project_folder())


# --- ledger and Redis ----------------------------------------------------------------------------


def on_sqlite(settings: Settings) -> bool:
    """Whether the ledger is a SQLite file: then one web process at a time."""
    return database_url(settings).startswith("sqlite")


def database_url(settings: Settings) -> str:
    """The ledger's URL; with a password in it for some."""
    assert settings.database_url
    return settings.database_url


def ledger_state(settings: Settings) -> str:
    """Empty, behind or current. Raises `ConfigError` for one that no `migrate` may touch, `LedgerUnavailable`."""
    from app.adapters import ledger

    url = database_url(settings)
    if on_sqlite(settings):
        settings.var_dir.mkdir(parents=True, exist_ok=True)
    state = ledger.schema_state(url)
    ledger.refuse(state, ledger_name(url))
    return state


def migrate(settings: Settings) -> str:
    """Bring the ledger's tables up to date; the state it was in. Raises as `ledger_state`."""
    from app.adapters import ledger

    if (state := ledger_state(settings)) != "current":
        ledger.migrate(database_url(settings))
    return state


def ledger_keeper(settings: Settings, env: Mapping[str, str]) -> LedgerKeeper:
    """What copies a whole ledger: backs it up, puts it back, moves it."""
    from app.adapters.ledger.keeper import LedgerKeeper
    from app.adapters.system import SystemClock

    return LedgerKeeper(database_url(settings), SystemClock(settings.clock_shift_file), env)


def ledger(settings: Settings, *, works: bool = False) -> Ledger:
    """The ledger, open; `works` for who claims work: senders that wait for an answer come first.

    Raises `ConfigError` when it has to be migrated first, `LedgerUnavailable`.
    """
    from app.adapters.ledger import need_current, open_ledger
    from app.adapters.system import SystemClock

    url = database_url(settings)
    need_current(url, ledger_name(url))
    return open_ledger(url, clock=SystemClock(settings.clock_shift_file), wary=works, stands_back=works)


def ledger_facts(settings: Settings) -> LedgerFacts:
    """What the ledger is and whether a loss is to be feared."""
    from app.adapters import ledger

    url = database_url(settings)
    if not on_sqlite(settings):
        return LedgerFacts(ledger_name(url))
    version = ledger.sqlite_version()
    what = f"SQLite {version}, {ledger_name(url)}, every commit on disk before it is answered"
    if ledger.sqlite_is_safe():
        return LedgerFacts(what)
    return LedgerFacts(
        what,
        f"SQLite {version} has a fault that can lose commits when several processes write (fixed in 3.51.3): "
        "install pysqlite3, or set DATABASE_URL to a PostgreSQL",
    )


def ledger_name(url: str) -> str:
    """The ledger's URL without its password."""
    if url.startswith("sqlite:///"):
        return url.removeprefix("sqlite:///")
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def need_redis(settings: Settings) -> str:
    """The Redis to use. Raises `ConfigError` when none is known."""
    if settings.redis_url:
        return settings.redis_url
    raise ConfigError(
        [
            Problem(
                "", 0, 0, f"no REDIS_URL is set and no hub runs on {settings.var_dir}", "set it, or use `backhaul up`"
            )
        ]
    )


def redis_server(var_dir: Path) -> RedisServer:
    """The hub's own Redis, not started yet."""
    from app.adapters.redis_server import RedisServer

    return RedisServer(var_dir / "redis", die_with_parent)


def redis_facts(url: str) -> RedisFacts:
    """What a Redis says about itself. Raises `QueueUnavailable` when it does not answer."""
    from app.adapters import redis_facts

    return redis_facts.redis_facts(url)


# --- processes -----------------------------------------------------------------------------------


def services(site: Site, settings: Settings, env: Mapping[str, str], *, part: Part) -> Services:
    """Everything that a process works with, its log set up.

    Raises `ConfigError` when the ledger has to be migrated first, `LedgerUnavailable`.
    """
    from app.adapters import log
    from app.adapters.http import HttpSender
    from app.adapters.queue import Wakes
    from app.adapters.system import SystemClock, SystemIds
    from app.adapters.token_store import TokenStore

    clock = SystemClock(settings.clock_shift_file)
    style: Literal["text", "json"] = "json" if env.get("LOG_FORMAT") == "json" else "text"
    log.configure(style, level=env.get("LOG_LEVEL", "info"), secrets=_secrets(site, settings))
    return Services(
        site=site,
        settings=settings,
        clock=clock,
        ids=SystemIds(clock),
        ledger=ledger(settings, works=part == "worker"),
        wakes=Wakes(settings.redis_url) if settings.redis_url else None,
        tokens=TokenStore(settings.redis_url) if settings.redis_url else None,
        hide=log.hide,
        http=HttpSender(),
        log=log.get_log(part),
        part=part,
    )


def settle_in() -> None:
    """To be called once, with everything loaded: no search for garbage need walk through what stays to the end."""
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def quiet_log() -> None:
    """Set the log up for a command whose output is its own: only warnings, on stderr."""
    from app.adapters import log

    log.configure(level="warning")


def die_with_parent(*, at_once: bool = False, parent: int = 0) -> None:
    """Tie the life of this process to its parent's (process id); `at_once` leaves it no time to finish."""
    from app.adapters import children

    children.die_with_parent(at_once=at_once, parent=parent)


def share_memory(settings: Settings) -> None:
    """For `up`, before it forks: children then take less memory. Raises `ConfigError`, `LedgerUnavailable`."""
    from app.adapters import children, ledger

    ledger.prepare(database_url(settings))
    children.share_memory()


def project_folder() -> Path:
    """The folder that holds `app/` and the connectors and mappings shipped with the hub."""
    return Path(__file__).resolve().parent.parent


def running_hub(var_dir: Path) -> Running | None:
    """The hub that `backhaul up` runs on this folder, None when there is none."""
    from app.adapters import running

    return running.find(var_dir)


def running_lock(var_dir: Path) -> Lock:
    """What keeps two hubs off one `var/` folder, and tells other commands of the one that runs."""
    from app.adapters.running import Lock

    return Lock(var_dir)


def client() -> Client:
    """Plain HTTP to the hub itself and to simulators."""
    from app.adapters.client import Client

    return Client()


def _secrets(site: Site, settings: Settings) -> set[str]:
    from urllib.parse import urlsplit

    found = {value for connection in site.connections.values() for value in connection.secret_values}
    found.add(site.hub.api_token)
    for url in (settings.database_url, settings.redis_url):
        if url and (password := urlsplit(url).password):
            found.add(password)
    return found - {""}
