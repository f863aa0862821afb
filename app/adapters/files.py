"""Reads the environment and the merchant's folder: the site's own files, and beneath them those of the project."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from app.adapters.environment import environment as environment
from app.core.jsontext import loads
from app.core.site import Site
from app.core.site_reader import Files, read_site
from app.core.yamltext import parse_yaml
from app.errors import ConfigError
from app.model import Json, Problem

#: The folder that holds `app/`: its connectors and mappings are there for every site.
PROJECT = Path(__file__).resolve().parents[2]
SCHEMAS = PROJECT / "app" / "schemas"
#: What a site may hold; all of it goes into its stamp. Connectors are taken whole, see `_connectors`.
_CONFIG = ("config/hub.yaml", "config/connections.yaml", "config/routes.yaml", "config/bridges.yaml")
_FLOWS = "config/flows/*.yaml"
_PATTERNS = ("mappings/*.yaml", "mappings/references/*.yaml", "mappings/tables/*.csv", "mappings/tables/*.yaml")
_CONNECTOR = ("connector.yaml", "tests.yaml", "schemas/**/*.json")
MAX_BYTES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says about this process, not about the merchant."""

    database_url: str | None
    redis_url: str | None
    site: Path
    var_dir: Path
    clock_shift_file: Path | None = None  # for tests: how many seconds the clock shall be wrong


def settings(env: Mapping[str, str]) -> Settings:
    """The process's settings from DATABASE_URL, REDIS_URL, BACKHAUL_SITE, BACKHAUL_VAR, BACKHAUL_CLOCK_SHIFT_FILE."""
    site = Path(env.get("BACKHAUL_SITE") or ".")
    shift = env.get("BACKHAUL_CLOCK_SHIFT_FILE")
    return Settings(
        database_url=env.get("DATABASE_URL") or None,
        redis_url=env.get("REDIS_URL") or None,
        site=site,
        var_dir=Path(env.get("BACKHAUL_VAR") or site / "var"),
        clock_shift_file=Path(shift) if shift else None,
    )


def load_site(
    root: Path,
    *,
    env: Mapping[str, str] | None = None,
    allow_missing_env: bool = False,
    need_connections: bool = True,
    whole: bool = True,
) -> Site:
    """The compiled site, without `whole` only what it uses of the project. Raises `ConfigError` with every fault.

    With `allow_missing_env` variables that are not set stay as they are written: for tests and dry runs. Without
    `need_connections` there may be no config/connections.yaml yet: for the cases of a connector that is being written.
    """
    given = environment(root) if env is None else env
    files, wanted = _files(root), {"allow_missing_env": allow_missing_env, "need_connections": need_connections}
    site, problems = read_site(files, given, whole=whole, **wanted)
    if problems and not whole:
        # What is wrong is told by all that there is, as `check` tells it.
        site, problems = read_site(files, given, **wanted)
    if problems:
        raise ConfigError(problems)
    return site


def check(root: Path, env: Mapping[str, str]) -> list[Problem]:
    """Every fault in the site's files, in the order of files and lines; empty when it may start."""
    return read_site(_files(root), env)[1]


@cache
def schemas() -> dict[str, Json]:
    """The JSON Schemas of all files and documents, by name: "connector", "return", …"""
    return {path.name.removesuffix(".schema.json"): loads(path.read_bytes()) for path in SCHEMAS.glob("*.schema.json")}


@dataclass(slots=True)
class _Found:
    texts: dict[str, str] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    folders: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, base: Path, path: Path, own: bool) -> None:
        name = path.relative_to(base).as_posix()
        if name in self.texts:
            return
        text = self._read(path, name)
        if text is not None:
            self.texts[name] = text
            if own:
                self.own.add(name)

    def _read(self, path: Path, name: str) -> str | None:
        try:
            if path.stat().st_size > MAX_BYTES:
                self.report(name, f"larger than {MAX_BYTES:,} bytes", "split it")
                return None
            raw = path.read_bytes()
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self.report(name, "not UTF-8", "save the file as UTF-8", line)
        except OSError as error:
            self.report(name, f"cannot be read: {error.strerror}", "look at the file's rights")
        return None

    def report(self, file: str, what: str, todo: str, line: int = 1) -> None:
        self.problems.append(Problem(file, line, 1, what, todo, "file"))


def _files(root: Path) -> Files:
    """What the site's folder and the project hold. A file of the site hides the project's of the same name."""
    found = _Found()
    if not root.is_dir():
        found.report(str(root), "there is no such folder", "name the site's folder with --site or BACKHAUL_SITE")
    for name in _CONFIG:
        if (root / name).is_file():
            found.add(root, root / name, own=True)
    for path in sorted(root.glob(_FLOWS)):
        found.add(root, path, own=True)
    shared = root.resolve() == PROJECT
    for base in (root,) if shared else (root, PROJECT):
        for pattern in _PATTERNS:
            for path in sorted(base.glob(pattern)):
                found.add(base, path, own=base is root)
        for folder in _connectors(base):
            _add_connector(found, base, folder, own=base is root)
    for path in [*root.glob("config/**/*.yml"), *root.glob("mappings/**/*.yml"), *root.glob("connectors/*/*.yml")]:
        found.report(path.relative_to(root).as_posix(), "files end in .yaml", "rename it")
    return Files(
        root=root,
        texts=dict(sorted(found.texts.items())),
        own=frozenset(found.own),
        folders=found.folders,
        schemas=schemas(),
        parse=parse_yaml,
        exists=lambda name: _exists(root, name),
        problems=tuple(found.problems),
        # What a rendering may take is its own work: a process that stood still has done none.
        monotonic=time.thread_time,
    )


def _connectors(base: Path) -> Iterator[Path]:
    for folder in sorted((base / "connectors").glob("*/")):
        if folder.is_dir() and folder.name[0] not in "._":
            yield folder


def _add_connector(found: _Found, base: Path, folder: Path, *, own: bool) -> None:
    if folder.name in found.folders:
        return
    if not (folder / "connector.yaml").is_file():
        if own:
            name = folder.relative_to(base).as_posix()
            found.report(f"{name}/connector.yaml", "there is no such file", "write it, or remove the folder")
        return
    found.folders[folder.name] = folder
    for pattern in _CONNECTOR:
        for path in sorted(folder.glob(pattern)):
            found.add(base, path, own)


def _exists(root: Path, name: str) -> bool:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return False
    return (root / path).is_file() or (PROJECT / path).is_file()
