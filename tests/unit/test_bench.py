"""The bench's pure parts: what it computes and prints. How fast the hub is, no test asserts."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from bench import report
from bench.events import SIZE, Events, rma
from bench.http_pieces import header, message_end, status_of
from bench.measure import Run
from bench.plan import Plan
from bench.processes import name_of
from bench.stats import Spread, figure, percentile


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert percentile([7.0], 0.99) == percentile([7.0], 0.0) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    assert Spread.of([3.0, 1.0, 8.0]) == Spread(3.0, 1.0, 8.0)


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.5, "1,234"), (56.78, "56.8"), (8.9, "8.90"), (0.1234, "0.123"), (0, "0.000")]
)
def test_figures_have_as_many_places_as_they_deserve(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_an_event_is_signed_over_its_4096_bytes_and_carries_its_own_numbers() -> None:
    request = Events("secret").request("/webhooks/platform", "b000007", "b000001")
    head, _, body = request.partition(b"\r\n\r\n")
    assert len(body) == SIZE
    assert header(head + b"\r\n", b"x-signature") == hmac.digest(b"secret", body, hashlib.sha256).hex()
    data = json.loads(body)["data"]
    assert data["rma"] == rma("b000007")
    assert data["order"]["number"].endswith("b000001")


def test_equal_serials_give_equal_bytes_and_different_ones_different_ids() -> None:
    events = Events("secret")
    assert events.body("b1", "o1") == events.body("b1", "o1")
    ids = {json.loads(events.body(f"b{number}", "o"))["id"] for number in range(50)}
    assert len(ids) == 50


def test_a_message_is_complete_only_with_its_whole_body() -> None:
    answer = b'HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n"ok"'
    assert message_end(answer[:20]) == message_end(answer[:-1]) == -1
    assert message_end(answer) == message_end(answer + b"HTTP/1.1 200") == len(answer)
    assert status_of(answer) == 201


def test_a_chunked_message_ends_with_its_last_chunk() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    assert message_end(answer) == -1
    assert message_end(answer + b"0\r\n\r\n") == len(answer) + 5


@pytest.mark.parametrize(
    ("command_line", "name"),
    [
        (["python", "-m", "app.cli", "--site", "web", "worker"], "worker"),
        (["python", "-m", "app.cli", "up", "--port", "1"], "supervisor"),
        (["/x/valkey-server", "unixsocket:/y"], "redis"),
        (["postgres: walwriter"], "postgres"),
        (["python", "-c", "from multiprocessing.spawn import spawn_main"], "its parent's"),
        ([], "its parent's"),
    ],
)
def test_processes_are_named_by_their_command_line(command_line: list[str], name: str) -> None:
    assert name_of(command_line, "python", "its parent's") == name


def test_a_forked_process_is_named_by_the_title_that_it_gave_itself() -> None:
    assert name_of(["python", "-m", "app.cli", "up"], "backhaul:worker", "supervisor") == "worker"


def test_the_table_has_a_column_a_ledger_and_marks_what_misses_its_floor() -> None:
    results = {
        "sqlite": [Run({"deliveries_per_s": 400.0, "idle_mb": 200.0}), Run({"deliveries_per_s": 500.0})],
        "postgresql": [Run({"deliveries_per_s": 100.0, "idle_mb": 300.0})],
    }
    lines = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in _lines(results)}
    assert lines[""] == ["SQLite", "PostgreSQL", "floor"]
    assert lines["deliveries/s (burst, first event to last delivery)"] == ["450 (400–500)", "100 ✗", "≥ 300"]
    assert lines["memory idle, MB (PSS, all processes of the hub)"] == ["200", "300 ✗", "≤ 250"]
    assert len(lines) == 3, "figures that no run gave are left out"


def test_the_verdict_names_what_was_lost_and_what_came_twice() -> None:
    good = Run(acknowledged=3000)
    assert report.verdict({"sqlite": [good, good]}) == "SQLite: all 6,000 acknowledged events arrived exactly once."
    bad = Run(acknowledged=3000, missing=["b000001"], twice=[], refused={"503": 4})
    assert report.verdict({"sqlite": [good, bad]}) == (
        "SQLite: of 6,000 acknowledged events 1 never arrived (b000001), 0 came twice; sent again after 4 × 503."
    )
    assert good.exact and not bad.exact


def test_a_quick_plan_is_one_run_with_fewer_events() -> None:
    quick = Plan(workers=5).quick()
    assert (quick.runs, quick.events, quick.workers) == (1, 1_000, 5)


def _lines(results: dict[str, list[Run]]) -> list[str]:
    return [line for line in report.table(results).splitlines() if "---" not in line]
