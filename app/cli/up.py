"""`backhaul up`: the whole hub on this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.cli.supervise import Child, Supervisor, command
from app.errors import HubError

_LISTEN_S = 60.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `backhaul prepare` found out."""

    root: str
    var: str
    stamp: str
    connections: int
    routes: int
    host: str
    port: int
    workers: int
    web_threads: int
    ledger: str
    ledger_warning: str
    own_redis: bool
    api: bool


@click.command("up")
@click.option("--host", help="Where to listen (else config/hub.yaml).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes (else config/hub.yaml).")
@pass_cli
def up_command(cli: Cli, host: str | None, port: int | None, workers: int | None) -> None:
    """Run the hub: web, workers, clock and, if no REDIS_URL is set, its own Redis.

    Refuses to start while the site's files have a problem. A process that ends is started again. SIGTERM or Ctrl-C
    stops all in order: first the web, last the workers, which finish or hand back what they have in hand.
    """
    told = _prepare(cli)
    var = Path(told.var)
    supervisor = Supervisor(lambda what: click.echo(f"up: {what}", err=True))
    with bootstrap.running_lock(var) as lock:
        supervisor.stop_on_signals()
        address, number = host or told.host, told.port if port is None else port
        number = number or _free_port(address)
        url = f"http://{_shown(address)}:{number}"
        try:
            redis = bootstrap.redis_server(var) if told.own_redis else None
            if redis:
                supervisor.add("redis", redis)
            lock.write(url, redis.url if redis else "")
            _start(supervisor, cli, workers or told.workers, _web(address, number, told.web_threads))
            _say(told, url, redis.what if redis else "the server that REDIS_URL names")
            supervisor.run(until=_Listening(url, lambda: click.echo(f"ready at {url}; Ctrl-C stops it")))
            supervisor.run()
        finally:
            click.echo("up: stopping", err=True)
            supervisor.stop()


def _prepare(cli: Cli) -> Prepared:
    done = subprocess.run(command(*cli.arguments(), "prepare"), stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise click.exceptions.Exit(done.returncode if done.returncode > 0 else 1)
    return Prepared(**json.loads(done.stdout))


def _web(host: str, port: int, threads: int) -> list[str]:
    return ["web", "--host", host, "--port", str(port), "--threads", str(threads)]


def _start(supervisor: Supervisor, cli: Cli, workers: int, web: list[str]) -> None:
    def child(*arguments: str) -> Child:
        return Child(command(*cli.arguments(), *arguments), tie=bootstrap.die_with_parent)

    # Stopping goes backwards: web, then clock, then the workers.
    for number in range(1, workers + 1):
        supervisor.add(f"worker {number}", child("worker"))
    supervisor.add("clock", child("clock"))
    supervisor.add("web", child(*web))


def _say(told: Prepared, url: str, redis: str) -> None:
    click.echo(f"backhaul {told.root} ({told.connections} connections, {told.routes} routes, files {told.stamp[:8]})")
    click.echo(f"  ledger   {told.ledger}")
    if told.ledger_warning:
        click.echo(f"           warning: {told.ledger_warning}")
    click.echo(f"  redis    {redis}")
    click.echo(f"  web      {url}/webhooks/<connection>, /readyz, /metrics")
    if not told.api:
        click.echo("  api      off: set api_token in config/hub.yaml to use /api")


class _Listening:
    """Says once that the web process takes connections; gives up on waiting, not on the hub."""

    def __init__(self, url: str, say: Callable[[], None]) -> None:
        self._url, self._say = url, say
        self._until = time.monotonic() + _LISTEN_S

    def __call__(self) -> bool:
        if not bootstrap.client().reach(self._url, 0.2):
            self._say()
            return True
        if time.monotonic() < self._until:
            return False
        click.echo(f"up: the web process does not listen after {_LISTEN_S:.0f} s; still trying", err=True)
        return True


def _free_port(host: str) -> int:
    try:
        with socket.create_server((host, 0)) as taken:
            return int(taken.getsockname()[1])
    except OSError as error:
        raise HubError(f"cannot listen on {host}: {error.strerror or error}") from None


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host


def _shown(host: str) -> str:
    reachable = _reachable(host)
    return f"[{reachable}]" if ":" in reachable else reachable
