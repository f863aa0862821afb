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
    """`private`: nobody on the network can write to it without a password."""

    what: str
    private: bool
    persistent: bool
    evicts: bool


def redis_facts(url: str) -> RedisFacts:
    """Ask the server. Raises `QueueUnavailable` when it does not answer or the URL is none."""
    try:
        once = Retry(NoBackoff(), 0)
        client = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=once)
        try:
            info = client.info()
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
        persistent=bool(info.get("aof_enabled")) or int(info.get("rdb_last_save_time", 0)) > 0,
        evicts=str(info.get("maxmemory_policy", "noeviction")) != "noeviction",
    )
