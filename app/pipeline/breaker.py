"""The circuit breaker of a connection: pure steps from one `LaneState` to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from app.core.lane_state import LaneState
from app.core.retry import LONGEST_RETRY_AFTER_S
from app.core.site import BreakerPolicy
from app.model import Outcome

#: What an answer says about the target, apart from what it means for the call.
Sign = Literal["alive", "failing", "busy", "refused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a connection may be called: freely, once for trial, or not (until when, if that is known)."""

    may: Literal["call", "try", "wait"]
    because: str = ""
    until: datetime | None = None


#: The verdict on a connection of which nothing bad is known.
CALL = Verdict("call")


def is_calm(state: LaneState) -> bool:
    """Whether the connection may be called at any time."""
    return not (state.paused or state.opened_times or state.open_until)


def verdict(state: LaneState, now: datetime) -> Verdict:
    """Whether the connection may be called now."""
    if state.paused:
        return Verdict("wait", f"paused: {state.because}")
    if state.open_until is not None and state.open_until > now:
        return Verdict("wait", state.because, state.open_until)
    if state.opened_times > 0:
        return Verdict("try", state.because)
    return CALL


def sign_of(outcome: Outcome) -> Sign:
    """What an outcome says about the target: a clear no is as alive as a yes."""
    if outcome.pause:
        return "refused"
    if outcome.status == 429 and outcome.retry_after_s is not None:
        return "busy"
    if outcome.result in ("delivered", "rejected", "review", "restart"):
        return "alive"
    if outcome.fault in ("config", "data"):
        return "alive"
    waits = outcome.status is not None and 400 <= outcome.status < 500 and outcome.status not in (408, 429)
    return "alive" if waits else "failing"


def after(state: LaneState, outcome: Outcome, policy: BreakerPolicy, now: datetime) -> LaneState:
    """The state after one more answer (or none). Equal to the old one when nothing changed."""
    sign = sign_of(outcome)
    if sign == "refused":
        return state
    if sign == "failing":
        return _failed(state, outcome, policy, now)
    if state.failures or state.opened_times:
        # One answer is enough: the target is back.
        state = replace(state, failures=0, opened_times=0, open_until=None, because="")
    if sign == "busy":
        return _shut(state, now, outcome.retry_after_s or 0.0, outcome.because)
    return state


def _failed(state: LaneState, outcome: Outcome, policy: BreakerPolicy, now: datetime) -> LaneState:
    state = replace(state, failures=state.failures + 1)
    asked = outcome.retry_after_s
    open_now = state.open_until is not None and state.open_until > now
    if open_now and state.opened_times:
        # Calls that were under way when it opened do not open it again.
        return state
    if state.opened_times or state.failures >= policy.failures:
        times = state.opened_times + 1
        wait = min(policy.open_s * 2 ** min(times - 1, 30), policy.longest_s)
        because = f"{state.failures} failures in a row, the last: {outcome.because}"
        state = replace(state, opened_times=times)
        return _shut(state, now, max(wait, min(asked or 0.0, LONGEST_RETRY_AFTER_S)), because)
    if asked:
        return _shut(state, now, asked, outcome.because)
    return state


def _shut(state: LaneState, now: datetime, wait_s: float, because: str) -> LaneState:
    until = now + timedelta(seconds=min(wait_s, LONGEST_RETRY_AFTER_S))
    if state.open_until is not None and state.open_until >= until:
        return state
    return replace(state, open_until=until, because=because)
