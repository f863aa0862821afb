"""What `backhaul doctor --login` says of connections that have to log in: whether their login works now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from app import bootstrap
from app.cli.context import Cli
from app.core.site import Site
from app.model import Outcome

if TYPE_CHECKING:
    from app.core.connectors import Connection

_PATIENCE_S = 15.0


def try_logins(cli: Cli, site: Site) -> Iterator[tuple[Literal["ok", "fail"], str, str]]:
    """(level, about, what) of each connection with the auth scheme `token`: one login is made for each.

    What is paused stays paused, and the tokens are used for nothing.
    """
    from app.pipeline.gates import Gates
    from app.pipeline.tokens_login import Logins

    asked: list[Connection] = [one for one in site.connections.values() if one.connector.token]
    if not asked:
        return
    services = bootstrap.services(site, cli.settings, {**cli.env, "LOG_LEVEL": "error"}, part="cli")
    try:
        limits = {one.name: one.limits for one in asked}
        gates = Gates(limits, site.hub.breaker, services.ledger, services.clock, services.ids.new("doc"))
        logins = Logins(services.http, services.clock)
        for one in asked:
            found = logins.token(one, gates.of(one.name), _PATIENCE_S)
            about = f"login of {one.name}"
            if isinstance(found, Outcome):
                yield "fail", about, found.because
            else:
                lasts = round(found.ends_at - services.clock.now().timestamp())
                yield "ok", about, f"works, its token lasts {lasts:,} s"
    finally:
        services.close()
