"""A web process alone, on a site of one connection, and raw connections to it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from tests.e2e.stack import ROOT, free_port, wait_for

SECRET = "e2e-door-secret"
PATH = "/webhooks/wms"
_IDS = count(1)
CONNECTIONS = """\
connections:
  wms: {connector: generic_wms, settings: {base_url: "http://127.0.0.1:1", token: "${T}", webhook_secrets: ["${S}"]}}
"""


def head(*lines: str, path: str = PATH) -> bytes:
    """The head of a request, as far as `lines` go; no empty line after it."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: hub", *lines, ""]).encode("latin-1")


def message() -> tuple[bytes, dict[str, str]]:
    """A good message that was never sent, and the header that proves it."""
    body = json.dumps({"event": "return.received", "eventId": f"door-{os.getpid()}-{next(_IDS)}"}).encode()
    return body, {"X-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


class Web:
    """`backhaul web` in a process of its own."""

    def __init__(self, folder: Path, database_url: str, limits: str = "") -> None:
        self.folder, self.port = folder, free_port()
        (folder / "site" / "config").mkdir(parents=True)
        connections = CONNECTIONS.replace("wms: {", f"wms: {{{limits}")
        (folder / "site" / "config" / "connections.yaml").write_text(connections)
        (folder / "site" / "config" / "hub.yaml").write_text("hub: {name: door}\n")
        strange = ("BACKHAUL", "REDIS", "DATABASE", "PORT")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(strange)} | {
            "PYTHONPATH": str(ROOT),
            "T": "e2e-door-token",
            "S": SECRET,
            "BACKHAUL_VAR": str(folder / "var"),
            "BACKHAUL_SITE": str(folder / "site"),
            # Nobody is there: messages are taken all the same.
            "REDIS_URL": f"unix://{folder}/nobody.sock",
            "DATABASE_URL": database_url,
        }
        subprocess.run(self._command("migrate"), env=self.env, cwd=folder, check=True, capture_output=True, timeout=60)
        self._log = (folder / "web.log").open("ab")
        self.process = subprocess.Popen(
            self._command("web", "--port", str(self.port)), env=self.env, cwd=folder, stdout=self._log, stderr=self._log
        )
        wait_for("the web process answers", self.answers, 60)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", *arguments]

    def answers(self) -> bool:
        """Whether it says that it lives."""
        with suppress(OSError, http.client.HTTPException):
            return self.get("/healthz")[0] == 200
        return False

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            asked.request("GET", path)
            answer = asked.getresponse()
            return answer.status, answer.read().decode()
        finally:
            asked.close()

    def send(self, body: bytes, headers: dict[str, str], seconds: float = 30.0) -> tuple[int, dict[str, str]]:
        """Send a message on a connection of its own: status and headers of the answer."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            asked.request("POST", PATH, body, headers)
            answer = asked.getresponse()
            answer.read()
            return answer.status, dict(answer.getheaders())
        finally:
            asked.close()

    def deliver(self) -> int:
        """Send a good message as a sender does: again until it is acknowledged; how often it was sent."""
        body, headers = message()
        for times in range(1, 20):
            with suppress(OSError, http.client.HTTPException):
                if self.send(body, headers)[0] == 200:
                    return times
        raise AssertionError("a good message was not taken in 19 tries")

    def raw(self, data: bytes, *, half_close: bool = False, seconds: float = 3.0) -> bytes:
        """Send bytes; what comes back until the hub closes, or for so many seconds."""
        got = b""
        with self.connect() as asked, suppress(OSError):
            # It may be answered, and closed, before all of it was sent.
            with suppress(ConnectionError):
                asked.sendall(data)
                if half_close:
                    asked.shutdown(socket.SHUT_WR)
            asked.settimeout(seconds)
            while piece := asked.recv(65_536):
                got += piece
                if _whole(got):
                    break
        return got

    def connect(self) -> socket.socket:
        """An open connection."""
        return socket.create_connection(("127.0.0.1", self.port), 30)

    def resident_mb(self) -> float:
        """What the process that serves holds in memory."""
        listed = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True)
        return int(listed.stdout) / 1024

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "web.log").read_text(errors="replace")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self._log.close()


def _whole(got: bytes) -> bool:
    """Whether an answer has come to its end; all of the hub's tell their length."""
    top, found, rest = got.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(rest) >= int(lengths[0])


@contextmanager
def running_web(folder: Path, database_url: str = "", limits: str = "") -> Iterator[Web]:
    """A web process that answers; on failure its log is shown."""
    web = Web(folder, database_url or f"sqlite:///{folder}/ledger.db", limits)
    try:
        yield web
        assert web.process.poll() is None, "the web process ended"
    except BaseException:
        print(web.log()[-4000:])
        raise
    finally:
        web.stop()


class Crowd:
    """Connections that begin something and never end it: when one is closed, another comes."""

    def __init__(self, web: Web, many: int, first: bytes, drop: bytes = b"") -> None:
        """`first` is sent at once, a `drop` every second after it."""
        self._web, self._first, self._drop = web, first, drop
        self._ending = threading.Event()
        self._open = [self._new() for _ in range(many)]
        self.came_again = 0
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """All of them go."""
        self._ending.set()
        self._thread.join(30)
        for one in self._open:
            one.close()

    def _new(self) -> socket.socket:
        one = self._web.connect()
        with suppress(OSError):
            one.sendall(self._first)
        one.setblocking(False)
        return one

    def _go_on(self) -> None:
        while not self._ending.wait(1.0):
            for place, one in enumerate(self._open):
                if self._ending.is_set():
                    return
                if self._gone(one):
                    one.close()
                    with suppress(OSError):
                        self._open[place] = self._new()
                        self.came_again += 1

    def _gone(self, one: socket.socket) -> bool:
        try:
            if self._drop:
                one.send(self._drop)
            return one.recv(4096) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


def p95_ms(web: Web, times: int = 150) -> float:
    """The 95th percentile of what good messages wait for their answer, each on a connection of its own."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        web.deliver()
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)[int(times * 0.95)]


def raise_file_limit(wanted: int) -> int:
    """Let this process open as many files as it may, at most `wanted`; how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return allowed
