"""A vendor that wants a login, on real HTTP: its own door for logins, another one for the work."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from app.adapters.files import load_site
from app.adapters.http import HttpSender
from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.core.networks import THIS_MACHINE
from app.core.ports import Clock
from app.pipeline.call import Caller
from app.pipeline.engine_ports import KeepsTokens
from app.pipeline.gates import Gates
from app.pipeline.tokens_login import Logins
from tests.unit.site_kit import write

PASSWORD = "pass-w0rd&more"
CONNECTOR = """\
connector: acme
settings:
  base_url: {required: true}
  login_url: {required: true}
  user: {required: true}
  password: {required: true, secret: true}
auth:
  scheme: token
  login:
    url: "{{ settings.login_url }}/login"
    json: {user: "{{ settings.user }}", password: "{{ settings.password }}"}
    token: "{{ body.idToken }}"
    refresh_token: "{{ body.refreshToken }}"
    expires_in: "{{ body.expiresIn }}"
  refresh:
    url: "{{ settings.login_url }}/refresh"
    form: {grant_type: refresh_token, refresh_token: "{{ refresh_token }}"}
    token: "{{ body.id_token }}"
    refresh_token: "{{ body.refresh_token }}"
    expires_in: "{{ body.expires_in }}"
operations:
  look: {method: GET, path: /things}
  make: {method: POST, path: /things}
"""


class House:
    """The vendor. `refuses` are tokens that it takes no more; `says` what its doors answer before they do as usual."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: list[tuple[str, str, str]] = []  # (path, content type, body) of what came to the login's door
        self.used: list[str] = []  # what came as Authorization to the work's door
        self.says: dict[str, deque[tuple[int, Any]]] = {"/login": deque(), "/refresh": deque(), "/things": deque()}
        self.lasts: Any = "3600"
        self.refuses: set[str] = set()
        self.refuses_all = False
        self.held = threading.Event()
        self.held.set()
        self._given = 0

    def count(self, path: str) -> int:
        """How often a door was used."""
        return sum(asked == path for asked, _, _ in self.asked)

    def answer(self, path: str, headers: Any, body: str) -> tuple[int, Any]:
        """What the vendor answers."""
        with self.lock:
            if path == "/things":
                self.used.append(headers.get("Authorization", ""))
            else:
                self.asked.append((path, headers.get("Content-Type", ""), body))
        self.held.wait(10)
        with self.lock:
            if self.says[path]:
                return self.says[path].popleft()
            if path == "/things":
                bearer = headers.get("Authorization", "").removeprefix("Bearer ")
                if self.refuses_all or bearer in self.refuses or not bearer.startswith("tok-"):
                    return 401, {"message": "who are you?"}
                return 200, {"seen": bearer.removeprefix("tok-")}
            self._given += 1
            token, renewal = f"tok-{self._given:04}", f"ref-{self._given:04}"
            if path == "/refresh":
                return 200, {"id_token": token, "refresh_token": renewal, "expires_in": self.lasts}
            return 200, {"idToken": token, "refreshToken": renewal, "expiresIn": self.lasts}


@contextmanager
def standing() -> Iterator[tuple[House, str, str]]:
    """The vendor with the addresses of its two doors, work and logins."""
    house = House()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, said = house.answer(self.path, self.headers, body)
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _do

        def log_message(self, format: str, *args: Any) -> None:
            """It says nothing."""

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    threads = [threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True) for one in servers]
    for thread in threads:
        thread.start()
    try:
        work, login = (f"http://127.0.0.1:{one.server_address[1]}" for one in servers)
        yield house, work, login
    finally:
        house.held.set()
        for one, thread in zip(servers, threads, strict=True):
            one.shutdown()
            thread.join()
            one.server_close()


class Worker:
    """What one process has: its caller and its logins."""

    def __init__(
        self, folder: Path, doors: tuple[str, str], ledger: Ledger, clock: Clock, shared: KeepsTokens | None = None
    ) -> None:
        settings = f'base_url: "{doors[0]}", login_url: "{doors[1]}", user: shop@acme.example, password: "${{PASS}}"'
        files = {
            "connectors/acme/connector.yaml": CONNECTOR,
            "config/connections.yaml": f"connections:\n  acme_eu: {{connector: acme, settings: {{{settings}}}}}\n",
        }
        self.site = load_site(write(folder, files), env={"PASS": PASSWORD, "BACKHAUL_ALLOW": THIS_MACHINE})
        self.hidden: list[str] = []
        self.http = HttpSender()
        limits = {name: one.limits for name, one in self.site.connections.items()}
        gates = Gates(limits, self.site.hub.breaker, ledger, clock, SystemIds().new("wrk"))
        self.logins = Logins(self.http, clock, shared, lambda _, secret: self.hidden.append(secret))
        self.caller = Caller(self.site, gates, self.http, clock, self.logins)

    def call(self, operation: str = "look") -> Any:
        """Make a call."""
        return self.caller.call("acme_eu", operation, {}, body={"a": 1} if operation == "make" else None)
