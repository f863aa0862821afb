"""Who is at the other end of a TCP connection on this machine: the process, found through Linux's /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def pid_of_peer(its_port: int, own_port: int) -> int:
    """The process that holds the connection from `its_port` to `own_port`; 0 when there is none that can be seen."""
    inode = _inode(its_port, own_port)
    return _holder(f"socket:[{inode}]") if inode else 0


def _inode(local_port: int, remote_port: int) -> str:
    wanted = (f"{local_port:04X}", f"{remote_port:04X}")
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if (fields[1].rpartition(":")[2], fields[2].rpartition(":")[2]) == wanted and fields[9] != "0":
                return fields[9]
    return ""


def _holder(name: str) -> int:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            found = any(os.readlink(entry.path) == name for entry in os.scandir(folder / "fd"))
        except OSError:
            continue  # ended meanwhile, or another user's
        if found:
            return int(folder.name)
    return 0
