"""Redis forgets everything, stands still, or dies."""

from __future__ import annotations

import signal
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from chaos.fault_kit import Fault
from chaos.stage import Stage


class RedisFlush(Fault):
    """All wake-ups are gone."""

    name, about, group = "redis_flush", "FLUSHALL of Redis", "redis"

    def _break(self, stage: Stage) -> None:
        with suppress(RedisError), Redis(unix_socket_path=stage.redis_socket, socket_timeout=2) as client:
            client.flushall()


class RedisPause(Fault):
    """It takes connections and says nothing."""

    name, about, group = "redis_pause", "Redis stands still (SIGSTOP) for up to 60 s", "redis"
    shortest_s, longest_s = 5.0, 60.0

    def _break(self, stage: Stage) -> None:
        stage.kill("redis", signal.SIGSTOP)

    def _mend(self, stage: Stage) -> None:
        stage.kill("redis", signal.SIGCONT)


class RedisKill(Fault):
    """It dies with everything in it, and comes back empty."""

    name, about, group = "redis_kill", "kill -9 of Redis, which kept nothing on disk", "redis"

    def _break(self, stage: Stage) -> None:
        stage.kill("redis")
