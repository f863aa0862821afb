"""Where the ledger, Redis and `var/` are, and what is refused when they are not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app import bootstrap
from app.errors import ConfigError, HubError


def _settings(site: Path, **env: str) -> bootstrap.Settings:
    return bootstrap.settings(env, site)


def test_without_urls_everything_is_below_the_sites_folder(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert settings.var_dir == tmp_path / "var"
    assert settings.database_url == f"sqlite:///{tmp_path}/var/backhaul.db"
    assert settings.redis_url is None


def test_urls_and_folders_of_the_environment_are_used(tmp_path: Path) -> None:
    settings = _settings(
        tmp_path, DATABASE_URL="postgresql://u:p@h/d", REDIS_URL="redis://h:6379/0", BACKHAUL_VAR=str(tmp_path / "v")
    )
    assert (settings.database_url, settings.redis_url) == ("postgresql://u:p@h/d", "redis://h:6379/0")
    assert settings.var_dir == tmp_path / "v"


def test_the_option_names_the_site_before_the_environment_does(tmp_path: Path) -> None:
    assert _settings(tmp_path, BACKHAUL_SITE="/elsewhere").site == tmp_path


def test_a_running_hub_is_found_by_its_note_and_no_dead_one(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with bootstrap.running_lock(var) as lock:
        lock.write("http://127.0.0.1:1", "unix:///x.sock")
        assert _settings(tmp_path).redis_url == "unix:///x.sock"
        assert (var / "up.json").stat().st_mode & 0o077 == 0
        assert var.stat().st_mode & 0o077 == 0
        note = json.loads((var / "up.json").read_text())
        assert note["pid"] == os.getpid()
        with pytest.raises(HubError, match="a hub runs on"), bootstrap.running_lock(var):
            pass
    assert _settings(tmp_path).redis_url is None
    # No process has this number: the hub was killed and could not take its note away.
    (var / "up.json").write_text(json.dumps({**note, "pid": 2**22 + 1}))
    assert bootstrap.running_hub(var) is None


def test_redis_of_the_environment_goes_before_that_of_a_running_hub(tmp_path: Path) -> None:
    with bootstrap.running_lock(tmp_path / "var") as lock:
        lock.write("http://127.0.0.1:1", "unix:///x.sock")
        assert _settings(tmp_path, REDIS_URL="redis://h").redis_url == "redis://h"


def test_a_process_that_needs_redis_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no REDIS_URL is set"):
        bootstrap.need_redis(_settings(tmp_path))
    assert bootstrap.need_redis(_settings(tmp_path, REDIS_URL="redis://h")) == "redis://h"


def test_a_ledger_is_used_only_after_it_was_made(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with pytest.raises(ConfigError, match="there is no ledger yet"):
        bootstrap.ledger(settings)
    assert not (tmp_path / "var").exists()
    assert bootstrap.migrate(settings) == "empty"
    assert bootstrap.migrate(settings) == "current"
    ledger = bootstrap.ledger(settings)
    ledger.ping()
    ledger.close()


def test_a_ledgers_name_has_no_password() -> None:
    assert "s3cret" not in bootstrap.ledger_name("postgresql://hub:s3cret@db/backhaul")
    assert bootstrap.ledger_name("sqlite:////var/x.db") == "/var/x.db"


def test_the_ledgers_facts_say_what_it_is(tmp_path: Path) -> None:
    assert bootstrap.ledger_facts(_settings(tmp_path)).what.startswith("SQLite 3.")
    assert "postgresql" in bootstrap.ledger_facts(_settings(tmp_path, DATABASE_URL="postgresql://u:p@h/d")).what
