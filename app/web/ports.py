"""What the web application needs of the world, as protocols; `app.bootstrap` builds what fulfils them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from app.core.api_tokens import ApiToken, Role
from app.core.lane_state import LaneState
from app.core.polls import PollState
from app.model import Json, ReferenceKey, Rejection
from app.pipeline.bridge_ports import BridgeLedger
from app.pipeline.engine_ports import CallingServices
from app.pipeline.receipts import ReceiptLedger
from app.pipeline.story import StoryLedger

Row = Mapping[str, Any]
Verdict = Literal["delivered", "retry", "dead"]


class TokenLedger(Protocol):
    """The part of the ledger that knows who may use the API."""

    def api_token(self, token_id: str) -> ApiToken | None:
        """What is kept of a token."""

    def api_tokens(self) -> Sequence[ApiToken]:
        """All tokens that were ever made, the newest first."""

    def used_api_token(self, token_id: str) -> None:
        """Note that a token was used now."""

    def new_api_token(self, name: str, role: Role, who: str, expires_at: datetime | None) -> tuple[ApiToken, str]:
        """Make a token; what is kept of it, and itself. Raises DataError."""

    def revoke_api_token(self, name_or_id: str, who: str) -> ApiToken:
        """Let a token open nothing any more. Raises DataError."""


class WebLedger(TokenLedger, Protocol):
    """The part of the ledger that the API, health and metrics read, and the acts of a person."""

    def ping(self) -> None:
        """Raises LedgerUnavailable when it cannot be read."""

    def lease(self, name: str) -> tuple[str, datetime] | None:
        """Who holds a named lease, and until when."""

    def counters(self) -> Mapping[tuple[str, str], float]:
        """All kept counters: {(name, labels as JSON): amount}."""

    def waiting(self) -> Sequence[tuple[str, str, str, int, datetime]]:
        """(event or delivery, connection, state, how many, since when the oldest), of all that is not final."""

    def fact(self, name: str) -> tuple[datetime, Json] | None:
        """What the hub keeps of itself under a name, and since when."""

    def polls(self) -> Sequence[PollState]:
        """Where every poll stands that was ever on or run by hand."""

    def lanes(self) -> Sequence[LaneState]:
        """The connections that were ever paused or failed."""

    def events(self, filters: Mapping[str, str], limit: int) -> Sequence[Row]:
        """Events, newest first. Raises ValueError for a filter that there is not."""

    def event(self, event_id: str) -> Row | None:
        """One event with its body."""

    def deliveries(self, filters: Mapping[str, str], limit: int) -> Sequence[Row]:
        """Deliveries, newest first. Raises ValueError for a filter that there is not."""

    def delivery(self, delivery_id: str) -> Row | None:
        """One delivery with its attempts."""

    def tasks(self, filters: Mapping[str, str], limit: int) -> Sequence[Row]:
        """Tasks, newest first. Raises ValueError for a filter that there is not."""

    def task(self, task_id: str) -> Row | None:
        """One task."""

    def open_tasks(self) -> int:
        """How many tasks are open."""

    def close_task(self, task_id: str, who: str, note: str) -> bool:
        """Close a task; False when it is not open."""

    def references(self, text: str | None, limit: int) -> Sequence[Row]:
        """Translations, history included; of the number `text` when given."""

    def acts(self, target: str | None, limit: int, *, who: str | None) -> Sequence[Row]:
        """What people did, oldest first."""

    def rejections(self, limit: int) -> Sequence[Rejection]:
        """What was turned away at the door, newest first."""

    def retry(self, ids: Sequence[str], who: str) -> list[str]:
        """Make these due now; the ids of those that could be."""

    def send_again(self, ids: Sequence[str], who: str, why: str, call: int | None) -> list[str]:
        """Carry out what is done once more, under new idempotency keys; the ids of those that could be."""

    def resolve(self, delivery_id: str, verdict: Verdict, who: str, *, next_lane: str) -> bool:
        """Settle what is in doubt or waits for a person; False when it does neither."""

    def set_reference(self, key: ReferenceKey, to_id: str, who: str) -> Sequence[str]:
        """Say what a number is in another system; the ids of the deliveries that waited for it."""

    def pause(self, connection: str, because: str, who: str) -> None:
        """Stop calling a connection."""

    def resume(self, connection: str, who: str) -> None:
        """Call a connection again."""


class HubLedger(WebLedger, BridgeLedger, ReceiptLedger, StoryLedger, Protocol):
    """All of the ledger that the web process uses."""


class Wakes(Protocol):
    """What tells the workers that a lane has work."""

    def wake(self, lane: str) -> object:
        """Wake one. Raises QueueUnavailable."""


class WebServices(CallingServices, Protocol):
    """The built hub, as far as the web application uses it."""

    @property
    def ledger(self) -> HubLedger:
        """The ledger."""

    @property
    def wakes(self) -> Wakes | None:
        """Wakes the workers; None when only the clock does."""
