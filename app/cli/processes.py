"""`backhaul web`, `worker` and `clock`: the processes that `up` and the Procfile start."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.cli.launch import name_process
from app.cli.niceness import be_nice
from app.errors import ConfigError, HubError

#: Threads of the web process beyond those that take messages, in which slow bodies are waited for.
_WAITING_THREADS = 256
#: All headers of a request must be there after so many milliseconds; a connection that lies idle is closed then too.
_HEADERS_MS = 10_000
#: What a connection may hold in memory before the hub has seen it: all of its headers, or a piece of its body.
_HEADERS_SIZE = 16 * 1024
#: Connections that the system holds until there is a place.
_BACKLOG = 4096


@click.command("web")
@click.option("--host", help="Where to listen (else config/hub.yaml).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (else PORT, else config/hub.yaml).")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="More than one needs PostgreSQL."
)
@click.option("--threads", type=click.IntRange(1, 512), help="Threads that take messages (else config/hub.yaml).")
@pass_cli
def web_command(cli: Cli, host: str | None, port: int | None, processes: int, threads: int | None) -> None:
    """Receive webhooks; serve the API, health and metrics."""
    hub = cli.site().hub
    serve(cli, host or hub.host, port or cli.port(hub.port), processes, threads or hub.web_threads)


@click.command("worker")
@pass_cli
def worker_command(cli: Cli) -> None:
    """Read events and carry out deliveries."""
    work(cli)


@click.command("clock")
@pass_cli
def clock_command(cli: Cli) -> None:
    """Wake whatever is due. Several may run; one at a time holds the lease."""
    keep_time(cli)


def serve(cli: Cli, host: str, port: int, processes: int, threads: int) -> None:
    """Be the web process, or with several `processes` the one above them, until told to stop.

    Raises `ConfigError`, `HubError`.
    """
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    from app.web.doorkeeper import make_room
    from app.web.serving import server_of

    name_process("web")
    bootstrap.need_redis(cli.settings)
    if processes > 1 and bootstrap.on_sqlite(cli.settings):
        raise HubError("one web process at a time on SQLite: set DATABASE_URL to a PostgreSQL, or leave --processes")
    places = make_room()
    server = server_of(processes)(
        "app.web",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=processes,
        # Slow bodies hold a thread each: beyond those that work there are some to wait in. They come as needed.
        blocking_threads=threads + _WAITING_THREADS,
        # How many connections are served at a time, idle ones among them.
        backpressure=places,
        backlog=_BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADERS_MS, max_buffer_size=_HEADERS_SIZE),
        # Below that it only warns of more threads than cores: they wait for commits, most of the time.
        log_level=LogLevels.error,
    )
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    keep = partial(_keep_door, port, places, threads + _WAITING_THREADS)
    load = partial(_load_web, cli, address, os.getpid(), keep)
    try:
        server.serve(target_loader=load, wrap_loader=False)
    except RuntimeError as error:
        # That is how it tells of what the system refused.
        if "os error" not in str(error):
            raise
        raise HubError(f"cannot listen on {address}: {error}") from None


def _keep_door(port: int, places: int, threads: int) -> None:
    from app.web.doorkeeper import keep_door
    from app.web.webhooks import reading

    keep_door(port, places, threads, reading)


def _load_web(cli: Cli, address: str, server: int, keep: Callable[[], None]) -> Any:
    """The WSGI application, made in the process that serves it."""
    from app.web.app import create_app

    if server != os.getpid():
        # The server's own process may be killed without a chance to end this one, and a new one wants its port.
        bootstrap.die_with_parent(at_once=True, parent=server)
        name_process("web")
    try:
        services = bootstrap.services(cli.site(), cli.settings, cli.env, part="web")
        app = create_app(services)
        bootstrap.settle_in()
        keep()
        services.log.info("web.started", address=address, stamp=services.site.stamp[:12], pid=os.getpid())
        return app
    except (ConfigError, HubError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None


def work(cli: Cli) -> None:
    """Be a worker until told to stop. Raises `ConfigError`, `HubError`."""
    from app.pipeline.worker import run_worker

    name_process("worker")
    bootstrap.need_redis(cli.settings)
    # On SQLite it would be held off while it has the lock that the others wait for.
    if not bootstrap.on_sqlite(cli.settings):
        be_nice(cli.site().hub.nice)
    services = bootstrap.services(cli.site(), cli.settings, cli.env, part="worker")
    bootstrap.settle_in()
    run_worker(services)


def keep_time(cli: Cli) -> None:
    """Be the clock until told to stop. Raises `ConfigError`, `HubError`."""
    from app.pipeline.clock import run_clock

    name_process("clock")
    bootstrap.need_redis(cli.settings)
    run_clock(bootstrap.services(cli.site(), cli.settings, cli.env, part="clock"))
