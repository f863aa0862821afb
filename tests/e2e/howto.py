"""Carries out a how-to as a reader would: writes its files, types its commands, compares what it says comes out.

A how-to is Markdown. ``File `path`…:`` before a block makes it a file (a fence with the word `append` adds to it); a
block of `sh` without that is commands, one a line; a block of `text` holds lines that the commands before it print, in
any order, `…` standing for anything. Other blocks are only read.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.stack import ROOT, free_port, wait_for

_BLOCK = re.compile(r"^```(\w+)( append)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"File `([^`]+)`[^`]*:\s*\Z")
_STAYS = re.compile(r"backhaul up$|python stand_in\.py$|python -m connectors\.")
_PORT = re.compile(r"127\.0\.0\.1[:\", ]+(\d{4})|--port (\d{4})")
#: After these the story goes on by itself: what they print is looked at until it fits.
_LATER = ("backhaul trace", "backhaul parked", "backhaul deliveries")


@dataclass(frozen=True)
class Step:
    """One block of a how-to."""

    kind: str  # file | commands | output
    text: str
    path: str = ""
    append: bool = False


def free_ports(page: Path) -> dict[str, str]:
    """A free port for each one that a page names."""
    found = _PORT.findall(page.read_text(encoding="utf-8"))
    return {port: str(free_port()) for pair in found for port in pair if port}


def steps(page: Path, ports: Mapping[str, str]) -> Iterator[Step]:
    """The blocks of a page that do something, in order, with other ports than it names."""
    text = _moved(page.read_text(encoding="utf-8"), ports)
    for block in _BLOCK.finditer(text):
        language, append, content = block.groups()
        named = _FILE.search(text[: block.start()])
        if named:
            yield Step("file", content, named[1], bool(append))
        elif language in ("sh", "text"):
            yield Step("commands" if language == "sh" else "output", content)


def _moved(text: str, ports: Mapping[str, str]) -> str:
    for port, free in ports.items():
        text = re.sub(rf"\b{port}\b", free, text)
    return text


class Reader:
    """A person with a shell, in a copy of the hub's folder that has what a merchant copies."""

    def __init__(self, folder: Path, ports: Mapping[str, str], processes: ExitStack) -> None:
        self.folder = folder / "hub"
        for name in ("config", "mappings"):
            shutil.copytree(ROOT / name, self.folder / name)
        example = (ROOT / ".env.example").read_text(encoding="utf-8")
        (self.folder / ".env.example").write_text(_moved(example, ports), encoding="utf-8")
        self._processes = processes
        self._logs = folder
        self._env = {
            "PATH": f"{_programs(folder / 'bin')}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PORT": str(free_port()),
        }
        self._typed: dict[str, str] = {}

    def do(self, step: Step) -> None:
        """Carry out one block. Fails when a command fails or prints something else."""
        if step.kind == "file":
            self._write(step)
        elif step.kind == "commands":
            self._typed = {command: self._type(command) for command in step.text.splitlines()}
        else:
            self._compare(step.text)

    def _write(self, step: Step) -> None:
        path = self.folder / step.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if step.append else "w", encoding="utf-8") as file:
            file.write(("\n" if step.append else "") + step.text)

    def _type(self, command: str) -> str:
        if command.startswith("cd "):
            self.folder = (self.folder / command.removeprefix("cd ")).resolve()
        elif _STAYS.match(command):
            self._processes.enter_context(self._running(command))
        else:
            status, said = self._run(command)
            assert status == 0, f"{command}\n{said}"
            return said
        return ""

    def _run(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    @contextmanager
    def _running(self, command: str) -> Iterator[None]:
        log = self._logs / f"{re.sub('[^a-z]+', '-', command)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self._env, stdout=out, stderr=out
            )
        port = _PORT.search(command)
        try:
            wait_for(f"{command} runs", lambda: _runs(process, log, port[2] if port else ""), 60)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def _compare(self, wanted: str) -> None:
        until = time.monotonic() + 20
        while missing := _missing(wanted, said := "\n".join(self._typed.values())):
            later = [command for command in self._typed if command.startswith(_LATER)]
            assert later and time.monotonic() < until, f"nothing says {missing!r} but\n{said}"
            time.sleep(0.2)
            self._typed.update({command: self._run(command)[1] for command in later})


def _runs(process: subprocess.Popen[bytes], log: Path, port: str) -> bool:
    said = log.read_text(encoding="utf-8")
    assert process.poll() is None, said
    return "ready at" in said or bool(port and port in said) or "stand" in log.name


def _missing(wanted: str, said: str) -> str:
    """The first line of `wanted` that `said` does not have; "" when all are there."""
    told = said.splitlines()
    for line in wanted.splitlines():
        # Columns of a table and commas between items may differ.
        fits = re.compile(".*".join(r"\s+".join(map(re.escape, part.split(" "))) for part in line.split("…")) + ",?$")
        if not any(map(fits.match, told)):
            return line
    return ""


def _programs(folder: Path) -> Path:
    """A folder with `python` and `backhaul` as an activated .venv has them, also where the project is not installed."""
    folder.mkdir()
    for name, what in (("python", '"$@"'), ("backhaul", '-m app.cli "$@"')):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {what}\n', encoding="utf-8")
        program.chmod(0o755)
    return folder
