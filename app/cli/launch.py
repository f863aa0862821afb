"""How the hub's own processes come to be.

On Linux they are forked from the one that has loaded everything already: they start at once and share its memory, which
makes the hub half as large. Elsewhere a fork without a new program is not safe, so each is a program of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.cli.supervise import Process

_LOOK_S = 0.02
_FORKS = sys.platform.startswith("linux")


def command(*arguments: str) -> list[str]:
    """The argv of a `backhaul` command run by this very Python."""
    return [sys.executable, "-m", "app.cli", *arguments]


def name_process(part: str) -> None:
    """Have `ps`, `top` and the bench show this process as `backhaul:PART`; without a /proc it stays as it is."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"backhaul:{part}")


def launch(
    arguments: Sequence[str],
    run: Callable[[], object],
    *,
    tie: Callable[[], None],
    leave: Callable[[], None],
) -> Process:
    """Start `backhaul ARGUMENTS` in a session of its own, so that a Ctrl-C in the terminal reaches only its parent.

    In a fork `run` does what that command does. `tie` ties its life to its parent's; `leave` lets go of what only the
    parent may hold.
    """
    if _FORKS:
        return Forked(run, tie, leave)
    return subprocess.Popen(command(*arguments), stdin=subprocess.DEVNULL, start_new_session=True)


class Forked:
    """This process once more, carrying out a function. Must not be made while other threads run."""

    def __init__(self, run: Callable[[], object], tie: Callable[[], None], leave: Callable[[], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            # Nothing of the parent's own business may run on in here: it ends with _exit, whatever happens.
            os._exit(_carry_out(run, tie, leave, parent))

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        until = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("backhaul", timeout or 0.0)
            time.sleep(_LOOK_S)
        return status

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _carry_out(run: Callable[[], object], tie: Callable[[], None], leave: Callable[[], None], parent: int) -> int:
    try:
        os.setsid()
        tie()
        if os.getppid() != parent:
            return 1
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        leave()
        run()
        return 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
