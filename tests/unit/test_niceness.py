"""A worker gives way to others on a busy processor, in whichever way the system shares it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import niceness

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="levels as Linux has them")

GROUP = Path("/proc/self/autogroup")
TELL = """
import os
print(os.nice(0), open("/proc/self/autogroup").read().split()[-1] if os.path.exists("/proc/self/autogroup") else "-")
"""
MODULE = inspect.getsource(niceness)
#: Become `nobody`, who may read no file of this installation. Linux then keeps from a process what is its own (4 is
#: PR_SET_DUMPABLE), until another program begins: none does here.
NOT_ROOT = "import ctypes\nos.setuid(65534)\nctypes.CDLL(None).prctl(4, 1)\n"


def begin(does: str) -> subprocess.Popen[str]:
    code = f"{MODULE}\n{does}\n{TELL}"
    argv = [sys.executable, "-I", "-c", code]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)


def levels(process: subprocess.Popen[str]) -> tuple[str, str]:
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    own, group = told.split()
    return own, group


def of_process(level: int) -> str:
    """What is told of a process: whoever runs the tests may be nicer already."""
    return str(max(level, os.nice(0)))


def of_group(level: str) -> str:
    """What is told of a session's level, where the kernel has such a thing."""
    return level if GROUP.exists() else "-"


def test_a_process_and_the_session_that_it_leads_get_the_level() -> None:
    assert levels(begin("be_nice(10)")) == (of_process(10), of_group("10"))


def test_zero_leaves_all_as_it_was() -> None:
    assert levels(begin("be_nice(0)")) == (of_process(0), of_group("0"))


def test_a_session_that_somebody_else_leads_keeps_its_level() -> None:
    # Else `backhaul worker` by hand would slow down all that its terminal does.
    does = "if os.fork() == 0:\n    be_nice(10)\nelse:\n    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))"
    assert levels(begin(does)) == (of_process(10), of_group("0"))


def test_who_is_nicer_already_stays_so() -> None:
    assert levels(begin("os.nice(15)\nbe_nice(10)")) == (str(min(19, os.nice(0) + 15)), of_group("10"))
    assert levels(begin("be_nice(10)\nbe_nice(10)")) == (of_process(10), of_group("10"))


def test_a_kernel_that_shares_by_process_alone_is_enough(tmp_path: Path) -> None:
    assert levels(begin(f"be_nice(10, Path({str(tmp_path / 'none')!r}))")) == (of_process(10), of_group("0"))
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_several_that_begin_together_all_get_the_level_without_being_root() -> None:
    # Linux says "try again" to whoever comes within 0.1 s of another.
    together = [begin(f"{NOT_ROOT}be_nice(10)") for _ in range(4)]
    assert [levels(one) for one in together] == [(of_process(10), of_group("10"))] * 4
