"""A vendor's system misbehaves, in one operation or in all of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.fault_kit import Fault
from chaos.stage import Stage
from chaos.stage_site import TIMEOUT_S

ALL = "*"
#: What is disturbed: the operations of each simulator that the example site calls.
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "platform": ("get_return_order", ALL),
    "erp": ("find_order", "create_credit_note", "post_refund", ALL),
    "warehouse": ("announce_return", "update_tracking", "cancel_return", ALL),
    "refunds": ("create_fulfillment_return", "create_refund", "get_fulfillment_return", ALL),
    "shop": ("get_order", "resolve_return", "set_return_address"),
    "portal": ("wms_update", "push_orders", "list_return_orders"),
    "stores": ("get_job", "list_jobs", "patch_line", "list_returns"),
}
#: Of these, calls that end their delivery.
LAST: Mapping[str, tuple[str, ...]] = {
    "warehouse": ("announce_return", "update_tracking", "cancel_return"),
    "refunds": ("create_refund",),
    "shop": ("set_return_address",),
    "stores": ("patch_line",),
}


class TargetFault(Fault):
    """One mode of the simulators, for a while or for some requests."""

    mode: ClassVar[str]
    fixed: ClassVar[Mapping[str, Any]] = {}
    shortest_s, longest_s = 2.0, 8.0
    #: So many requests at most; None as many as come while it lasts.
    most: ClassVar[int | None] = None

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """Where, and how often."""
        simulator = chance.choice(sorted(OPERATIONS))
        chosen: dict[str, Any] = {"simulator": simulator, "operation": chance.choice(OPERATIONS[simulator])}
        return chosen | {"times": chance.randint(1, cls.most) if cls.most else None}

    def _break(self, stage: Stage) -> None:
        where = (self.details["simulator"], self.details["operation"])
        stage.misbehave(*where, self._mode(), self.details["times"], **self.fixed)

    def _mend(self, stage: Stage) -> None:
        stage.misbehave_no_more(self.details["simulator"], self.details["operation"], self._mode())

    def _mode(self) -> str:
        return str(self.details.get("mode", self.mode))


class TargetDrop(TargetFault):
    """In doubt: it was done, and nobody said so."""

    name, about, mode, most = "target_drop", "the target applies the call, then hangs up without an answer", "drop", 5


class TargetLate(TargetFault):
    """In doubt, too."""

    name, about, mode, most = "target_late", "the target applies the call and answers after the time-out", "slow", 5
    fixed: ClassVar[Mapping[str, Any]] = {"seconds": TIMEOUT_S + 2.0}


class Target429(TargetFault):
    """It is to be asked less often."""

    name, about, mode = "target_429", "the target answers 429 with Retry-After", "429"
    fixed: ClassVar[Mapping[str, Any]] = {"retry_after": 2}


class Target503(TargetFault):
    """It is down."""

    name, about, mode = "target_503", "the target answers 503", "503"


class TargetHtml502(TargetFault):
    """A proxy in front of it has lost it."""

    name, about, mode = "target_html502", "a proxy answers 502 in HTML", "html502"


class TargetTruncated(TargetFault):
    """Half of the JSON comes, once as if that were all of it, once less than was promised."""

    name, about = "target_truncated", "the target's JSON is cut off, its Content-Length right or wrong"
    mode, most = "truncated", 3

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """Which of the two."""
        return super().choose(chance) | {"mode": chance.choice(("truncated", "too_short"))}


class TargetHuge(TargetFault):
    """More than anybody wants to read."""

    name, about, mode, most = "target_huge", "the target answers with 1 GB", "huge", 3


class TargetDrip(TargetFault):
    """Never silent, never done."""

    name, about, mode, most = "target_drip", "the target answers a byte a second", "drip", 3


class TargetWrongStatus(TargetFault):
    """It says something else than it did."""

    name, about = "target_wrong_status", "the target applies the call and answers 418, or 301 to elsewhere"
    mode, most = "wrong_status", 3

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """Where, and which of the two.

        A refusal is believed, and what should follow is for a person: so it meets calls that nothing follows.
        """
        simulator = chance.choice(sorted(LAST))
        where = {"simulator": simulator, "operation": chance.choice(LAST[simulator])}
        return super().choose(chance) | where | {"status": chance.choice((418, 301))}

    def _break(self, stage: Stage) -> None:
        told = self.details
        stage.misbehave(told["simulator"], told["operation"], self.mode, told["times"], status=told["status"])


class TargetTls(TargetFault):
    """No HTTP at all."""

    name, about, mode, most = "target_tls", "the target answers a TLS alert instead of HTTP, and closes", "garbage", 5


TARGETS: tuple[type[TargetFault], ...] = (
    TargetDrop,
    TargetLate,
    Target429,
    Target503,
    TargetHtml502,
    TargetTruncated,
    TargetHuge,
    TargetDrip,
    TargetWrongStatus,
    TargetTls,
)
