"""A child ends with its parent, also when the parent was gone before the child could ask for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PARENT = """
import os, sys, time
from app.adapters.children import die_with_parent
parent, ready = os.getpid(), os.pipe()
if os.fork() == 0:
    while {late} and os.getppid() == parent:
        time.sleep(0.01)
    die_with_parent(at_once=True, parent=parent)
    os.write(ready[1], b".")
    time.sleep(600)
if not {late}:
    os.read(ready[0], 1)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
@pytest.mark.parametrize("late", [True, False])
def test_a_child_ends_with_its_parent_whoever_is_first(late: bool) -> None:
    # Returns when nobody holds the other end of the pipe any more: the parent and its child have ended.
    root = Path(__file__).parents[2]
    code = _PARENT.format(late=late)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
