"""Redis as the place where workers share the tokens of their logins, and where one of them at a time logs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis.exceptions
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import QueueUnavailable

_SOCKET_S = 2.0
#: Deletes a lock that is still one's own.
_UNLOCK = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0"


class TokenStore:
    """What is kept ends by itself. Every method raises `QueueUnavailable` when Redis does not answer."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=_SOCKET_S,
            socket_timeout=_SOCKET_S,
            retry=Retry(NoBackoff(), 1),
            health_check_interval=30,
            decode_responses=True,
        )

    def get(self, key: str) -> str | None:
        """What is kept under a key."""
        with _unavailable():
            kept = self._redis.get(_name(key))
        return kept if isinstance(kept, str) else None

    def put(self, key: str, value: str, seconds: float) -> None:
        """Keep a value for so long."""
        with _unavailable():
            self._redis.set(_name(key), value, px=max(1, round(seconds * 1000)))

    def lock(self, key: str, owner: str, seconds: float) -> bool:
        """Whether the owner may go on alone now, until `unlock` or until the time is over."""
        with _unavailable():
            return bool(self._redis.set(_name(f"lock:{key}"), owner, nx=True, px=max(1, round(seconds * 1000))))

    def unlock(self, key: str, owner: str) -> None:
        """Let the next one go on; a lock that is somebody else's by now is left alone."""
        with _unavailable():
            self._redis.eval(_UNLOCK, 1, _name(f"lock:{key}"), owner)

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()


def _name(key: str) -> str:
    return f"login:{key}"


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError) as error:
        raise QueueUnavailable(f"Redis: {error}") from error
