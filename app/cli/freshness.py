"""Does the running hub work by the files as they are now? Its processes keep those that they were started with."""

from __future__ import annotations

from datetime import UTC, datetime

from app import bootstrap
from app.cli.context import Cli
from app.core.times import iso
from app.errors import ConfigError


def hub_runs(cli: Cli) -> bool:
    """Whether a hub runs on this folder, or a clock anywhere on this ledger. Raises `LedgerUnavailable`."""
    lease = cli.ledger.lease("clock")
    return bool(bootstrap.running_hub(cli.settings.var_dir)) or bool(lease and lease[1] > datetime.now(UTC))


def older_files(cli: Cli) -> str:
    """What to say when the running hub was started with other files; "" when it was not, or none runs.

    Raises `LedgerUnavailable`.
    """
    kept = cli.ledger.site_version()
    if kept is None or not hub_runs(cli):
        return ""
    try:
        stamp = cli.site(allow_missing_env=True).stamp
    except ConfigError:
        # Files with a problem are no files to restart with; `check` tells of them.
        return ""
    if kept[0] == stamp:
        return ""
    return f"the hub runs older files ({kept[0][:8]} since {iso(kept[1])}, the files now are {stamp[:8]}): restart it"
