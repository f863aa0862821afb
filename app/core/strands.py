"""Strands: pieces of work that share one thread. Whoever has to wait in one lets the others go on meanwhile.

What runs in a strand is written like any other code: it asks here where it would block. Outside of strands all of it
blocks as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class Carrier(Protocol):
    """The thread that carries strands."""

    def until_ready(self, fd: int, until: float, *, write: bool = False) -> bool:
        """Wait in the strand that asks until a socket can be read or written; False when it could not by `until`.

        `until` is monotonic seconds.
        """

    def until_done(self, do: Callable[[], object]) -> None:
        """Wait in the strand that asks until another thread has done this."""


class Strand(greenlet):
    """One of the strands of a thread."""

    def __init__(self, run: Callable[..., object], carrier: Carrier) -> None:
        super().__init__(run)
        self.carrier = carrier


def carrier() -> Carrier | None:
    """Who carries the strand that asks; None outside of strands."""
    here = getcurrent()
    return here.carrier if isinstance(here, Strand) else None


def aside(do: Callable[[], T]) -> T:
    """Do what may block for long: in a strand it gets a thread of its own, and the other strands go on.

    Returns and raises what `do` does. It must not be called with a lock in hand, for another strand of the same thread
    may want that.
    """
    here = carrier()
    if here is None:
        return do()
    given: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            given.append(do())
        except BaseException as error:
            raised.append(error)

    here.until_done(run)
    if raised:
        raise raised[0]
    return given[0]
