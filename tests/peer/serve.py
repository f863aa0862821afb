"""A real Tryton to look at, and for the demo: `python -m tests.peer.serve`. Runs until it is stopped."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.peer.tryton import DATABASE, serve


def main() -> None:
    """Serve a copy of the filled database; prints the address once it answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it answers")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("making Tryton ready; the first time that takes a minute or two", flush=True)
    with tempfile.TemporaryDirectory(prefix="backhaul-tryton-") as folder, serve(Path(folder), chosen.port) as server:
        if chosen.port_file:
            # Written aside and moved, so that whoever waits for the file never reads half a number.
            written = chosen.port_file.with_suffix(".new")
            written.write_text(server.url.removesuffix(f"/{DATABASE}").rpartition(":")[2], encoding="utf-8")
            written.replace(chosen.port_file)
        print(f"{server.url}  key {server.facts['keys']['hub']}", flush=True)
        for order in server.facts["orders"]:
            print(
                f"  order {order['shop']} of the shop is {order['number'] or 'a draft'} ({order['state']})", flush=True
            )
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
