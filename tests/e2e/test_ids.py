"""Order numbers of every shape come out at the warehouse byte for byte: 10,000 of them, through the real processes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.stack import Simulator, Stack, running, wait_for

PER_RETURN, RETURNS = 100, 100
numbers = st.one_of(
    st.sampled_from(["00123", "1e5", "12E4", "1_000", "0x1F", "0b1", "None", "null", "no", "on", "true", "~", "4.10"]),
    st.integers(0, 10**20).map(str),
    st.integers(0, 10**6).map(lambda number: f"000{number}"),
    st.integers(0, 10**6).map(lambda number: f"#{number}"),
    st.integers(1, 10**5).map(lambda number: f"{number}E{number % 9}"),
    st.uuids().map(str),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip),
    st.sampled_from(
        [" 5", "5 ", " 5 ", "a b", "1–2", "1‑2", "{{ 1 }}", "%23", "a/b", "a?b=c", "ünïcode", "٣", "'", '"']
    ),
)
names = count(1)


@pytest.fixture(scope="module")
def knowing_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A hub whose ERP knows every order, under "E" and the shop's number."""
    stack = Stack(tmp_path_factory.mktemp("ids"))
    stack.erp.process.kill()
    stack.erp.port_file.unlink()
    stack.erp = Simulator("generic_erp", stack.folder, "--derive", "E")
    stack.rewrite_connections()
    with running(stack):
        yield stack


@settings(max_examples=RETURNS, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(numbers, min_size=PER_RETURN, max_size=PER_RETURN, unique_by=lambda text: text))
def test_every_order_number_arrives_as_it_was(knowing_stack: Stack, found: list[str]) -> None:
    stack, name = knowing_stack, f"ids{next(names)}"
    lines = [{"order": number, "sku": "S"} for number in found]
    stack.platform.post("/_sim/seed", {"build": [{"id": name, "lines": lines, "parcels": [{"id": f"{name}-p"}]}]})
    assert stack.send_label(f"{name}-p") == [200]
    bodies = wait_for(
        f"{len(found)} announcements of {name}",
        lambda: len(rows := stack.effects_of(name)) >= len(found) and rows,
        60,
    )
    stack.wms.http.delete(f"{stack.wms.url}/_sim/requests")
    assert sorted(body["shopOrder"] for body in bodies) == sorted(found)
    assert {body["shopOrder"]: body["salesOrder"] for body in bodies} == {
        number: f"E{number.removeprefix('#')}" for number in found
    }
