"""Leaves the processor to others: a worker's calls may wait, a sender at the door should not."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

#: Linux's word for it, by session; see `be_nice`.
_OWN_GROUP = Path("/proc/self/autogroup")
#: A user who is not root may change the level of one session each 0.1 s, whoever asks; several workers begin together.
_AGAIN_S, _TRIES = 0.1, 50


def be_nice(level: int, group: Path = _OWN_GROUP) -> None:
    """Have this process give way to those with a lower level while the processors are busy; it keeps a higher one.

    `level` is 0 (as everybody) to 19. To be called before there are threads: those that begin later inherit it.
    Linux may share processors among sessions first, among the processes of a session after that (man 7 sched, "The
    autogroup feature"): a process that leads a session gives the session its level, too. Where the system allows
    neither, nothing changes.
    """
    os.nice(max(0, level - os.nice(0)))
    if level and os.getsid(0) == os.getpid():
        with suppress(OSError):
            _give_level(group, level)


def _give_level(group: Path, level: int) -> None:
    for _ in range(_TRIES):
        try:
            # Not made where there is none: it is the kernel's.
            with group.open("r+") as told:
                told.write(str(level))
            return
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            time.sleep(_AGAIN_S)
