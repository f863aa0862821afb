"""Lists of returns are read to their end, each return once, whatever the platform's pages look like."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import requests

from app.adapters.files import load_site
from app.adapters.http import HttpSender
from app.adapters.ledger import open_ledger
from app.adapters.system import SystemClock
from app.core.site import Site
from app.pipeline.call import Caller
from app.pipeline.gates import Gates
from connectors.returnista.simulator import create_app
from tests.connectors.example_site import ROOT, environment
from tests.connectors.hub_kit import socket

IDS = {f"ro-{number:03d}" for number in range(120)}


class Platform:
    """The simulated platform with a caller that talks to it."""

    def __init__(self, url: str, caller: Caller) -> None:
        self.url, self.caller = url, caller

    def quirk(self, name: str) -> None:
        requests.post(f"{self.url}/_sim/seed", json={"quirks": {name: True}}, timeout=5)

    def pages(self) -> list[dict[str, Any]]:
        found = requests.get(f"{self.url}/_sim/requests?operation=list_return_orders", timeout=5).json()
        return [one["query"] for one in found["requests"]]

    def ids(self, **args: str) -> list[str]:
        return [item["id"] for item in self.caller.pages("returnista_eu", "list_return_orders", args)]


@cache
def _site(url: str) -> Site:
    return load_site(ROOT, env=environment(RETURNISTA_URL=url))


@pytest.fixture
def platform(sqlite_ledger_url: str) -> Iterator[Platform]:
    place, url = socket("returnista")
    place.app = create_app()
    lines = [{"order": "#1004800", "sku": "A"}]
    specs = [{"id": one, "lines": lines} for one in sorted(IDS)]
    requests.post(f"{url}/_sim/seed", json={"build": specs}, timeout=5)
    site = _site(f"{url}/api/v0")
    clock, http = SystemClock(), HttpSender()
    ledger = open_ledger(sqlite_ledger_url, clock=clock)
    gates = Gates({}, site.hub.breaker, ledger, clock, "test")
    try:
        yield Platform(url, Caller(site, gates, http, clock))
    finally:
        gates.stop()
        http.close()
        ledger.close()


@pytest.mark.parametrize("quirk", ["short_pages", "repeat_last", "no_next_page"])
def test_odd_pages_give_every_return_once(platform: Platform, quirk: str) -> None:
    platform.quirk(quirk)
    found = platform.ids()
    assert len(found) == len(set(found))
    assert set(found) == IDS


def test_pages_are_asked_for_with_50_and_with_repeated_expansions(platform: Platform) -> None:
    platform.ids()
    first, *_, last = platform.pages()
    assert (first["limit"], first["page"], last["page"]) == (["50"], ["1"], ["3"])
    assert first["expand"] == ["consumer", "shipments", "returnRequests"]


def test_a_page_that_names_itself_as_the_next_one_does_not_loop(platform: Platform) -> None:
    platform.quirk("next_page_stuck")
    assert set(platform.ids()) <= IDS
    assert len(platform.pages()) < 5


def test_a_filter_goes_to_the_platform(platform: Platform) -> None:
    assert platform.ids(filter="status:Completed") == []
    assert platform.pages()[0]["filter"] == ["status:Completed"]
