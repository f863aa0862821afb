"""`backhaul demo`: the hub with simulated vendors, one return from the printed label to the warehouse."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from app import bootstrap
from app.cli.context import Cli, pass_cli
from app.cli.demo_plan import FILE, Plan, SimulatorPlan, fill, read_plan
from app.cli.launch import command
from app.errors import HubError
from app.model import Json

_DEADLINE_S = 60.0
_STOP_S = 20.0
_LOOK_S = 0.05
_TAIL = 20
#: What a child needs of the caller's environment. Nothing else: a real DATABASE_URL or credential must not get in.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "VIRTUAL_ENV", "SYSTEMROOT", "BACKHAUL_DEBUG")


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
@click.option("--erp", default="", help="Play config/demo/ERP.yaml, where the project has one: with a real ERP.")
@pass_cli
def demo_command(cli: Cli, keep: bool, erp: str) -> None:
    """Play config/demo.yaml: start simulated vendors and a hub of its own, let a label be printed, tell the story.

    Needs no credentials and no network. Its ledger is kept in var/demo until the next demo.
    """
    site = cli.settings.site.absolute()
    plan = read_plan(site, f"config/demo/{erp}.yaml" if erp else FILE)
    play = _Play(plan, site / plan.site, cli.settings.var_dir.absolute() / "demo", cli.env)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        play.run()
        play.say_what_next(keep)
        if keep:
            play.wait_for_ctrl_c()
    except (HubError, KeyboardInterrupt) as error:
        if isinstance(error, HubError):
            play.show_logs()
            raise
    finally:
        play.stop()


class _Play:
    """One demo with its processes. `stop` ends them whatever happened."""

    def __init__(self, plan: Plan, site: Path, var: Path, env: Mapping[str, str]) -> None:
        self._plan, self._site, self._var = plan, site, var
        self._root = bootstrap.project_folder()
        self._env = {name: env[name] for name in _PASSED_ON if name in env} | {"PYTHONPATH": str(self._root)}
        self._env_file = var / "demo.env"
        self._urls: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._began = time.monotonic()
        self._hub = ""

    def run(self) -> None:
        """Play the plan to its end. Raises `HubError` when something does not happen in time."""
        self._fresh_folder()
        self._say(f"{self._plan.title[:1].upper()}{self._plan.title[1:]}.")
        self._start_simulators()
        self._start_hub()
        for name, value in self._plan.seed.items():
            self._ask_simulator(name, "/_sim/seed", value)
        answers = self._ask_simulator(self._plan.sender, "/_sim/send", fill(self._plan.message, {"hub": self._hub}))
        statuses = ", ".join(str(status) for status in answers.get("statuses", ())) or "nothing"
        self._say(f"the {self._plan.sender} sent its signed event; the hub answered {statuses}")
        self._wait_until(
            f"there are {self._plan.count} {self._plan.what}",
            lambda: self._arrived() >= self._plan.count,
        )
        self._say(f"there are {self._plan.count} {self._plan.what}. The story:")
        click.echo()
        self._call("trace", self._plan.trace)

    def say_what_next(self, keep: bool) -> None:
        """Point to what is worth a look now."""
        script = Path(sys.executable).parent / "backhaul"
        backhaul = f"{_short(script) if script.exists() else 'backhaul'} --env {_short(self._env_file)}"
        click.echo()
        click.echo("Look next:")
        click.echo("  the files that did it      config/routes.yaml, mappings/, connectors/")
        click.echo(f"  the story again            {backhaul} trace {self._plan.trace}")
        click.echo(f"  what it learned            {backhaul} refs show")
        if keep:
            click.echo(f"  the hub                    {self._hub}/readyz  {self._hub}/metrics")
            for name, url in self._urls.items():
                click.echo(f"  {'the ' + name:26} {url}/_sim/requests")
        else:
            click.echo("  leave it running           make demo KEEP=1")

    def wait_for_ctrl_c(self) -> None:
        """Return when the hub ends or somebody presses Ctrl-C."""
        click.echo("\nRunning; Ctrl-C stops everything.")
        self._processes[-1].wait()
        raise HubError("the hub ended by itself")

    def show_logs(self) -> None:
        """Print the ends of what the processes said, if there were any."""
        if not self._processes:
            return
        for log in sorted(self._var.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
            if lines:
                click.echo(f"--- the end of {log}", err=True)
                click.echo("\n".join(lines), err=True)

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

    # --- steps -----------------------------------------------------------------------------------

    def _fresh_folder(self) -> None:
        if bootstrap.running_hub(self._var):
            raise HubError(f"a demo runs already on {self._var}; stop it first")
        shutil.rmtree(self._var, ignore_errors=True)
        self._var.mkdir(parents=True, mode=0o700)

    def _start_simulators(self) -> None:
        for simulator in self._plan.simulators:
            self._start_simulator(simulator)
        values = {"BACKHAUL_VAR": str(self._var)}
        for simulator in self._plan.simulators:
            port_file, log = self._var / f"{simulator.name}.port", self._var / f"{simulator.name}.log"
            if simulator.patience_s > _DEADLINE_S and not port_file.exists():
                self._say(f"the {simulator.name} is made ready, the first time from nothing; {_short(log)} tells more")
            self._wait_until(f"the {simulator.name} listens", port_file.exists, simulator.patience_s)
            url = f"http://127.0.0.1:{port_file.read_text().strip()}"
            self._urls[simulator.name] = url
            self._say(f"{simulator.name} ({simulator.module}) at {url}")
            values.update({name: fill(value, {"url": url}) for name, value in simulator.env.items()})
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def _start_simulator(self, simulator: SimulatorPlan) -> None:
        port_file = str(self._var / f"{simulator.name}.port")
        argv = [sys.executable, "-m", simulator.module, "--port-file", port_file]
        self._spawn(simulator.name, [*argv, *simulator.options])

    def _start_hub(self) -> None:
        self._spawn("hub", self._command("up", "--port", "0"))
        self._wait_until("the hub is running", lambda: bootstrap.running_hub(self._var) is not None)
        note = bootstrap.running_hub(self._var)
        assert note is not None
        self._hub = note.url
        self._wait_until("the hub is ready", self._ready)
        self._say(f"the hub is ready at {self._hub}: web, workers, clock, its own Redis, SQLite")

    def _ready(self) -> bool:
        try:
            return bootstrap.client().ask("GET", f"{self._hub}/readyz", timeout_s=2.0).status == 200
        except HubError:
            return False

    def _arrived(self) -> int:
        if self._plan.route:
            return self._done()
        url = f"{self._urls[self._plan.receiver]}/_sim/requests?operation={self._plan.operation}"
        body = bootstrap.client().ask("GET", url).body
        return len(body["effects"]) if isinstance(body, dict) else 0

    def _done(self) -> int:
        """How many deliveries of the plan's route the hub counts as done."""
        told = str(bootstrap.client().ask("GET", f"{self._hub}/metrics").body).splitlines()
        counted = [one for one in told if one.startswith("backhaul_deliveries_total{") and 'state="done"' in one]
        return sum(int(float(one.rsplit(" ", 1)[1])) for one in counted if f'route="{self._plan.route}"' in one)

    def _ask_simulator(self, name: str, path: str, value: Json) -> Mapping[str, Json]:
        if name not in self._urls:
            raise HubError(f"the plan names a simulator {name!r} that it does not start")
        said = bootstrap.client().ask_json("POST", self._urls[name] + path, value, timeout_s=30.0)
        if said.status != 200 or not isinstance(said.body, dict):
            raise HubError(f"the simulated {name} answered {said.status} to {path}: {said.body}")
        return said.body

    # --- processes -------------------------------------------------------------------------------

    def _command(self, *arguments: str) -> list[str]:
        return command("--site", str(self._site), "--env", str(self._env_file), *arguments)

    def _call(self, *arguments: str) -> None:
        done = subprocess.run(self._command(*arguments), env=self._env, cwd=self._root, check=False)
        if done.returncode != 0:
            raise HubError(f"`backhaul {' '.join(arguments)}` ended with {done.returncode}")

    def _spawn(self, name: str, argv: list[str]) -> None:
        with (self._var / f"{name}.log").open("wb") as log:
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

    def _wait_until(self, what: str, condition: Callable[[], bool], seconds: float = _DEADLINE_S) -> None:
        began = time.monotonic()
        while not condition():
            for process in self._processes:
                if (status := process.poll()) is not None:
                    raise HubError(f"waiting until {what}: a process ended with status {status}")
            if time.monotonic() - began > seconds:
                raise HubError(f"not within {seconds:.0f} s: {what}")
            time.sleep(_LOOK_S)

    def _say(self, what: str) -> None:
        click.echo(f"{time.monotonic() - self._began:5.1f} s  {what}")


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
