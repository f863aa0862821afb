"""When leases have ended, for a clock that may be put forward: nobody who still works may lose what he has in hand.

Who holds a lease renews it by a clock that always runs (`monotonic`), so within half a lease of any jump. Until then
this time goes on as before the jump.
"""

from __future__ import annotations

import threading

from app.adapters.ledger.columns import to_ms
from app.core.ports import Clock

#: A clock that is further ahead than this from one look to the next was put forward, in milliseconds.
_JUMP_MS = 1_000


class Lapse:
    """Tells the time that ends leases. Used by all threads of a process."""

    def __init__(self, *, wary: bool = False) -> None:
        """`wary`: for all it knows the clock was put forward a moment before the first look."""
        self._lock = threading.Lock()
        self._wary = wary
        self._offset: int | None = None  # of the clock to the monotonic one, as it is believed
        self._ahead_since: int | None = None
        self._ahead = 0  # the offset since then

    def ms(self, clock: Clock, lease_s: float) -> int:
        """Leases that end at this millisecond or before have ended. `lease_s` is how long they last."""
        monotonic = int(clock.monotonic() * 1000)
        offset = to_ms(clock.now()) - monotonic
        with self._lock:
            if self._offset is None and not self._wary:
                self._offset = offset
            if self._offset is not None and offset <= self._offset + _JUMP_MS:
                self._offset, self._ahead_since = offset, None
            elif self._ahead_since is None or abs(offset - self._ahead) > _JUMP_MS:
                self._ahead_since, self._ahead = monotonic, offset
            elif monotonic - self._ahead_since >= lease_s * 500 + _JUMP_MS:
                self._offset, self._ahead_since = offset, None
            return 0 if self._offset is None else monotonic + self._offset
