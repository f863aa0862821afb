"""What `backhaul doctor` looks at, one function a thing. Each says what is so and, if it is wrong, what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app import bootstrap
from app.cli.context import Cli
from app.cli.doctor_ledger import look_at_checkup
from app.cli.doctor_logins import try_logins
from app.cli.doctor_polls import look_at_polls
from app.cli.freshness import hub_runs, older_files
from app.core.connectors import Connection
from app.core.site import Site
from app.core.times import iso
from app.errors import ConfigError, HubError, LedgerUnavailable, QueueUnavailable

if TYPE_CHECKING:
    from app.bootstrap import Ledger

_SPACE = 500 * 2**20
#: Between the end of a call and the end of the lease there must be time to write down what came of it.
_MARGIN_S = 5.0
_AT_ONCE = 16
#: By whether Redis is persistent.
_KEPT = {
    True: "wake-ups are kept over a restart",
    False: "wake-ups are forgotten at a restart, which the clock heals",
    None: "unknown whether wake-ups are kept over a restart; if not, the clock heals it",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict."""

    level: Literal["ok", "warn", "fail"]
    about: str
    what: str


def examine(cli: Cli, *, login: bool = False) -> Iterator[Finding]:
    """Every finding, in the order in which things depend on each other. With `login` logins are made too."""
    site: Site | None = None
    try:
        site = cli.site()
        yield Finding("ok", "files", f"{cli.settings.site}: no problems")
    except ConfigError as error:
        some = "; ".join(str(problem) for problem in error.problems[:3])
        yield Finding("fail", "files", f"{len(error.problems)} problems, see `backhaul check`: {some}")
    yield _space(cli.settings.var_dir)
    yield from _open_files(cli)
    ledger: Ledger | None = None
    try:
        facts = bootstrap.ledger_facts(cli.settings)
        ledger = cli.ledger
        ledger.ping()
        yield Finding("warn" if facts.warning else "ok", "ledger", facts.warning or facts.what)
    except (ConfigError, LedgerUnavailable) as error:
        yield Finding("fail", "ledger", str(error))
    yield from _redis(cli)
    yield from _hub(cli, ledger)
    if ledger:
        yield Finding(*look_at_checkup(ledger))
    if site:
        yield _lease(site)
        yield _api(site)
        yield from _connections(site, ledger)
    if site and ledger:
        if login:
            yield from (Finding(*told) for told in try_logins(cli, site))
        for level, about, what in look_at_polls(site, ledger, hub_runs=hub_runs(cli)):
            yield Finding(level, about, what)


def _space(var_dir: Path) -> Finding:
    folder = var_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    what = f"{free // 2**20:,} MiB free at {folder}"
    return Finding("ok" if free > _SPACE else "warn", "disk", what)


def _open_files(cli: Cli) -> Iterator[Finding]:
    """Files with persons or secrets in them that other users of this machine can read."""
    files = [cli.env_file or cli.settings.site / ".env"]
    if bootstrap.on_sqlite(cli.settings):
        files.append(Path(bootstrap.database_url(cli.settings).removeprefix("sqlite:///")))
    for file in files:
        # An example holds nothing of anybody's.
        if file.is_file() and file.suffix != ".example" and _others_read(file.absolute()):
            yield Finding("warn", "privacy", f"other users of this machine can read {file}: `chmod 600` it")


def _others_read(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o044) and _folders_are_open(file)


def _folders_are_open(file: Path) -> bool:
    return all(folder.stat().st_mode & 0o011 for folder in file.parents)


def _redis(cli: Cli) -> Iterator[Finding]:
    try:
        url = bootstrap.need_redis(cli.settings)
    except ConfigError:
        yield Finding("ok", "redis", "no REDIS_URL is set: `backhaul up` will start its own")
        return
    try:
        facts = bootstrap.redis_facts(url)
    except QueueUnavailable as error:
        yield Finding("fail", "redis", f"{error}; events are still taken in, nothing is delivered until it is back")
        return
    if not facts.private:
        yield Finding("warn", "redis", f"{facts.what}: reachable over the network without a password; set one")
    elif facts.evicts:
        yield Finding("warn", "redis", f"{facts.what}: drops keys when full; set maxmemory-policy noeviction")
    else:
        yield Finding("ok", "redis", f"{facts.what}; {_KEPT[facts.persistent]}")


def _hub(cli: Cli, ledger: Ledger | None) -> Iterator[Finding]:
    hub = bootstrap.running_hub(cli.settings.var_dir)
    lease = ledger.lease("clock") if ledger else None
    now = datetime.now(UTC)
    if hub is None and (lease is None or lease[1] < now):
        yield Finding("ok", "hub", "not running")
        return
    if hub:
        yield _answers(hub.url)
    if ledger is None:
        return
    if lease is None:
        yield Finding("fail", "clock", "never ran: nothing waits for it, but nothing is retried either; start it")
    elif lease[1] < now:
        yield Finding("fail", "clock", f"stopped, its lease ended at {iso(lease[1])}; start `backhaul clock`")
    else:
        yield Finding("ok", "clock", f"runs ({lease[0]})")
    if hint := older_files(cli):
        yield Finding("warn", "hub files", hint)


def _answers(url: str) -> Finding:
    try:
        said = bootstrap.client().ask("GET", f"{url}/readyz", timeout_s=3.0)
    except HubError as error:
        return Finding("fail", "hub", str(error))
    return Finding("ok" if said.status == 200 else "fail", "hub", f"{url}/readyz answers {said.status}")


def _lease(site: Site) -> Finding:
    longest, whose = 0.0, ""
    for connection in site.connections.values():
        for operation in connection.connector.operations.values():
            timeout = operation.timeout_s or connection.limits.timeout_s
            if timeout > longest:
                longest, whose = timeout, f"{connection.name}.{operation.name}"
    if site.hub.lease_s <= longest + _MARGIN_S:
        what = f"{site.hub.lease_s:g} s is too short for {whose}, which may take {longest:g} s; raise hub.lease"
        return Finding("fail", "lease", what)
    return Finding("ok", "lease", f"{site.hub.lease_s:g} s, longer than the longest call ({longest:g} s)")


def _api(site: Site) -> Finding:
    if not site.hub.api_token:
        return Finding("ok", "api", "on, for tokens of `backhaul token new` alone (no api_token in config/hub.yaml)")
    if len(site.hub.api_token) < 16:
        return Finding("warn", "api", "its token is short enough to be guessed; take 16 signs or more")
    return Finding("ok", "api", "on")


def _connections(site: Site, ledger: Ledger | None) -> Iterator[Finding]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reached = list(pool.map(_reach, site.connections.values()))
    for connection, why in zip(site.connections.values(), reached, strict=True):
        about = f"connection {connection.name}"
        specs = connection.connector.settings
        empty = [
            name for name, spec in specs.items() if spec.secret and spec.required and not connection.settings[name]
        ]
        state = ledger.lane_state(connection.name) if ledger else None
        if empty:
            yield Finding("fail", about, f"{', '.join(empty)} is empty: {connection.where}")
        elif state and state.paused:
            resume = f"`backhaul resume {connection.name}`"
            yield Finding("warn", about, f"paused: {state.because}" + (f"; {resume}" * (resume not in state.because)))
        elif why:
            yield Finding("fail", about, why)
        elif state and state.open_until and state.open_until > datetime.now(UTC):
            what = f"failing ({state.because}); left alone until {iso(state.open_until)}"
            yield Finding("warn", about, what)
        else:
            # One that is only listened to has no address.
            at = f" at {url}" if (url := connection.settings.get("base_url")) else ", which calls us"
            yield Finding("ok", about, f"{connection.connector.name}{at}")


def _reach(connection: Connection) -> str:
    url = connection.settings.get("base_url")
    if not url or not connection.connector.operations:
        return ""
    client = bootstrap.client()
    return client.barred(connection) or client.reach(str(url))
