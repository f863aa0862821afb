"""The whole hub on loopback, as real processes: Redis, web, workers, clock, its ledger, and the simulated vendors.

Whatever is killed is started again at once. `stop` ends everything, also after an error, and everything dies with this
process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from app.adapters.redis_server import find_server
from app.bootstrap import project_folder
from app.cli.demo_plan import SimulatorPlan, fill, read_plan
from app.core.networks import THIS_MACHINE
from app.errors import HubError
from chaos import stage_site
from chaos.plan import Options, Recorded
from chaos.stage_processes import Keeper, Process, family, limit_files, spawn

#: The processes of the hub itself.
WORKERS = ("worker-1", "worker-2")
HUB = ("web", *WORKERS, "clock")
API_TOKEN = "chaos-api-token"
_PAGE = 5_000
_READY_S = 60.0
#: What a child needs of the caller's environment. Nothing else: a real DATABASE_URL or credential must not get in.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "VIRTUAL_ENV")


class StageError(Exception):
    """Something on the stage does not do what it must; the text says what."""


class Stage:
    """Use as `with Stage(folder, options) as stage`, or call `start` and `stop`."""

    def __init__(
        self,
        folder: Path,
        options: Options,
        lines: Mapping[str, Sequence[str]] | None = None,
        hub: Mapping[str, Any] | None = None,
    ) -> None:
        """`lines` are added to files of the site, by their path: words of tables that a merchant would add. `hub` are
        words of hub.yaml that differ from those of other runs."""
        self.folder, self.options = folder.absolute(), options
        self.site, self.shift_file = self.folder / "site", self.folder / "clock-shift"
        self._lines, self._hub_words = lines or {}, hub or {}
        self.urls: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.database_url = ""
        self.keeper = Keeper()
        self._clean_up = ExitStack()
        self._root = project_folder()
        self._port = _free_port()
        self.hub_url = f"http://127.0.0.1:{self._port}"
        self._file_limit: int | None = None
        self._http = threading.local()
        # An address of a Unix socket is short; the folder's may not be.
        self.redis_socket = f"/tmp/backhaul-{os.getpid()}-{self._port}.sock"

    def __enter__(self) -> Stage:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    # --- beginning and end -----------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until the hub is ready. Raises `StageError`, with the ends of the logs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stage_site.write(self.site, self._lines, self._hub_words)
        plans = read_plan(self._root).simulators
        self.keeper.start()
        self.env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self.env |= {"PYTHONPATH": str(self._root), "PYTHONDONTWRITEBYTECODE": "1"}
        for plan in plans:
            self.keeper.add(plan.name, self._simulator(plan))
        self.database_url = self._make_ledger()
        for plan in plans:
            self.urls[plan.name] = self._listening(plan.name)
        self.env |= {
            "BACKHAUL_SITE": str(self.site),
            "BACKHAUL_VAR": str(self.folder / "var"),
            "BACKHAUL_API_TOKEN": API_TOKEN,
            "BACKHAUL_ALLOW": THIS_MACHINE,
            "BACKHAUL_CLOCK_SHIFT_FILE": str(self.shift_file),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": f"unix://{self.redis_socket}",
            "LOG_FORMAT": "json",
            **{key: str(fill(value, {"url": self.urls[one.name]})) for one in plans for key, value in one.env.items()},
        }
        self.cli("migrate")
        self.keeper.add("redis", self._redis)
        for name in HUB:
            self.keeper.add(name, self._hub(name))
        self.wait_ready()

    def stop(self) -> None:
        """End everything; harmless when it is ended."""
        try:
            self.keeper.stop()
        finally:
            self._clean_up.close()
            Path(self.redis_socket).unlink(missing_ok=True)

    def wait_ready(self, seconds: float = _READY_S) -> float:
        """Wait until every process of the hub runs and it says that it is ready; after how many seconds.

        Raises `StageError`.
        """
        began = time.monotonic()
        self.until("the hub is ready", self.is_ready, seconds)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        """Whether every process runs and the hub says that it is ready."""
        if not all(self.keeper.pid(name) for name in HUB):
            return False
        try:
            return self.http.get(f"{self.hub_url}/readyz", timeout=3).status_code == 200
        except requests.RequestException:
            return False

    def until(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition. Raises `StageError` with the ends of the logs when it does not come in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise StageError(f"not within {seconds:.0f} s: {what}\n{self.log_ends()}")
            time.sleep(0.05)

    def log_ends(self) -> str:
        """The ends of all logs, for people."""
        ends = ((log.name, log.read_text(errors="replace")[-1500:]) for log in sorted(self.folder.glob("*.log")))
        return "\n".join(f"--- {name}\n{text}" for name, text in ends)

    # --- hub -------------------------------------------------------------------------------------

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> bool:
        """Send a signal to a process; False when it is down. Kept processes start again by themselves."""
        return self.keeper.signal(name, number)

    def cli(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the hub on this site; what it said. Raises `StageError` when it fails, unless unchecked."""
        argv = [sys.executable, "-m", "app.cli", *arguments]
        done = subprocess.run(argv, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120)
        if check and done.returncode != 0:
            raise StageError(
                f"`backhaul {' '.join(arguments)}` ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout + done.stderr

    def shift_clock(self, seconds: float) -> None:
        """Put the hub's clock forward, or back, against the machine's; 0 sets it right."""
        written = self.shift_file.with_suffix(".new")
        written.write_text(f"{seconds:g}")
        written.replace(self.shift_file)

    def limit_files(self, size: int | None) -> None:
        """Let the hub's processes, and those that start from now on, write no file beyond `size` bytes; None: any."""
        self._file_limit = size
        for name in HUB:
            for pid in family(self.keeper.pid(name)):
                limit_files(pid, size)

    # --- simulators ------------------------------------------------------------------------------

    @property
    def http(self) -> requests.Session:
        """A session of the calling thread, without the environment's proxies."""
        if not hasattr(self._http, "session"):
            self._http.session = requests.Session()
            self._http.session.trust_env = False
        session: requests.Session = self._http.session
        return session

    def control(self, simulator: str, path: str, value: Any) -> Any:
        """POST to a simulator's control end points; its answer. Raises `StageError` when it refuses."""
        answer = self.http.post(self.urls[simulator] + path, json=value, timeout=60)
        if answer.status_code != 200:
            raise StageError(f"the simulated {simulator} answered {answer.status_code} to {path}: {answer.text[:500]}")
        return answer.json()

    def misbehave(self, simulator: str, operation: str, mode: str, times: int | None = None, **details: Any) -> None:
        """Plan a fault at a simulator; without `times` it lasts until `misbehave_no_more`."""
        plan = {"operation": operation, "mode": mode, "times": times, **details}
        self.control(simulator, "/_sim/misbehave", plan)

    def misbehave_no_more(self, simulator: str, operation: str, mode: str) -> None:
        """End faults of this kind at a simulator; others that were planned stay."""
        wanted = {"operation": operation, "mode": mode}
        self.http.delete(f"{self.urls[simulator]}/_sim/misbehave", params=wanted, timeout=30)

    def recorded(self, simulator: str, after: int = 0) -> list[Recorded]:
        """Every request that a simulator got, in order; those after a number only."""
        return list(self._recorded(simulator, after))

    def _recorded(self, simulator: str, after: int) -> Iterator[Recorded]:
        while True:
            wanted = {"after": after, "limit": _PAGE}
            answer = self.http.get(f"{self.urls[simulator]}/_sim/requests", params=wanted, timeout=60)
            page = answer.json()["requests"]
            for one in page:
                yield Recorded(simulator=simulator, **{name: one[name] for name in _KEPT})
            if len(page) < _PAGE:
                return
            after = page[-1]["number"]

    # --- how things are started ------------------------------------------------------------------

    def _simulator(self, plan: SimulatorPlan) -> Callable[[], Process]:
        port_file = self.folder / f"{plan.name}.port"
        argv = [sys.executable, "-m", plan.module, "--port-file", str(port_file), *plan.options]

        def launch() -> Process:
            # Started again it listens where the hub knows it; all that it held is gone.
            port = ["--port", port_file.read_text()] if port_file.exists() else []
            return spawn([*argv, *port], self.env, self._root, self._log(plan.name))

        return launch

    def _listening(self, name: str) -> str:
        port_file = self.folder / f"{name}.port"
        self.until(f"the simulated {name} listens", port_file.exists, _READY_S)
        return f"http://127.0.0.1:{port_file.read_text().strip()}"

    def _redis(self) -> Process:
        options = ["--port", "0", "--unixsocket", self.redis_socket, "--unixsocketperm", "700", "--save", ""]
        return spawn([find_server(), *options, "--dir", str(self.folder)], self.env, self.folder, self._log("redis"))

    def _hub(self, name: str) -> Callable[[], Process]:
        argv = [sys.executable, "-m", "app.cli", name.partition("-")[0]]
        argv += ["--port", str(self._port)] if name == "web" else []
        return lambda: spawn(argv, self.env, self.folder, self._log(name), self._file_limit)

    def _make_ledger(self) -> str:
        if not self.options.postgres:
            return f"sqlite:///{self.folder / 'ledger.db'}"
        from bench import postgres

        if not postgres.found():
            raise HubError("there is no PostgreSQL on this machine: install its server, or leave --postgres")
        cluster = self._clean_up.enter_context(postgres.cluster())
        url: str = cluster.create("chaos")
        self._adopt(cluster)
        return url

    def keep_ledger(self) -> None:
        """Leave a PostgreSQL ledger as SQL beside the logs; one of SQLite lies there anyway."""
        if self.options.postgres:
            from tests import postgres

            binaries = postgres.find_binaries()
            assert binaries is not None, "its server runs"
            url = self.database_url.replace("postgresql+psycopg", "postgresql")
            with (self.folder / "ledger.sql").open("wb") as file:
                subprocess.run([binaries / "pg_dump", "--no-owner", url], stdout=file, timeout=120, check=False)

    def _adopt(self, cluster: Any) -> None:
        """From now on it is kept running like everything else."""
        first = [cluster._server]
        self.keeper.add("postgres", lambda: first.pop() if first else cluster.start())

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


_KEPT = ("number", "at", "ended_at", "operation", "path", "headers", "body", "status", "effect", "misbehaved")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
