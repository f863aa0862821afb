"""A process dies while a poll reads a list of several slow pages: then nothing is missed, and nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.stack import HUB, Stack, wait_for
from tests.e2e.test_main_job import spec

#: Three pages of the simulator, which shows 25 at a time here.
MANY = 52
#: What changed so long ago is in the very next look: behind the list's lag, and within the overlap.
JUST_NOW = timedelta(seconds=90)


class PollingStack(Stack):
    """A hub that no webhook tells anything: it looks every second, and gives up a dead worker's claim soon."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.write("config/hub.yaml", {"hub": {**HUB, "lease": "4s"}})
        self.names: list[str] = []

    def rewrite_connections(self) -> None:
        """With the poll of the platform."""
        super().rewrite_connections()
        known = yaml.safe_load((self.site / "config/connections.yaml").read_text("utf-8"))["connections"]
        known["returnista_eu"]["poll"] = {"changed_returns": "1s"}
        self.write("config/connections.yaml", {"connections": known})

    def changed(self, many: int, age: timedelta = JUST_NOW) -> None:
        """Let the platform hold so many new labelled returns that changed so long ago, of orders that the ERP knows."""
        at = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        new = [f"p{len(self.names) + number:03d}" for number in range(many)]
        self.names += new
        self.erp.post("/_sim/seed", {"orders": [{"number": f"E-{one}", "externalNumber": one} for one in new]})
        built = [{**spec(name, name), "updated_at": at} for name in new]
        self.platform.post("/_sim/seed", {"build": built, "quirks": {"short_pages": True}})

    def wait_ready(self) -> None:
        """With patience: what polls is at work from its first second on."""
        try:
            super().wait_ready()
        except AssertionError:
            super().wait_ready()

    def slow(self) -> None:
        """Let every page of the list take its time from now on."""
        self.platform.misbehave("list_return_orders", "slow", times=None, seconds=0.2)

    def pages(self) -> list[str]:
        """The pages that were asked for so far, by number."""
        return [request["query"]["page"][0] for request in self.platform.requests("list_return_orders")]

    def kept(self) -> list[dict[str, Any]]:
        """The events that the poll brought."""
        return list(self.api("events", limit=500)["events"])

    def dies(self, name: str, what: str, condition: Callable[[], Any]) -> None:
        """End a process by force at a moment, and start it anew."""
        wait_for(what, condition, 60)
        self.kill(name)
        self.start(name)

    def alive(self) -> bool:
        """Check that every process runs; always true."""
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        assert not ended, f"ended: {ended}: {self.logs()}"
        return True

    def all_once(self) -> None:
        """Check that everything was announced, each return once, and that each came in as one event."""
        self.changed(1)
        self.platform.behave()
        wait_for("all announced", lambda: self.alive() and len(self.announcements()) >= len(self.names), 90)
        wait_for("all done", lambda: len(self.deliveries(state="done", limit=500)) == len(self.names), 30)
        # It goes on looking, over what it has read before, and brings nothing more.
        seen = len(self.pages())
        wait_for("further looks", lambda: len(self.pages()) >= seen + 6, 60)
        told = [body["rmaNumber"] for body in self.announcements()]
        assert len(told) == len(set(told)) == len(self.names)
        assert [event["state"] for event in self.kept()] == ["done"] * len(self.names)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PollingStack]:
    """A hub whose very first look meets a slow list of what changed long ago. Each test adds returns of its own."""
    made = PollingStack(tmp_path_factory.mktemp("polling"))
    try:
        made.changed(MANY, timedelta(hours=2))
        made.slow()
        made.up()
        yield made
    except BaseException:
        print(made.logs())
        raise
    finally:
        made.stop()


@pytest.mark.parametrize("name", ["worker", "clock"])
def test_a_process_killed_between_two_pages_misses_nothing(stack: PollingStack, name: str) -> None:
    stack.slow()
    stack.changed(MANY)
    seen = len(stack.pages())
    stack.dies(name, "a second page", lambda: "2" in stack.pages()[seen:])
    stack.all_once()


def test_a_worker_killed_while_items_are_being_kept_brings_none_twice(stack: PollingStack) -> None:
    stack.slow()
    before = len(stack.kept())
    stack.changed(MANY)
    stack.dies("worker", "the first new events", lambda: len(stack.kept()) > before)
    stack.all_once()


def test_a_worker_killed_again_and_again_reads_the_list_to_its_end(stack: PollingStack) -> None:
    stack.slow()
    stack.changed(MANY)
    for further in (1, 2, 3):
        seen = len(stack.pages())
        stack.dies("worker", "pages", lambda seen=seen, further=further: len(stack.pages()) >= seen + further)
    stack.all_once()
