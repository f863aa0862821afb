"""The notifier: wakes the lanes that got work, off the path of the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import structlog

log = structlog.get_logger()


class Notifier:
    """Wakes lanes off the path of the answer: at most one round every 10 ms, and Redis may be away."""

    def __init__(self, wake: Callable[[str], object], pause_s: float = 0.01) -> None:
        """`wake` may raise and may wait; the clock process finds whatever was not woken."""
        self._wake, self._pause_s = wake, pause_s
        self._lanes: set[str] = set()
        self._told = threading.Condition()
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def tell(self, lanes: Iterable[str]) -> None:
        """These lanes got work."""
        with self._told:
            self._lanes.update(lanes)
            self._told.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Wake what is left, then stop."""
        with self._told:
            self._closing = True
            self._told.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._told:
                while not self._lanes and not self._closing:
                    self._told.wait()
                lanes, self._lanes = self._lanes, set()
            if not lanes:
                return
            for lane in sorted(lanes):
                self._wake_one(lane)
            pause.wait(self._pause_s)

    def _wake_one(self, lane: str) -> None:
        try:
            self._wake(lane)
        except Exception as error:
            # The work is committed and due: the clock finds it. One line an outage is enough.
            if not self._failing:
                log.warning("wake.failed", lane=lane, error=type(error).__name__)
            self._failing = True
        else:
            self._failing = False
