"""What RQ may run: one function, which says that a lane may have work."""

from __future__ import annotations

from app.pipeline.worker import current_engine


def drain(lane: str) -> None:
    """Tell the engine of this process that `lane` ("in:shop", "out:wms") may have work. Returns at once."""
    current_engine().drain(lane)
