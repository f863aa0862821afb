"""The processes of `backhaul demo`: simulated vendors and a hub of its own, all on loopback."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from app import bootstrap
from app.cli.demo_plan import SimulatorPlan, fill
from app.cli.launch import command
from app.core.networks import THIS_MACHINE
from app.errors import HubError
from app.model import Json

_DEADLINE_S = 60.0
_STOP_S = 20.0
_LOOK_S = 0.05
_TAIL = 20
#: What a child needs of the caller's environment. Nothing else: a real DATABASE_URL or credential must not get in.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "VIRTUAL_ENV", "SYSTEMROOT", "BACKHAUL_DEBUG")


class Stage:
    """Simulators and a hub on `site`, their files in `var`. `stop` ends them whatever happened."""

    def __init__(self, site: Path, var: Path, env: Mapping[str, str]) -> None:
        self.site, self.var = site, var
        self.env_file = var / "demo.env"
        self.urls: dict[str, str] = {}
        self.hub = ""
        self._root = bootstrap.project_folder()
        self._env = {name: env[name] for name in _PASSED_ON if name in env} | {"PYTHONPATH": str(self._root)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._began = time.monotonic()

    def say(self, what: str) -> None:
        """One line with the time since the beginning."""
        click.echo(f"{time.monotonic() - self._began:5.1f} s  {what}")

    def start(self, simulators: tuple[SimulatorPlan, ...]) -> None:
        """Start everything anew and wait until it is ready. Raises `HubError` when it does not become so."""
        if bootstrap.running_hub(self.var):
            raise HubError(f"a demo runs already on {self.var}; stop it first")
        shutil.rmtree(self.var, ignore_errors=True)
        self.var.mkdir(parents=True, mode=0o700)
        self._start_simulators(simulators)
        self._start_hub()

    def stop(self) -> None:
        """End everything, the hub first."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def wait_for_the_hub(self) -> None:
        """Return when the hub has ended."""
        self._processes[-1].wait()

    def show_logs(self) -> None:
        """Print the ends of what the processes said, if there were any."""
        if not self._processes:
            return
        for log in sorted(self.var.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
            if lines:
                click.echo(f"--- the end of {log}", err=True)
                click.echo("\n".join(lines), err=True)

    def ask(self, simulator: str, path: str, value: Json) -> Mapping[str, Json]:
        """POST to a simulator's control end points; its answer. Raises `HubError` when it refuses."""
        said = bootstrap.client().ask_json("POST", self._url(simulator) + path, value, timeout_s=30.0)
        if said.status != 200 or not isinstance(said.body, dict):
            raise HubError(f"the simulated {simulator} answered {said.status} to {path}: {said.body}")
        return said.body

    def effects(self, simulator: str, operation: str) -> int:
        """How many requests for an operation have changed something there."""
        body = bootstrap.client().ask("GET", f"{self._url(simulator)}/_sim/requests?operation={operation}").body
        return len(body["effects"]) if isinstance(body, dict) else 0

    def done(self, route: str) -> int:
        """How many deliveries of a route the hub counts as done."""
        told = str(bootstrap.client().ask("GET", f"{self.hub}/metrics").body).splitlines()
        counted = [one for one in told if one.startswith("backhaul_deliveries_total{") and 'state="done"' in one]
        return sum(int(float(one.rsplit(" ", 1)[1])) for one in counted if f'route="{route}"' in one)

    def call(self, *arguments: str, quiet: bool = False) -> None:
        """Run a command of the hub. Raises `HubError` when it fails, with what it said."""
        done = subprocess.run(
            self._command(*arguments), env=self._env, cwd=self._root, check=False, text=True, capture_output=quiet
        )
        if done.returncode != 0:
            said = f": {(done.stderr or done.stdout).strip()}" if quiet else ""
            raise HubError(f"`backhaul {' '.join(arguments)}` ended with {done.returncode}{said}")

    def wait_until(self, what: str, condition: Callable[[], bool], seconds: float = _DEADLINE_S) -> None:
        """Wait for a condition. Raises `HubError` when it does not come in time, or a process ends meanwhile."""
        began = time.monotonic()
        while not condition():
            for process in self._processes:
                if (status := process.poll()) is not None:
                    raise HubError(f"waiting until {what}: a process ended with status {status}")
            if time.monotonic() - began > seconds:
                raise HubError(f"not within {seconds:.0f} s: {what}")
            time.sleep(_LOOK_S)

    # --- processes -------------------------------------------------------------------------------

    def _url(self, simulator: str) -> str:
        if simulator not in self.urls:
            raise HubError(f"the plan names a simulator {simulator!r} that it does not start")
        return self.urls[simulator]

    def _start_simulators(self, simulators: tuple[SimulatorPlan, ...]) -> None:
        for simulator in simulators:
            argv = [sys.executable, "-m", simulator.module, "--port-file", str(self.var / f"{simulator.name}.port")]
            self._spawn(simulator.name, [*argv, *simulator.options])
        values = {"BACKHAUL_VAR": str(self.var), "BACKHAUL_ALLOW": THIS_MACHINE}
        for simulator in simulators:
            port_file, log = self.var / f"{simulator.name}.port", self.var / f"{simulator.name}.log"
            if simulator.patience_s > _DEADLINE_S and not port_file.exists():
                self.say(f"the {simulator.name} is made ready, the first time from nothing; {short(log)} tells more")
            self.wait_until(f"the {simulator.name} listens", port_file.exists, simulator.patience_s)
            url = f"http://127.0.0.1:{port_file.read_text().strip()}"
            self.urls[simulator.name] = url
            self.say(f"{simulator.name} ({simulator.module}) at {url}")
            values.update({name: str(fill(value, {"url": url})) for name, value in simulator.env.items()})
        self.env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def _start_hub(self) -> None:
        self._spawn("hub", self._command("up", "--port", "0"))
        self.wait_until("the hub is running", lambda: bootstrap.running_hub(self.var) is not None)
        note = bootstrap.running_hub(self.var)
        assert note is not None
        self.hub = note.url
        self.wait_until("the hub is ready", self._ready)
        self.say(f"the hub is ready at {self.hub}: web, workers, clock, its own Redis, SQLite")

    def _ready(self) -> bool:
        try:
            return bootstrap.client().ask("GET", f"{self.hub}/readyz", timeout_s=2.0).status == 200
        except HubError:
            return False

    def _command(self, *arguments: str) -> list[str]:
        return command("--site", str(self.site), "--env", str(self.env_file), *arguments)

    def _spawn(self, name: str, argv: list[str]) -> None:
        with (self.var / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._env,
                    cwd=self._root,
                    start_new_session=True,
                    preexec_fn=bootstrap.die_with_parent,
                )
            )


def short(path: Path) -> str:
    """A path as it is typed in this folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
