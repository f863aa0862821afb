"""`backhaul poll` on a small site: a real ledger, and a vendor that answers over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.files import check
from app.adapters.ledger import Ledger
from app.core.polls import PollFinish, PollKey
from tests.unit.conftest import Run
from tests.unit.door_kit import Services
from tests.unit.site_kit import ENV, FILES, write

KEY = PollKey("shop", "changed_returns")


class Shop(ThreadingHTTPServer):
    """Shows all that it has, whatever span it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.items: list[dict[str, str]] = [{"id": "R-1", "changed": "1", "state": "open"}]
        self.status, self.asked = 200, list[dict[str, list[str]]]()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(BaseHTTPRequestHandler):
    """Answers every request with the shop's items."""

    server: Shop

    def do_GET(self) -> None:
        """One list."""
        self.server.asked.append(parse_qs(urlsplit(self.path).query))
        body = json.dumps({"items": self.server.items, "total": len(self.server.items)}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shop(site: Path) -> Iterator[Shop]:
    """A vendor that the site's shop connection calls."""
    made = Shop()
    text = FILES["config/connections.yaml"]
    url = f"      base_url: http://127.0.0.1:{made.server_address[1]}\n"
    connector = "connectors/acme_shop/connector.yaml"
    short = FILES[connector].replace("overlap: 5m", "overlap: 5m, start: 12h")
    allow = "    allow: [127.0.0.1]\n"
    told = text.replace("    poll:", f"{url}{allow}    poll:", 1)
    write(site, {"config/connections.yaml": told, connector: short})
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def ledger(site_ledger: Ledger) -> Ledger:
    """The ledger that the commands use, with the machine's clock."""
    return site_ledger


def test_it_says_what_was_found_and_what_was_new(run: Run, shop: Shop, ledger: Ledger) -> None:
    said = run("poll", "shop").output
    assert "shop.changed_returns: 1 found, 1 new, 0 healed, 1 not read yet" in said
    [event] = ledger.events()
    assert (event["vendor_id"], event["type"], event["state"]) == ("R-1/1", "label.printed", "received")
    shop.items.append({"id": "R-2", "changed": "1", "state": "open"})
    found = json.loads(run("poll", "shop", "--name", "changed_returns", "--json").stdout)
    assert [(one["poll"], one["found"], one["new"]) for one in found] == [(str(KEY), 2, 1)]


def test_a_vendor_that_refuses_is_told_and_ends_with_1(run: Run, shop: Shop, ledger: Ledger) -> None:
    shop.status = 503
    said = run("poll", "shop", status=1).output
    assert "was not read to its end" in said and "503" in said
    listed = run("poll", "--list").output
    assert "off" not in listed and "503" in listed
    shop.status = 401
    assert "401" in run("poll", "shop", status=1).output
    assert ledger.lane_state("shop").paused


def test_since_reads_an_older_time_and_leaves_the_cursor_where_it_is(run: Run, shop: Shop, ledger: Ledger) -> None:
    run("poll", "shop")
    cursor = ledger.polls()[0].cursor
    shop.asked.clear()
    run("poll", "shop", "--since", "30d")
    assert len(shop.asked) == 30
    assert cursor is not None and ledger.polls()[0].cursor >= cursor  # type: ignore[operator]


def test_since_behind_the_cursor_skips_nothing_for_later(run: Run, shop: Shop, ledger: Ledger) -> None:
    stood = datetime.now(UTC).replace(microsecond=0) - timedelta(days=9)
    ledger.claim_poll(KEY, 60, "tok_1")
    with ledger.write() as tx:
        tx.finish_polls("tok_1", [PollFinish(KEY, stood, True, cursor=stood, read_at=stood)])
    run("poll", "shop", "--since", "2h")
    assert ledger.polls()[0].cursor == stood


def test_what_makes_no_sense_is_said(run: Run, shop: Shop, ledger: Ledger) -> None:
    assert "no connection 'shpo'; there are" in run("poll", "shpo", status=2).output
    assert "has no poll" in run("poll", "wms", status=2).output
    assert "has no poll 'x'" in run("poll", "shop", "--name", "x", status=2).output
    assert "is no time" in run("poll", "shop", "--since", "tomorrow", status=2).output
    assert "has not come yet" in run("poll", "shop", "--since", "2999-01-01", status=2).output


def test_a_poll_that_a_worker_reads_now_is_left_to_it(run: Run, shop: Shop, ledger: Ledger) -> None:
    ledger.claim_poll(KEY, 60, "tok_worker")
    assert "being polled by a worker" in run("poll", "shop", status=1).output
    assert "running" not in run("poll", "--list").output, "no worker has it on"


def test_the_list_and_the_doctor_tell_how_polls_stand(run: Run, shop: Shop, ledger: Ledger) -> None:
    [row] = json.loads(run("poll", "--list", "--json").stdout)
    assert (row["poll"], row["state"], row["every_s"]) == (str(KEY), "never ran", 300)
    ledger.keep_polls({KEY: 300.0})
    run("poll", "shop")
    [row] = json.loads(run("poll", "--list", "--json").stdout)
    assert (row["state"], row["found"], row["new"], row["failures"]) == ("on", 1, 1, 0)
    shop.status = 400
    run("poll", "shop", status=1)
    findings = json.loads(run("doctor", "--json", status=1).stdout)
    [finding] = [one for one in findings if one["about"] == f"poll {KEY}"]
    assert finding["level"] in ("warn", "fail") and "failed 1 times in a row" in finding["what"]


def test_nothing_comes_in_where_there_are_neither_webhooks_nor_a_poll_that_is_on(tmp_path: Path, alone: None) -> None:
    connector = "connectors/acme_shop/connector.yaml"
    begin, end = FILES[connector].index("  verify:"), FILES[connector].index("  event_id:")
    files = {
        **FILES,
        connector: FILES[connector][:begin] + "  webhooks: false\n" + FILES[connector][end:],
        "config/connections.yaml": FILES["config/connections.yaml"].replace("    poll: {changed_returns: 5m}\n", ""),
    }
    [problem] = check(write(tmp_path / "site", files), ENV)
    assert "nothing can come in from 'shop'" in problem.what and problem.todo == "write poll: true"


def test_how_old_the_last_good_look_is_can_be_watched(app: Flask, services: Services) -> None:
    services.ledger.keep_polls({KEY: 300.0})
    services.clock.move(90)
    families = text_string_to_metric_families(app.test_client().get("/metrics").text)
    found = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
    assert found["backhaul_poll_age_seconds", "shop", "changed_returns"] == 90
