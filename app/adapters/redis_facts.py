"""What a Redis says about itself, for `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import QueueUnavailable

_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """`private`: nobody on the network can write to it without a password. `persistent`: it keeps what it holds."""

    what: str
    private: bool
    persistent: bool | None  # None: it does not say
    evicts: bool


def redis_facts(url: str) -> RedisFacts:
    """Ask the server. Raises `QueueUnavailable` when it does not answer or the URL is none."""
    try:
        once = Retry(NoBackoff(), 0)
        client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=once)
        try:
            info = client.info()
            persistent = bool(info.get("aof_enabled")) or _saves(client)
        finally:
            client.close()
    except (redis.RedisError, ValueError, OSError) as error:
        raise QueueUnavailable(str(error)) from None
    parts = urlsplit(url)
    name = info.get("server_name") or "redis"
    version = info.get("valkey_version") or info.get("redis_version")
    local = parts.scheme == "unix" or parts.hostname in ("127.0.0.1", "localhost", "::1")
    return RedisFacts(
        what=f"{name} {version} {'on a socket' if parts.scheme == 'unix' else f'at {parts.hostname}'}",
        private=bool(parts.password) or local,
        persistent=persistent,
        evicts=str(info.get("maxmemory_policy", "noeviction")) != "noeviction",
    )


def _saves(client: redis.Redis) -> bool | None:
    """Whether it writes snapshots; None where CONFIG may not be asked, as at many providers."""
    try:
        return bool(client.config_get("save").get("save"))
    except redis.ResponseError:
        return None
