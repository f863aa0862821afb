"""What a ledger that came out of a backup cannot know: which calls were made after the backup. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.model import DeliveryWork


@dataclass(frozen=True, slots=True)
class Restore:
    """One time that the ledger was put back."""

    knew_until: datetime | None  # the last thing that stood in the backup; None: nothing did
    at: datetime
    wary_until: datetime  # until then sources may tell again what was done already between the two


def doubted(work: DeliveryWork, restores: Sequence[Restore]) -> DeliveryWork:
    """The work, said to be sent where an earlier try may have reached its target before the ledger was put back.

    One that stood in the backup would have gone out under the same idempotency keys. One that was made since may have
    had a twin that is not in the ledger, and that one had other keys. A person who said "send it" is believed.
    """
    row = work.calls.get(work.step)
    if work.made_at is None or (row is not None and row.state == "send"):
        return work
    for restore in restores:
        if work.made_at >= restore.at and work.made_at < restore.wary_until:
            return replace(work, sent=True, other_keys=True)
    if any(work.made_at < restore.at and work.created_at < restore.wary_until for restore in restores):
        return replace(work, sent=True)
    return work
