"""The hub's own description of its HTTP API, held against the running hub by schemathesis, on both kinds of ledger.

What is tried is the same every time: the seed is fixed, and how much of it is bounded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import API_TOKEN, Stack, running_stack, wait_for

pytestmark = pytest.mark.slow
#: Cases for each operation in each phase; with more of them, and another seed, it looks longer.
EXAMPLES, SEED = os.environ.get("SCHEMATHESIS_EXAMPLES", "25"), os.environ.get("SCHEMATHESIS_SEED", "20261122")
#: Ids of the ledger stand in so many of the cases; the others have ids that there are not.
OFTEN = 0.6
#: Which numbers are translated, and which names of tokens are free, is not the description's to say.
OF_THE_SITE = ("setReference", "newToken")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running hub of its own, for it is acted upon at random."""
    url = request.getfixturevalue("postgres").create("described") if request.param == "postgresql" else None
    with running_stack(tmp_path_factory.mktemp("described"), url) as stack:
        stack.erp.post("/_sim/seed", {"orders": [{"number": "E-known", "externalNumber": "known"}]})
        for name, order in (("st1", "known"), ("st2", "unknown")):
            stack.seed_return(id=name, lines=[{"order": order, "sku": "S"}], parcels=[{"id": f"{name}-p"}])
            assert stack.send_label(f"{name}-p") == [200]
        wait_for("one that is done and one that waits", lambda: {"done", "parked"} <= states(stack))
        yield stack


def states(stack: Stack) -> set[str]:
    """The states of all deliveries."""
    return {one["state"] for one in stack.deliveries()}


def settings_of(stack: Stack, folder: Path) -> Path:
    """Schemathesis' own settings: the token, and the ids that there are."""
    events = [one["event_id"] for one in stack.api("events")["events"]]
    deliveries = [one["delivery_id"] for one in stack.deliveries()]
    known = {
        "event_id": events,
        "delivery_id": deliveries,
        "name": ["returnista_eu", "erp", "wms_eu"],
        "connection": ["returnista_eu", "erp", "wms_eu"],
        "number": ["st1", "known", "E-known", *events, *deliveries],
    }
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in known.items()]
    lines += ["[auth.openapi.token]", f"bearer = {json.dumps(API_TOKEN)}", "[parameters]"]
    lines += [f'"path.{name}" = {{dictionary = "{name}", probability = {OFTEN}}}' for name in known]
    for operation in OF_THE_SITE:
        accepted = '["2xx", "400", "401", "403", "404", "409"]'
        lines += ["[[operations]]", f'include-operation-id = "{operation}"']
        lines += [f"checks.positive_data_acceptance.expected-statuses = {accepted}"]
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines))
    return path


def test_schemathesis_finds_nothing(filled: Stack, tmp_path: Path) -> None:
    command: list[Any] = [sys.executable, "-m", "schemathesis.cli", "--config-file", settings_of(filled, tmp_path)]
    command += [
        "run",
        f"{filled.url}/openapi.json",
        "--checks",
        "all",
        "--phases",
        "examples,coverage,fuzzing,stateful",
    ]
    command += ["--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure", "--no-color", "--warnings", "off"]
    command += ["--generation-database", "none", "--request-timeout", "10", "--suppress-health-check", "all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    print(done.stdout[-60_000:], done.stderr[-4_000:])
    assert done.returncode == 0
    assert "web.failed" not in (filled.folder / "web.log").read_text()
    assert filled.get_status("/readyz") == 200
