"""`backhaul up`: the whole hub on this machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.cli.launch import launch
from app.cli.output import complain
from app.cli.processes import keep_time, serve, work
from app.cli.supervise import Child, Process, Supervisor
from app.errors import ConfigError, HubError

if TYPE_CHECKING:
    from app.core.site import Site

_LISTEN_S = 60.0
#: What the processes work with, loaded once before they are forked.
_SHARED = (
    "app.web.app",
    "app.pipeline.worker",
    "app.pipeline.clock",
    "app.adapters.http",
    "app.adapters.queue",
    "granian.server",
)


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
    site = cli.site()
    supervisor = Supervisor(lambda what: click.echo(f"up: {what}", err=True))
    with bootstrap.running_lock(cli.settings.var_dir) as lock:
        supervisor.stop_on_signals()
        _migrate(cli, lock.let_go)
        address = host or site.hub.host
        number = _port(cli, site, port) or _free_port(address)
        url = f"http://{_shown(address)}:{number}"
        redis = None if cli.settings.redis_url else bootstrap.redis_server(cli.settings.var_dir)
        try:
            if redis:
                supervisor.add("redis", redis)
            lock.write(url, redis.url if redis else "")
            _start(supervisor, cli, workers or site.hub.workers, address, number, lock.let_go)
            _say(cli, site, url, redis.what if redis else "the server that REDIS_URL names")
            supervisor.run(until=_Listening(url, lambda: click.echo(f"ready at {url}; Ctrl-C stops it")))
            supervisor.run()
        finally:
            click.echo("up: stopping", err=True)
            supervisor.stop()


def _port(cli: Cli, site: Site, port: int | None) -> int:
    return port if port is not None else cli.port(site.hub.port)


def _migrate(cli: Cli, leave: Callable[[], None]) -> None:
    """Done by a process of its own: what is loaded for it would stay in this one and in all others."""
    if bootstrap.ledger_state(cli.settings) != "current":
        process = _launch(cli, leave, lambda child: bootstrap.migrate(child.settings), "migrate")
        if status := process.wait():
            raise SystemExit(status)


def _start(supervisor: Supervisor, cli: Cli, workers: int, host: str, port: int, leave: Callable[[], None]) -> None:
    for module in _SHARED:
        import_module(module)
    bootstrap.share_memory(cli.settings)
    threads = cli.site().hub.web_threads
    listening = ("--host", host, "--port", str(port), "--threads", str(threads))

    def child(run: Callable[[Cli], object], *arguments: str) -> Child:
        return Child(partial(_launch, cli, leave, run, *arguments))

    # Stopping goes backwards: web, then clock, then the workers.
    for number in range(1, workers + 1):
        supervisor.add(f"worker {number}", child(work, "worker"))
    supervisor.add("clock", child(keep_time, "clock"))
    supervisor.add("web", child(lambda own: serve(own, host, port, 1, threads), "web", *listening))


def _launch(cli: Cli, leave: Callable[[], None], run: Callable[[Cli], object], *arguments: str) -> Process:
    """Start what `run` does in a process of its own; `arguments` are the command that does the same."""
    told = [*cli.arguments(), *arguments]
    return launch(told, partial(_carry_out, cli, run), tie=bootstrap.die_with_parent, leave=leave)


def _carry_out(cli: Cli, run: Callable[[Cli], object]) -> None:
    child = cli.fork()
    try:
        run(child)
    except Exception as error:
        if child.debug and not isinstance(error, ConfigError | HubError):
            raise
        raise SystemExit(complain(error)) from None
    finally:
        child.close()


def _say(cli: Cli, site: Site, url: str, redis: str) -> None:
    facts = bootstrap.ledger_facts(cli.settings)
    sizes = f"{len(site.connections)} connections, {len(site.routes)} routes, files {site.stamp[:8]}"
    click.echo(f"backhaul {cli.settings.site.absolute()} ({sizes})")
    click.echo(f"  ledger   {facts.what}")
    if facts.warning:
        click.echo(f"           warning: {facts.warning}")
    click.echo(f"  redis    {redis}")
    click.echo(f"  web      {url}/webhooks/<connection>, /readyz, /metrics")
    if not site.hub.api_token:
        click.echo("  api      for tokens that `backhaul token new` makes")


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
