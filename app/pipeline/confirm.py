"""Confirm: the source is asked again, just before the first call, whether what a delivery tells is still true."""

from __future__ import annotations

from app.core.holding import holds
from app.core.ports import Clock, Ids
from app.core.site import Site
from app.model import Attempt, DeliveryFinish, DeliveryWork
from app.pipeline.call import Caller
from app.pipeline.finish import Finisher
from app.pipeline.reread import Rereader


class Confirmation:
    """Asks sources again."""

    def __init__(self, site: Site, caller: Caller, clock: Clock, ids: Ids, finisher: Finisher) -> None:
        self._rereader = Rereader(site, caller, clock, ids)
        self._ids, self._finisher = ids, finisher

    def ask(self, work: DeliveryWork, attempts: list[Attempt]) -> DeliveryFinish | None:
        """What to write when the change no longer holds, or when its source cannot say; None: it holds.

        `attempts` grow by the call that asked. What the source shows is not kept: its own events tell of it. Raises
        `DataError` when the answer cannot be read.
        """
        source, document = work.document.connection, work.document
        if not self._rereader.can(source):
            because = f"connection {source!r} cannot be asked whether {work.change.name} still holds"
            todo = "give its connector inbound.read, or take `confirm` from the route"
            return self._finisher.dead(work, f"{because}; {todo}, then retry", "config")
        again = self._rereader.reread(source, document)
        if again.called is not None:
            attempts.append(
                again.called.attempt(self._ids, "fetch", work.attempts, delivery_id=work.delivery_id, step=work.step)
            )
        if again.blocked is not None:
            return self._finisher.blocked(work, again.blocked)
        if again.failed is not None:
            because = f"asking {source} again: {again.failed.because}"
            if again.failed.result != "rejected":
                return self._finisher.again(work, because, again.failed.fault, again.failed.retry_after_s)
            if again.failed.status != 404:
                return self._finisher.dead(work, because, again.failed.fault)
            return self._finisher.skipped(work, f"{document.kind} {document.object_id} is gone from {source} (404)")
        assert again.document is not None
        if holds(work.change, again.document.body):
            return None
        return self._finisher.skipped(work, f"{work.change.name} no longer holds: {source} was asked again")
