"""What a process asks of the system for itself and its children."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8


def die_with_parent(*, at_once: bool = False, parent: int = 0) -> None:
    """Have the kernel end this process when its parent dies, `kill -9` included. Linux only; elsewhere does nothing.

    The signal is SIGTERM, or SIGKILL with `at_once`. Runs in the child, where it may stand between fork and exec; the
    parent must start children from a thread that lives as long as it. With the `parent`'s process id it ends at once
    when that one is gone already: who was killed before the kernel was asked leaves nobody to send the signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if at_once else signal.SIGTERM, 0, 0, 0)
        if parent and os.getppid() != parent:
            os._exit(1)


def share_memory(pools: int = 2) -> None:
    """Have the threads of this process, and of those forked from it, take memory from so few pools.

    With one for each thread, as glibc has it, much lies unused in each. Elsewhere it does nothing.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, pools)
