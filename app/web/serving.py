"""How many processes serve the web application: one does it itself, of several each is a child of the server's own."""

from __future__ import annotations

from typing import Any

from granian.server import MPServer


def server_of(processes: int) -> type[MPServer]:
    """The server to run the application with so many processes."""
    return _Alone if processes == 1 else MPServer


class _Alone(MPServer):
    """Serves in the process that it was made in: one that only watched over another would take 6 MB for nothing.

    Whoever started it watches over it. Granian's own way is left where it would start its one child.
    """

    def _spawn_worker(self, *args: Any, **kwargs: Any) -> Any:
        worker: Any = super()._spawn_worker(*args, **kwargs)
        worker.start = lambda: self._work(worker.inner)
        return worker

    def _work(self, process: Any) -> None:
        """What the child would do, until it was told to stop."""
        process.run()
        # There is nothing more to look after.
        raise SystemExit(0)
