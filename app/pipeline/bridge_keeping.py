"""What is kept of a question: so much that nothing is done twice, and of persons as little as that takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from app.core.bridges import BridgeFinish, BridgeState, Question
from app.core.jsontext import dumps
from app.core.masking import HIDDEN, Masker
from app.core.ports import Clock
from app.errors import LedgerUnavailable
from app.model import Attempt, Json
from app.pipeline.bridge_ports import BridgeKeeper
from app.pipeline.bridge_state import Walk

log = structlog.get_logger()

#: Larger bodies of questions and calls are not kept, in bytes.
KEPT_MOST = 64 * 1024
#: An e-mail address within an address of the web.
_QUOTED_EMAIL = re.compile(r"[^/?&=\s]+%40[^/?&=\s]+", re.IGNORECASE)


class Keeping:
    """One question, held by a token until `held_until` on the clock that never runs backwards."""

    def __init__(
        self,
        ledger: BridgeKeeper,
        question: Question,
        token: str,
        masker: Masker,
        held_until: float,
        clock: Clock,
        count: Callable[[Sequence[Attempt]], object],
    ) -> None:
        """`count` is told the tries that were written."""
        self._ledger, self._token, self._masker, self._count = ledger, token, masker, count
        self._question = replace(question, request=_bounded(question.request))
        self._held_until, self._clock = held_until, clock

    def save(self, walk: Walk) -> bool:
        """Write how far it came; False when it is somebody else's by now. Raises `LedgerUnavailable`."""
        if self._question.key is None:
            return True
        if self._clock.monotonic() >= self._held_until:
            return False
        return self._written(walk, "running", "")

    def finish(self, walk: Walk, state: BridgeState, because: str, status: int, answer: str = "") -> bool:
        """Write what became of it; False when it is somebody else's by now.

        Raises `LedgerUnavailable` for a question with a key: then nobody may be told an answer.
        """
        because = self._masker.text(because)
        if self._question.key is not None:
            kept = answer if state == "answered" else ""
            return self._written(walk, state, because, status, kept)
        over: BridgeState = "answered" if status < 400 else "failed"
        try:
            self._ledger.keep_bridge(self._question, self._reached(walk, over, because, status))
            self._count(walk.attempts_made)
        except LedgerUnavailable as error:
            # It changed nothing anywhere: that it was asked is all that is lost.
            log.warning("bridge.not_kept", question_id=walk.delivery_id, because=str(error))
        return True

    def let_go(self, walk: Walk) -> None:
        """After a fault of the hub's own: whoever asks again may go on at once, as far as that is safe."""
        with suppress(LedgerUnavailable):
            self.finish(walk, "in_doubt" if walk.sent else "waiting", "the hub itself failed; see its log", 500)

    def _written(self, walk: Walk, state: BridgeState, because: str, status: int = 0, answer: str = "") -> bool:
        held = self._ledger.finish_bridge(self._token, self._reached(walk, state, because, status, answer))
        self._count(walk.attempts_made)
        walk.written()
        return held

    def _reached(self, walk: Walk, state: BridgeState, because: str, status: int = 0, answer: str = "") -> BridgeFinish:
        return BridgeFinish(
            id=walk.delivery_id,
            state=state,
            because=because,
            calls=tuple(walk.calls),
            sent=walk.sent,
            status=status,
            answer=answer,
            attempts=tuple(self._masked(attempt) for attempt in walk.attempts_made),
            references=tuple(walk.references),
            identifiers=tuple(walk.identifiers),
        )

    def _masked(self, attempt: Attempt) -> Attempt:
        because = self._masker.text(attempt.outcome.because)
        request = self._whole(attempt.request)
        request["url"] = _QUOTED_EMAIL.sub(HIDDEN, str(request.get("url", "")))
        outcome = replace(attempt.outcome, because=because)
        return replace(attempt, request=request, response=self._whole(attempt.response), outcome=outcome)

    def _whole(self, told: Json) -> dict[str, Any]:
        masked: dict[str, Any] = self._masker.value(told)
        return {name: _bounded(part) if name in ("body", "text") else part for name, part in masked.items()}


def _bounded(body: Json) -> Json:
    size = len(dumps(body))
    return body if size <= KEPT_MOST else f"{size:,} bytes, not kept"
