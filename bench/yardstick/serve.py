"""`python -m bench.yardstick.serve PORT THREADS`: the receiver under the web server that the hub uses, too."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from app.bootstrap import die_with_parent


def main() -> None:
    """Serve until SIGTERM."""
    server = Server(
        "bench.yardstick.receiver",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        blocking_threads=int(sys.argv[2]),
        log_level=LogLevels.error,
    )
    server.serve(target_loader=partial(_load, os.getpid()), wrap_loader=False)


def _load(server: int) -> Any:
    die_with_parent(at_once=True, parent=server)
    from bench.yardstick.receiver import app

    return app


if __name__ == "__main__":
    main()
