"""What every command starts from: which site, which environment, and the way to its files and its ledger."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.errors import ConfigError

if TYPE_CHECKING:
    # For types only: behind them are the large libraries that small commands do without.
    from app.bootstrap import Ledger, Settings
    from app.core.masking import Masker
    from app.core.site import Site
    from app.model import Json


class Cli:
    """The global options, and what is worked out from them when a command needs it."""

    def __init__(self, site: Path | None, env_file: Path | None) -> None:
        self.site_option, self.env_file = site, env_file
        self._ledger: Ledger | None = None
        self._site: Site | None = None
        self._masker: Masker | None = None

    def __reduce__(self) -> tuple[type[Cli], tuple[Path | None, Path | None]]:
        # What is open or compiled stays in its process; another one begins with the options.
        return Cli, (self.site_option, self.env_file)

    def fork(self) -> Cli:
        """The same options for a forked child, with the files as they are compiled already.

        A process that is started again later thus works by the same files as the others, whatever is edited meanwhile.
        """
        child = Cli(self.site_option, self.env_file)
        child._site = self.site()
        return child

    @cached_property
    def env(self) -> dict[str, str]:
        """The environment with the site's `.env`, or `--env`, beneath it."""
        from app import bootstrap

        return bootstrap.environment(self.site_option, self.env_file)

    @cached_property
    def settings(self) -> Settings:
        """Where the site, `var/`, the ledger and Redis are; a running hub's Redis when no REDIS_URL is set."""
        from app import bootstrap

        return bootstrap.settings(self.env, self.site_option)

    @property
    def debug(self) -> bool:
        """Whether tracebacks are wanted (BACKHAUL_DEBUG)."""
        try:
            return bool(self.env.get("BACKHAUL_DEBUG"))
        except Exception:
            # Asked while a fault is being reported: what keeps the environment from being read may be that fault.
            return False

    def site(self, *, allow_missing_env: bool = False, need_connections: bool = True, whole: bool = False) -> Site:
        """The compiled site, with `whole` also what it uses nothing of. Raises `ConfigError` with every problem."""
        from app import bootstrap

        if self._site is None:
            how = {"allow_missing_env": allow_missing_env, "need_connections": need_connections, "whole": whole}
            self._site = bootstrap.site(self.settings, self.env, **how)
        return self._site

    @property
    def ledger(self) -> Ledger:
        """The ledger, opened once. Raises `ConfigError` when it was never migrated, `LedgerUnavailable`."""
        from app import bootstrap

        if self._ledger is None:
            self._ledger = bootstrap.ledger(self.settings)
        return self._ledger

    def masker(self) -> Masker:
        """Hides secrets, and persons as the site's connectors name them. Raises `ConfigError`."""
        if self._masker is None:
            self._masker = self.site(allow_missing_env=True).masker()
        return self._masker

    def masked(self, value: Json) -> Json:
        """A list of the ledger as it may be shown. While the files have faults, what any connector hides is hidden."""
        from app.core.masking import Masker

        try:
            return self.masker().value(value)
        except ConfigError:
            return Masker().value(value)

    def close(self) -> None:
        """Let go of what was opened."""
        if self._ledger is not None:
            self._ledger.close()

    def port(self, otherwise: int) -> int:
        """The PORT of the environment, or another one where none is set. Raises `ConfigError`."""
        text = self.env.get("PORT", "")
        if not text:
            return otherwise
        if not text.isdecimal() or int(text) > 65_535:
            raise ConfigError(f"PORT is {text!r}, which is no port: write a number up to 65535, or leave it out")
        return int(text)

    def arguments(self) -> list[str]:
        """The global options again, for a child process."""
        given = ["--site", str(self.site_option.absolute())] if self.site_option else []
        return given + (["--env", str(self.env_file.absolute())] if self.env_file else [])


def who() -> str:
    """Who acts, for the audit: this machine's user by the command line, whatever the environment calls him."""
    import os
    import pwd

    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        # A container's user may have no name.
        return f"cli:{number}"


pass_cli = click.make_pass_decorator(Cli)
