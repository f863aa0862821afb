"""The rules of the house that no tool holds: who imports whom, which words stand where, how long a file is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "app"
FILES = sorted(APP.rglob("*.py"))
LONGEST = 320

_BASE = {"model", "errors"}
_CORE = _BASE | {"core"}
_PIPELINE = _CORE | {"pipeline"}
#: What each room may import of the others; itself always.
MAY_IMPORT = {
    "model": set(),
    "errors": {"model"},
    "core": _BASE,
    "adapters": _CORE,
    "pipeline": _CORE,
    "jobs": _PIPELINE | {"bootstrap"},
    "web": _PIPELINE | {"bootstrap"},
    "cli": _PIPELINE | {"bootstrap", "web"},
    "bootstrap": _CORE | {"adapters"},
}
#: A worker tells RQ's one function which engine to wake; RQ finds that function by the name `app.jobs.drain`.
EXCEPTIONS = {("pipeline/worker.py", "app.jobs")}
#: Adapters that are more than one file.
PARTS = {
    "files": {"environment", "yamltext"},
    "http": {"http_answer", "http_request", "outbound", "sockets"},
    "http_request": {"sockets"},
    "sockets": {"outbound"},
    "client": {"outbound"},
}
#: Names of vendors that may stand in their folders only, beside those that have a folder now.
VENDORS = ("fulfillmenttools", "nshift", "digitalriver", "digital_river", "shopify", "shipbob", "aftership")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports name the whole way"
            found.append(node.module or "")
            if node.module == "app":
                found += [f"app.{alias.name}" for alias in node.names]
    return found


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(APP)))
def test_every_room_imports_only_what_it_may(path: Path) -> None:
    relative = path.relative_to(APP)
    room = relative.parts[0].removesuffix(".py")
    if room == "__init__":
        return
    for module in _imports(path):
        other = _room(module) if module.startswith("app") else ""
        if other and other != room and (str(relative), module) not in EXCEPTIONS:
            assert other in MAY_IMPORT[room], f"app/{relative} imports {module}"


def test_an_adapter_imports_no_other_one_but_its_own_parts() -> None:
    for path in FILES:
        relative = path.relative_to(APP)
        if relative.parts[0] != "adapters":
            continue
        own = relative.parts[1].removesuffix(".py")
        for module in _imports(path):
            if module.startswith("app.adapters."):
                other = module.split(".")[2]
                assert other == own or other in PARTS.get(own, ()), f"app/{relative} imports {module}"


def test_the_core_has_no_clock_no_network_and_no_files() -> None:
    doing = {
        "os",
        "time",
        "socket",
        "subprocess",
        "requests",
        "redis",
        "rq",
        "sqlalchemy",
        "flask",
        "threading",
    }
    for path in sorted((APP / "core").rglob("*.py")):
        used = {module.split(".")[0] for module in _imports(path)} & doing
        assert not used, f"{path.relative_to(ROOT)} imports {used}"
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bopen\(|\.read_text\(|\.read_bytes\(|datetime\.now\(", text), path.relative_to(ROOT)


def test_only_the_environment_adapter_reads_the_environment() -> None:
    reads = re.compile(r"os\.environ|\bgetenv\b|from os import|envvar=")
    for path in FILES:
        if path != APP / "adapters" / "environment.py":
            assert not reads.search(path.read_text(encoding="utf-8")), f"{path.relative_to(ROOT)} reads the environment"


def test_no_vendor_is_named_outside_its_folder() -> None:
    folders = [path.name for path in (ROOT / "connectors").iterdir() if (path / "connector.yaml").is_file()]
    names = re.compile("|".join(map(re.escape, (*VENDORS, *folders))), re.IGNORECASE)
    for path in sorted(APP.rglob("*")):
        if path.suffix in (".py", ".json", ".yaml", ".md"):
            found = names.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path.relative_to(ROOT)} names {found and found[0]}"


def test_no_file_is_too_long_to_be_read_in_one_go() -> None:
    for folder in ("app", "connectors", "tests", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            length = len(path.read_text(encoding="utf-8").splitlines())
            assert length <= LONGEST, f"{path.relative_to(ROOT)} has {length} lines"


def test_every_file_says_what_it_is_for() -> None:
    for path in FILES:
        tree = _tree(path)
        if tree.body:
            assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
            assert "from __future__ import annotations" in path.read_text(encoding="utf-8"), path.relative_to(ROOT)


def test_nothing_is_left_to_be_done() -> None:
    # Spelled so that this line is none of them.
    marks = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
    for folder in ("app", "connectors", "mappings", "config"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".md", ".json"):
                assert not marks.search(path.read_text(encoding="utf-8")), path.relative_to(ROOT)


def test_nothing_happens_on_import() -> None:
    """A module that opened a database on import once made every command need one."""
    names = []
    for path in FILES:
        relative = path.relative_to(ROOT)
        if path.name != "__main__.py" and "migrations" not in relative.parts:
            names.append(".".join(relative.with_suffix("").parts).removesuffix(".__init__"))
    watch = f"""
import sys
def hook(event, args):
    if event in ("socket.connect", "subprocess.Popen", "sqlite3.connect", "os.mkdir", "os.remove"):
        raise SystemExit(f"{{event}} {{args}}")
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        raise SystemExit(f"{{event}} {{args}}")
sys.dont_write_bytecode = True
sys.addaudithook(hook)
import importlib
for name in {names!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", watch], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
