"""How a simulator is served: as a program of its own, or in a thread of a test.

Werkzeug's threaded server is what lets a simulator hang up without an answer, which WSGI itself cannot say.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from connectors.simkit import TOKEN


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests are recorded, not printed."""


def _server(app: Flask, host: str, port: int) -> BaseWSGIServer:
    return make_server(host, port, app, threaded=True, request_handler=_QuietHandler)


@contextmanager
def running(app: Flask, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an app in a thread of this process for the time of a `with`; gives its URL."""
    server = _server(app, host, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.port}"
    finally:
        app.extensions["simulator"].behave()
        server.shutdown()
        thread.join()
        server.server_close()


def main(
    create: Callable[[argparse.Namespace], Flask],
    argv: Sequence[str] | None = None,
    *,
    about: str,
    options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """Run a simulator as a program until it is stopped: prints its URL once it listens."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--token", default=TOKEN, help=f"the bearer token it takes (default {TOKEN})")
    options(parser)
    chosen = parser.parse_args(argv)
    server = _server(create(chosen), chosen.host, chosen.port)
    if chosen.port_file:
        # Written aside and moved, so that whoever waits for the file never reads half a number.
        written = chosen.port_file.with_suffix(".new")
        written.write_text(str(server.port), encoding="utf-8")
        written.replace(chosen.port_file)
    print(f"http://{chosen.host}:{server.port}", flush=True)
    server.serve_forever()
