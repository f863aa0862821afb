"""The commands' own HTTP: it stays with whom it asks, and tells which connections' calls would be refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.client import Client
from app.core.login_answers import went_wrong
from app.core.networks import Allow
from app.model import NoResponse
from tests.unit.conftest import Run
from tests.unit.engine_servers import always, answer, serving
from tests.unit.http_kit import WHERE, allow, at, connection
from tests.unit.site_kit import FILES, write


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_the_token_goes_nowhere_else(status: int) -> None:
    with serving(always(answer("200 OK", b"{}"))) as other:
        leads = answer(f"{status} Elsewhere", b"", f"Location: {other.url}/x")
        with serving(always(leads)) as server:
            said = Client().ask("GET", server.url + "/api", headers={"Authorization": "Bearer s3cret"})
    assert (said.status, len(server.requests), other.requests) == (status, 1, [])


def test_it_tells_why_calls_would_be_refused_and_what_to_write() -> None:
    closed = replace(at(connection(), "https://10.0.0.5:8443/api"), allow=Allow())
    assert Client().barred(closed) == (
        f"calls are refused: 10.0.0.5 is a private address; if that is meant, write `allow: [10.0.0.5]` at {WHERE}"
    )
    assert Client().barred(replace(closed, allow=allow("10.0.0.0/24"))) == ""
    assert Client().barred(replace(at(connection(), "https://8.8.8.8/"), allow=Allow())) == ""


@pytest.mark.parametrize("url", ["no url", "ftp://x/", "http://host:99999/", "http://nobody.invalid/", ""])
def test_of_what_is_no_known_host_it_says_nothing(url: str) -> None:
    assert Client().barred(at(connection(), url)) == ""


def test_doctor_names_the_connection_whose_calls_would_be_refused(run: Run, site: Path) -> None:
    text = FILES["config/connections.yaml"]
    write(site, {"config/connections.yaml": text.replace("${WMS_URL}", "http://169.254.169.254/api")})
    told = run("doctor", status=1).output
    (line,) = [line for line in told.splitlines() if "connection wms " in line]
    assert line.startswith("fail") and "169.254.169.254 is the address of a cloud's metadata service" in line
    assert "write `allow: [169.254.169.254]` at config/connections.yaml:" in line


def test_a_login_at_a_refused_address_pauses_the_connection() -> None:
    outcome = went_wrong(NoResponse("barred", "10.0.0.5 is a private address", False, 0), ())
    assert (outcome.result, outcome.fault, outcome.pause) == ("retry", "config", True)
