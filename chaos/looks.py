"""What a run sees of the hub while it works: how much waits, and how much it has brought about."""

from __future__ import annotations

import re
from collections import Counter

import requests

from chaos.stage import Stage

_WAITING = re.compile(r"^backhaul_waiting\{(?P<labels>[^}]*)\} (?P<amount>[0-9.e+]+)$", re.MULTILINE)
_STATE = re.compile(r'state="([^"]*)"')


class Looks:
    """Looks at a stage. Cheap enough for several times a second."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._last = dict.fromkeys(stage.urls, 0)
        self._counted = 0

    def effects(self) -> int:
        """How many requests have changed something until now. What is only asked, polls and look-ups, never ends."""
        for name, last in self._last.items():
            for one in self._stage.recorded(name, last):
                self._last[name] = one.number
                self._counted += one.effect != ""
        return self._counted

    def waiting(self) -> Counter[str] | None:
        """How much is not finished, by its state; None while the hub cannot tell."""
        try:
            answer = self._stage.http.get(f"{self._stage.hub_url}/metrics", timeout=10)
        except requests.RequestException:
            return None
        if answer.status_code != 200:
            return None
        found: Counter[str] = Counter()
        for told in _WAITING.finditer(answer.text):
            state = _STATE.search(told["labels"])
            found[state[1] if state else "?"] += int(float(told["amount"]))
        return found
