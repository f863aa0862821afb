"""One return is poison: its call kills whoever makes it, or its mapping makes more than anybody can hold."""

from __future__ import annotations

import random
from typing import Any

from chaos.fault_kit import Fault
from chaos.stage import Stage
from chaos.stage_site import POISON_CALL, POISON_MAPPING, POISON_ROUTE


class PoisonCall(Fault):
    """Lasts until the hub has set the delivery aside, or to the end of the run."""

    name, about = "poison_call", "each call of one return's announcement kills the worker that makes it"
    group = "poison"
    shortest_s, longest_s = 120.0, 180.0

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """Where; and by which text in the body its calls are known."""
        return {"simulator": "warehouse", "operation": "announce_return", "body_has": POISON_CALL}

    def _break(self, stage: Stage) -> None:
        told = self.details
        stage.misbehave(told["simulator"], told["operation"], "kill_caller", body_has=told["body_has"])

    def _mend(self, stage: Stage) -> None:
        stage.misbehave_no_more(self.details["simulator"], self.details["operation"], "kill_caller")


class PoisonMapping(Fault):
    """Nothing is broken at its beginning: it is there as long as a return with this id is sent."""

    name, about = "poison_mapping", f"the mapping of one return ({POISON_MAPPING}) swells beyond the language's bounds"

    @classmethod
    def choose(cls, chance: random.Random) -> dict[str, Any]:
        """Which return, and which route is to end dead."""
        return {"id": POISON_MAPPING, "route": POISON_ROUTE}

    def _break(self, stage: Stage) -> None:
        if not (stage.site / "mappings" / f"return.to_{POISON_ROUTE}.yaml").exists():
            raise RuntimeError("the run's site has no mapping that swells")
