"""The process that answers a bridge dies in the middle of it: asked again, the shop has resolved once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import ROOT, TOKEN, Simulator, Stack, running, wait_for

ORDER = json.loads((ROOT / "connectors/generic_shop/fixtures/get_order__two_lines.json").read_text("utf-8"))
QUESTION = json.loads((ROOT / "connectors/returnista_bridge/fixtures/resolve-return__refund.json").read_text("utf-8"))
#: So short that a question is soon free again after the process that held it has died.
DEADLINE = "5s"


class BridgeStack(Stack):
    """A hub with the example site's bridges, between the platform and a shop."""

    def __init__(self, folder: Path) -> None:
        self.shop = Simulator("generic_shop", folder, "--token", TOKEN)
        super().__init__(folder)
        (self.site / "config/flows").mkdir()
        flow = yaml.safe_load((ROOT / "config/flows/bridge.yaml").read_text("utf-8"))
        self.write("config/flows/bridge.yaml", {"bridges": [{**one, "deadline": DEADLINE} for one in flow["bridges"]]})

    def rewrite_connections(self) -> None:
        """With the shop, and the platform where it asks."""
        super().rewrite_connections()
        known = yaml.safe_load((self.site / "config/connections.yaml").read_text("utf-8"))["connections"]
        store = {"connector": "generic_shop", "settings": {"base_url": self.shop.url, "token": "${SIM_TOKEN}"}}
        asker = {
            "connector": "returnista_bridge",
            "settings": {"secrets": ["${SIM_SECRET}"]},
            "limits": {"timeout": "3s"},
        }
        self.write("config/connections.yaml", {"connections": {**known, "store": store, "returnista_bridge": asker}})

    def stop(self) -> None:
        """End everything."""
        super().stop()
        self.shop.process.kill()
        self.shop.process.wait(10)

    def ask(self) -> tuple[int, str]:
        """Let the platform ask, signed; status 0 when nobody answers."""
        wanted = {"url": f"{self.url}/bridge/returnista_bridge/resolve-return", "request": QUESTION}
        said = self.platform.post("/_sim/ask", wanted)
        return said["statuses"][0], said["answers"][0]

    def answered(self) -> str:
        """Ask, as the platform does, until there is an answer."""
        said: str = wait_for("an answer", lambda: (one := self.ask())[0] == 200 and one[1], 60)
        return said

    def resolutions(self) -> list[dict[str, Any]]:
        """What the shop was asked to resolve, in order."""
        return self.shop.requests("resolve_return")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[BridgeStack]:
    with running(BridgeStack(tmp_path)) as stack:
        stack.shop.post("/_sim/seed", {"orders": [ORDER]})
        yield stack


@contextmanager
def asking(hub: BridgeStack) -> Iterator[Future[tuple[int, str]]]:
    """A question that is on its way while the test goes on."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(hub.ask)
        finally:
            # Whatever failed: nobody waits for what the shop holds back.
            hub.shop.behave()


def _resolved_once(hub: BridgeStack) -> None:
    first, again = hub.answered(), hub.answered()
    assert first == again
    assert json.loads(first)["externalId"] == "RES-000001"
    made = hub.resolutions()
    assert [one["effect"] for one in made if one["effect"]] == ["resolved RES-000001 of 1004800: REFUND"]
    assert len({one["headers"]["Idempotency-Key"] for one in made}) == 1
    assert "resolve_return asked by returnista_bridge: answered, 200" in hub.cli("trace", QUESTION["transactionId"])


@pytest.mark.parametrize(("fault", "done"), [("timeout", False), ("timeout_after_apply", True)])
def test_a_process_killed_while_the_shop_has_not_answered_leaves_one_resolution(
    hub: BridgeStack, fault: str, done: bool
) -> None:
    hub.shop.misbehave("resolve_return", fault)
    with asking(hub) as first:
        wait_for("the shop was asked", hub.resolutions)
        wait_for("its effect, if any", lambda: bool(hub.shop.effects()) is done)
        hub.kill("web")
        assert first.result(30)[0] == 0
    hub.start("web")
    hub.wait_ready()
    _resolved_once(hub)
    assert [bool(one["effect"]) for one in hub.resolutions()] == [done, not done]


def test_a_process_killed_after_the_shop_resolved_and_before_the_answer_was_kept_leaves_one_resolution(
    hub: BridgeStack,
) -> None:
    hub.shop.misbehave("resolve_return", "slow", seconds=1.0)
    with asking(hub) as first, closing(sqlite3.connect(hub.folder / "ledger.db", isolation_level=None)) as other:
        wait_for("the shop was asked", hub.resolutions)
        # Nothing can be written while somebody else does: the answer comes, and is not kept.
        other.execute("BEGIN IMMEDIATE")
        wait_for("the shop has answered", lambda: hub.resolutions()[0]["ended_at"])
        hub.kill("web")
        other.execute("ROLLBACK")
        assert first.result(30)[0] == 0
    hub.start("web")
    hub.wait_ready()
    _resolved_once(hub)
    assert [bool(one["effect"]) for one in hub.resolutions()] == [True, False]
