"""`backhaul token` on a small site with a real ledger."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from app.core.api_tokens import digest, id_of
from tests.unit.conftest import Run


@pytest.fixture(autouse=True)
def _ledger(site: Path, migrated_sqlite: Path) -> None:
    (site / "var").mkdir()
    shutil.copy(migrated_sqlite, site / "var/backhaul.db")


def listed(run: Run) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(run("token", "list", "--json").stdout)
    return rows


def test_a_token_is_printed_once_and_never_listed(run: Run, site: Path) -> None:
    made = run("token", "new", "ann", "--role", "operator", "--expires", "90d")
    token = made.stdout.strip()
    assert re.fullmatch(r"bh_[0-9a-f]{16}_[0-9a-f]{64}", token) and "not shown again" in made.stderr
    assert token not in made.stderr
    (row,) = listed(run)
    assert (row["id"], row["name"], row["role"], row["state"]) == (id_of(token), "ann", "operator", "live")
    assert row["made_by"].startswith("cli:") and row["expires_at"] and row["used_at"] is row["revoked_at"] is None
    secret = token.rpartition("_")[2]
    for shown in (run("token", "list").output, run("token", "list", "--json").output, run("audit", "--json").output):
        assert "ann" in shown and secret not in shown and digest(token) not in shown
    assert secret.encode() not in b"".join(path.read_bytes() for path in (site / "var").iterdir() if path.is_file())


def test_for_machines_a_token_is_printed_as_json(run: Run) -> None:
    made = json.loads(run("token", "new", "ann", "--role", "reader", "--json").stdout)
    assert made["id"] == id_of(made["token"]) and made["expires_at"] is None and made["role"] == "reader"


def test_a_token_is_revoked_by_name_or_id_and_its_name_may_be_given_again(run: Run) -> None:
    run("token", "new", "ann", "--role", "reader")
    assert "there is a token 'ann' already" in run("token", "new", "ann", "--role", "admin", status=1).output
    assert "is revoked" in run("token", "revoke", "ann").output
    assert "`backhaul token list`" in run("token", "revoke", "ann", status=1).output
    again = json.loads(run("token", "new", "ann", "--role", "admin", "--json").stdout)
    assert f"ann ({again['id']}) is revoked" in run("token", "revoke", again["id"]).output
    assert "revoked already, since" in run("token", "revoke", again["id"], status=1).output
    assert [row["state"] for row in listed(run)] == ["revoked", "revoked"]


@pytest.mark.parametrize("text", ["soon", "0d", "-1d", "9" * 300 + "d", "99999999d", ""])
def test_a_time_to_live_that_is_none_is_refused(run: Run, text: str) -> None:
    assert "write 90d or 12h" in run("token", "new", "ann", "--role", "reader", "--expires", text, status=2).output
    assert listed(run) == []


def test_a_token_needs_a_name_that_is_one_and_a_role_that_there_is(run: Run) -> None:
    assert (
        "cannot be called 'ann@shop.example'"
        in run("token", "new", "ann@shop.example", "--role", "reader", status=1).output
    )
    assert "'reader', 'operator', 'admin'" in run("token", "new", "ann", "--role", "king", status=2).output
    assert "Missing option '--role'" in run("token", "new", "ann", status=2).output
    assert "no tokens; `backhaul token new`" in run("token", "list").output
