"""What a story needs of the ledger, as small protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from app.pipeline.ports import ObjectKey

#: A row of the ledger: times as ISO text, JSON as values.
Row = Mapping[str, Any]


class StoryRows(Protocol):
    """What the ledger knows of some objects: rows with times as ISO text and JSON as values."""

    @property
    def objects(self) -> Sequence[ObjectKey]:
        """The objects themselves."""

    @property
    def identifiers(self) -> Sequence[Row]:
        """Their numbers."""

    @property
    def events(self) -> Sequence[Row]:
        """The messages about them."""

    @property
    def documents(self) -> Sequence[Row]:
        """The pictures of them."""

    @property
    def changes(self) -> Sequence[Row]:
        """What was new."""

    @property
    def deliveries(self) -> Sequence[Row]:
        """What was to be done about it."""

    @property
    def attempts(self) -> Sequence[Row]:
        """Every try at every call."""

    @property
    def references(self) -> Sequence[Row]:
        """The translations that were used or are waited for."""

    @property
    def tasks(self) -> Sequence[Row]:
        """What asked for a person."""

    @property
    def questions(self) -> Sequence[Row]:
        """What bridges were asked."""

    @property
    def audit(self) -> Sequence[Row]:
        """What people did."""


class StoryLedger(Protocol):
    """The part of the ledger that knows stories."""

    def find(self, number: str) -> Sequence[ObjectKey]:
        """The objects with this number, and those linked to them."""

    def story(self, objects: Sequence[ObjectKey]) -> StoryRows:
        """Everything about these objects."""

    def event(self, event_id: str) -> Row | None:
        """One event with its tries and what people did to it."""
