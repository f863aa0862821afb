"""The bench's pure parts: what it computes and prints. How fast the hub is, no test asserts."""

from __future__ import annotations

import hashlib
import hmac
import json
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench import guard, report
from bench.events import SIZE, Events, rma
from bench.http_pieces import header, message_end, status_of
from bench.load import Job, Sender
from bench.phases import Run
from bench.plan import PARTS, Plan
from bench.processes import name_of
from bench.rows import Row
from bench.stats import Spread, figure, percentile
from bench.stubs import Erp, Warehouse


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


def test_the_table_has_a_column_a_ledger_and_marks_what_misses_its_floor_or_reaches_its_aim() -> None:
    results = {
        "sqlite": [Run({"deliveries_per_s": 1_000.0, "idle_mb": 140.0}), Run({"deliveries_per_s": 1_100.0})],
        "postgresql": [Run({"deliveries_per_s": 600.0, "idle_mb": 300.0})],
    }
    lines = _cells(report.promises(results))
    assert lines[""] == ["floor", "aim", "SQLite", "PostgreSQL"]
    assert lines["deliveries/s, burst, look-up uncached"] == ["≥ 900", "≥ 1,600", "1,050 (1,000–1,100)", "600 ✗"]
    assert lines["memory idle, MB (PSS, all processes)"] == ["≤ 220", "≤ 150", "140 ✓", "300"]
    assert len(lines) == 3, "figures that no run gave are left out"


def test_of_postgresql_0_7_of_the_floor_is_promised_but_for_ratios() -> None:
    rate, cpu = Row("a", "a", 1_000, 2_000), Row("b", "b", 1.4, 1.0, at_most=True)
    assert rate.holds(700, "postgresql") and not rate.holds(699, "postgresql") and not rate.holds(999)
    assert cpu.holds(2.0, "postgresql") and not cpu.holds(2.1, "postgresql") and not cpu.holds(1.5)
    assert not Row("c", "c", 1.3, 1.1, at_most=True, alike=True).holds(1.4, "postgresql")
    assert rate.reaches(2_000) and not rate.reaches(1_999) and cpu.reaches(1.0) and not cpu.reaches(1.1)


def test_a_run_is_held_against_the_yardstick_right_before_and_right_after_it() -> None:
    yardstick = [Run({"deliveries_per_s": rate}) for rate in (100.0, 300.0, 100.0)]
    hub = [Run({"deliveries_per_s": 400.0, "slow_per_s": 7.0}), Run({"deliveries_per_s": 600.0})]
    assert report.ratios(hub, yardstick[:2], yardstick[1:]) == {"deliveries_per_s": Spread(2.5, 2.0, 3.0)}


def test_the_guard_names_lost_ground_and_lost_events() -> None:
    good, lossy = Run(acknowledged=5), Run(acknowledged=5, missing=["b000001"])
    assert guard.verdict(1.8, 3.0, [good]) == []
    assert guard.verdict(1.79, 3.0, [good]) == [
        "1.79 times the yardstick is less than 60% of the 3.00 that was recorded"
    ]
    assert "1 never arrived" in guard.verdict(3.0, 3.0, [good, lossy])[0]


def test_the_guard_takes_each_turn_beside_its_own_yardstick() -> None:
    hub = [Run({"deliveries_per_s": rate}) for rate in (900.0, 300.0)]
    yardstick = [Run({"deliveries_per_s": rate}) for rate in (300.0, 100.0)]
    assert guard.ratio(hub, yardstick) == 3.0
    assert guard.ratio([Run()], yardstick[:1]) == 0.0, "a hub that delivered nothing has no ground left"


def test_the_ratio_that_the_guard_compares_with_is_recorded_with_its_machine() -> None:
    recorded = json.loads(guard.RECORDED.read_text())
    assert recorded["ratio"] > 1 and recorded["measured"] and recorded["commit"] and recorded["machine"]["cpu"]


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
    assert (quick.runs, quick.events, quick.workers, quick.parts) == (1, 1_000, 5, PARTS)


def test_all_requests_are_signed_before_the_first_is_sent_and_share_the_orders_that_are_told() -> None:
    sender = Sender(Job(1, "/w", "secret", "b", 4, 2, orders=2, order_prefix="k"))
    orders = [json.loads(request.partition(b"\r\n\r\n")[2])["data"]["order"]["number"] for request in sender._requests]
    assert orders == ["#0000000k000000", "#0000000k000001"] * 2


def test_the_stubs_know_every_order_and_take_only_what_names_an_order_of_theirs() -> None:
    erp, warehouse = Erp(), Warehouse()
    (found,) = _body(erp.answer(b"GET /orders?externalNumber=0077 HTTP/1.1\r\n\r\n"))["items"]
    assert found["externalNumber"] == "0077" and found["number"] == "ERP-0077"
    (odd,) = _body(erp.answer(b"GET /orders?externalNumber=%23%22 HTTP/1.1\r\n\r\n"))["items"]
    assert odd["number"] == 'ERP-#"'
    whole = {"rmaNumber": "R-1", "salesOrder": "ERP-1", "lines": [{}, {}], "parcel": {"trackingNumber": "3S"}}
    assert warehouse.answer(_post(whole)).startswith(b"HTTP/1.1 201 ")
    assert warehouse.answer(_post(whole | {"salesOrder": "?"})).startswith(b"HTTP/1.1 422 ")
    warehouse.answer(_post(whole | {"rmaNumber": "R-2", "lines": []}))
    came = json.loads(warehouse.answer(b"GET /_bench/received?from=0 HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")[2])
    assert [one[1:] for one in came] == [["R-1", "key"], ["?", "key"]], "what is not whole is nobody's announcement"


def test_the_yardstick_sends_what_the_hubs_mapping_makes_of_an_event() -> None:
    from bench.yardstick.job import announcement

    body = announcement(json.loads(Events("secret").body("b1", "o1"))["data"], "ERP-1")
    assert body["rmaNumber"] == rma("b1") and body["items"] == 3 and body["lines"][1]["reason"] == "DAMAGED"
    assert len(list(_leaves(body))) == 30


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def _post(body: dict[str, object]) -> bytes:
    told = json.dumps(body).encode()
    return b"POST /returns HTTP/1.1\r\nIdempotency-Key: key\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told)


def _body(answer: bytes) -> dict[str, Any]:
    assert message_end(answer) == len(answer)
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def _cells(table: str) -> dict[str, list[str]]:
    lines = [line for line in table.splitlines() if "---" not in line]
    return {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines}


def test_the_load_goes_on_when_the_server_closes_a_connection_that_lies_idle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(10)
        sender = Sender(Job(door.getsockname()[1], "/w", "secret", "b", 2, 2, rate=4.0, most_s=10.0))
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(sender.run)
            first, second = door.accept()[0], door.accept()[0]
            [used] = select.select([first, second], [], [], 10)[0]
            used.recv(65_536)
            used.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            (second if used is first else first).close()
            third = door.accept()[0]
            [used] = select.select([used, third], [], [], 10)[0]
            used.recv(65_536)
            used.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            result = sending.result(10)
            for one in (used, third):
                one.close()
    assert result.statuses == {"200": 2}
    assert len(result.acknowledged) == 2
