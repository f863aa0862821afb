"""The hub's own Redis: a real server on a private socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.adapters.redis_facts import redis_facts
from app.adapters.redis_server import RedisServer, find_server
from app.errors import QueueUnavailable

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def test_it_answers_with_the_password_in_its_url(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    assert client.ping()
    client.close()


def test_nobody_gets_in_without_the_password(server: RedisServer) -> None:
    client = redis.Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0))
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    client.close()


def test_it_listens_on_no_port_and_only_its_owner_may_look_in(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    assert client.config_get("port") == {"port": "0"}
    client.close()
    assert server.socket.parent.stat().st_mode & 0o077 == 0
    assert server.socket.stat().st_mode & 0o077 == 0


def test_the_password_shows_in_no_process_list(server: RedisServer) -> None:
    line = subprocess.run(["ps", "-o", "args=", "-p", str(server.pid)], capture_output=True, text=True).stdout
    password = server.url.split("@")[0].removeprefix("unix://:")
    assert "valkey" in line or "redis" in line
    assert password not in line


def test_what_was_written_is_there_after_a_kill_and_the_url_stays(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    client.set("kept", "yes")
    # The append-only file is written every second.
    assert client.waitaof(1, 0, 3000)[0] == 1
    client.close()
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.poll() == -signal.SIGKILL
    url = server.url
    server.start()
    assert server.url == url
    client = redis.Redis.from_url(server.url)
    assert client.get("kept") == b"yes"
    client.close()


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / ("long" * 30) / "redis")
    server.start()
    try:
        assert len(str(server.socket)) < 100
        assert redis_facts(server.url).private
        folder = server.socket.parent
    finally:
        server.stop()
    assert not folder.exists()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends children with their parent")
    script = f"""
import time
from pathlib import Path
from app.adapters.children import die_with_parent
from app.adapters.redis_server import RedisServer
server = RedisServer(Path({str(tmp_path / "redis")!r}), die_with_parent)
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(pid)


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken-server"
    broken.write_text("#!/bin/sh\ncat > /dev/null\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("app.adapters.redis_server.find_server", lambda: str(broken))
    with pytest.raises(QueueUnavailable, match="ended with status 3"):
        RedisServer(tmp_path / "redis").start()


def test_facts_say_what_it_is(server: RedisServer) -> None:
    facts = redis_facts(server.url)
    assert "on a socket" in facts.what
    assert (facts.private, facts.persistent, facts.evicts) == (True, True, False)


def test_facts_of_a_server_without_an_append_only_file(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    client.config_set("appendonly", "no")
    assert redis_facts(server.url).persistent is False
    client.config_set("save", "3600 1")
    assert redis_facts(server.url).persistent is True
    client.acl_setuser("guest", enabled=True, nopass=True, commands=["+info"], keys=["*"])
    client.close()
    guest = f"unix://guest:any@{server.socket}"
    assert redis_facts(guest).persistent is None


def test_facts_of_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable):
        redis_facts(f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(QueueUnavailable):
        redis_facts("nonsense://x")


def test_a_server_is_found_on_this_machine() -> None:
    assert Path(find_server()).is_file()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    # A zombie waits for somebody to ask for its status; it does nothing any more.
    return state != "Z"
