"""Reads the merchant's folder and the environment: the only place that does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.site import Site
from app.model import Problem


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says about this process, not about the merchant."""

    database_url: str | None
    redis_url: str | None
    site: Path
    var_dir: Path


def environment(root: Path | None = None) -> dict[str, str]:
    """The environment, beneath it the `.env` file of the site's folder."""
    raise NotImplementedError


def settings(env: Mapping[str, str]) -> Settings:
    """The process's settings from DATABASE_URL, REDIS_URL, BACKHAUL_SITE and BACKHAUL_VAR."""
    raise NotImplementedError


def load_site(root: Path, *, env: Mapping[str, str] | None = None, allow_missing_env: bool = False) -> Site:
    """The compiled site. Raises `ConfigError` with every fault in its files."""
    raise NotImplementedError


def check(root: Path, env: Mapping[str, str]) -> list[Problem]:
    """Every fault in the site's files, in the order of files and lines; empty when it may start."""
    raise NotImplementedError
