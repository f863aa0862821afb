"""What a process asks of the system for itself and its children."""

from __future__ import annotations

import ctypes
import gc
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
    """To be called with everything loaded and before threads start: what this process has in memory stays shared with
    those that are forked from it, as far as that goes. Whoever writes to a page gets one of its own.

    The threads of all of them take memory from so few pools: with one for each thread, as glibc has it, much lies
    unused in each.
    """
    gc.collect()
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            libc = ctypes.CDLL(None)
            libc.mallopt(_M_ARENA_MAX, pools)
            # What was given back lies in lists that each process would put in order for itself, writing all over.
            libc.malloc_trim(0)
    # Names that were looked up lately: each new one would count down the users of an old one, wherever that lies.
    sys._clear_type_cache()
    # What is there now stays: looking through it for garbage would write to all of it.
    gc.freeze()
