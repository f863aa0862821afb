"""`python -m bench.yardstick.work`: one SimpleWorker, which carries out jobs in its own process."""

from __future__ import annotations

import os

from redis import Redis
from rq import Queue, SimpleWorker

# What jobs need is imported before the first one comes.
import bench.yardstick.job  # noqa: F401


def main() -> None:
    """Work until SIGTERM."""
    redis = Redis.from_url(os.environ["BENCH_REDIS_URL"])
    SimpleWorker([Queue("events", connection=redis)], connection=redis).work(logging_level="WARNING")


if __name__ == "__main__":
    main()
