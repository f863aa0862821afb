"""A real Tryton on loopback: installed once into a folder of its own, filled once, then copied and served.

The folder is under var/peer and named after what it is made of, so that a change of the versions or of the data makes a
new one. Tryton is GPL: it runs as a process of its own and is talked to over HTTP.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from app.bootstrap import die_with_parent
from tests.e2e.stack import free_port

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "var" / "peer"
DATABASE = "erp"
MODULES = ("sale", "stock")
_REQUIREMENTS, _DATA = HERE / "requirements.txt", HERE / "tryton_data.py"
_PIP_S, _STEP_S, _BOOT_S = 300, 600, 120
_CONF = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
"""


class Tryton:
    """A running server. `url` is the address for a connection, database included."""

    def __init__(self, made: Made, folder: Path, port: int) -> None:
        self._filled, self.facts = made.filled, made.facts()
        self.file = folder / f"{DATABASE}.sqlite"
        self.url = f"http://127.0.0.1:{port}/{DATABASE}"
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {self.facts['keys']['hub']}"

    def reset(self) -> None:
        """Put the filled database back, beneath the running server."""
        with closing(sqlite3.connect(self._filled)) as source, closing(sqlite3.connect(self.file, timeout=60)) as live:
            source.backup(live)

    def rows(self, model: str, **wanted: Any) -> list[dict[str, Any]]:
        """The records of a model whose fields have these values, as its table keeps them."""
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        with closing(sqlite3.connect(self.file, timeout=60)) as live:
            live.row_factory = sqlite3.Row
            table = model.replace(".", "_")
            found = live.execute(f'SELECT * FROM "{table}" WHERE {where} ORDER BY id', [*wanted.values()])
            return [dict(row) for row in found]

    def ask(self, method: str, path: str, values: Any = None, *fields: str) -> Any:
        """What a person at the ERP does, over REST: `path` is a model with id and button. Fails unless it is a 2xx."""
        context = {"company": self.facts["company"], "_skip_warnings": True}
        answer = self.http.request(
            method,
            f"{self.url}/rest/model/{path}",
            params={"f": list(fields)} if fields else None,
            json=values,
            headers={"X-Tryton-Context": _b64(context)},
            timeout=60,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can write or read the database meanwhile."""
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=60)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            try:
                yield
            finally:
                holder.execute("ROLLBACK")


@dataclass(frozen=True)
class Made:
    """What is kept from run to run: Tryton's programs, and the filled database with what is in it."""

    programs: Path
    filled: Path

    def facts(self) -> dict[str, Any]:
        """What the data is that the database was filled with."""
        return dict(json.loads(self.filled.with_suffix(".json").read_text()))


def home() -> Made:
    """The installed Tryton and its filled database; makes what is not there yet, once.

    Takes a minute or some the first time (PyPI is asked), nothing afterwards. Raises `CalledProcessError` or
    `TimeoutExpired` with the step that failed.
    """
    folder = CACHE / f"tryton-{_hash(_REQUIREMENTS.read_bytes() + repr((sys.version_info[:2], MODULES)).encode())}"
    made = Made(folder / "venv" / "bin", folder / f"filled-{_hash(_DATA.read_bytes())}")
    made.filled.parent.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Two runs of the tests at the same time: the second waits for what the first one makes.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(folder)
        _initialise(folder, made)
        _fill(folder, made)
    return made


@contextmanager
def serve(folder: Path, port: int = 0) -> Iterator[Tryton]:
    """A server on a copy of the filled database in `folder`, on a free port unless one is given; ended at the end."""
    made, port = home(), port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    server = Tryton(made, folder, port)
    shutil.copy(made.filled, server.file)
    conf = _conf(folder, port)
    with (folder / "trytond.log").open("ab") as log:
        process = subprocess.Popen(
            [made.programs / "trytond", "-c", conf, "-d", DATABASE],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_env(),
            preexec_fn=die_with_parent,
        )
    try:
        _until_answering(server, process, folder / "trytond.log")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _install(folder: Path) -> None:
    venv, stamp = folder / "venv", folder / "installed"
    if stamp.exists():
        return
    shutil.rmtree(venv, ignore_errors=True)
    _run([sys.executable, "-m", "venv", venv], folder, _PIP_S)
    pip: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "-r", _REQUIREMENTS], folder, _PIP_S)
    stamp.touch()


def _initialise(folder: Path, made: Made) -> None:
    """The empty database with its tables, which takes longest and depends on the versions alone."""
    if (folder / "empty").exists():
        return
    work = _fresh(folder / "initialising")
    # Tryton opens no file that is not there, not even to make its tables in it.
    (work / f"{DATABASE}.sqlite").touch()
    (work / "password").write_text("peer-Passw0rd-of-nobody\n")
    admin: list[str | Path] = [made.programs / "trytond-admin", "-c", _conf(work, 0), "-d", DATABASE, "-u", *MODULES]
    admin += ["--activate-dependencies", "--email", "admin@example.com"]
    _run(admin, folder, _STEP_S, TRYTONPASSFILE=str(work / "password"))
    _keep(work, folder / "empty")


def _fill(folder: Path, made: Made) -> None:
    if made.filled.exists():
        return
    work = _fresh(folder / "filling")
    shutil.copy(folder / "empty", work / f"{DATABASE}.sqlite")
    facts = made.filled.with_suffix(".json")
    _run([made.programs / "python", _DATA, _conf(work, 0), DATABASE, facts], folder, _STEP_S)
    _keep(work, made.filled)


def _keep(work: Path, as_file: Path) -> None:
    """Move the database out of the folder it was made in, in one step: one that is there is whole."""
    file = work / f"{DATABASE}.sqlite"
    with closing(sqlite3.connect(file)) as live:
        # Tryton writes ahead into a second file.
        live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.replace(as_file)
    shutil.rmtree(work)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _hash(of: bytes) -> str:
    return hashlib.sha256(of).hexdigest()[:12]


def _conf(folder: Path, port: int) -> Path:
    conf = folder / "trytond.conf"
    conf.write_text(_CONF.format(folder=folder, port=port))
    return conf


def _run(command: Sequence[str | Path], folder: Path, seconds: int, **env: str) -> None:
    with (folder / "making.log").open("ab") as log:
        try:
            subprocess.run(command, check=True, stdout=log, stderr=log, timeout=seconds, env={**_env(), **env})
        except subprocess.SubprocessError as error:
            error.add_note((folder / "making.log").read_text(errors="replace")[-3000:])
            raise


def _env() -> dict[str, str]:
    """Nothing of the hub's or of another Tryton's surroundings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRYTON", "VIRTUAL"))}


def _until_answering(server: Tryton, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _BOOT_S
    while True:
        try:
            server.ask("GET", "company.company")
            return
        except (requests.RequestException, AssertionError) as error:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"Tryton does not answer ({error}):\n{log.read_text()[-3000:]}") from error
            time.sleep(0.1)


def _b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
