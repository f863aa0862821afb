"""RQ and Redis: wake-ups of lanes, and the worker that takes them. A job carries a lane's name and nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import redis.exceptions
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from app.errors import QueueUnavailable

#: One queue: RQ's worker then takes jobs with BLMOVE, which loses none when it dies between two commands.
QUEUE = "lanes"
#: The only function that a job may name.
JOB = "app.jobs.drain"
#: For so long a lane counts as woken, in seconds, if no worker holds it by then or says again that it does.
FLAG_S = 30
#: A wake-up that nobody took for so long is worth nothing: the clock sends new ones.
_JOB_TTL_S = 60
#: With so many wake-ups waiting, more of them help nobody.
_QUEUE_FULL = 1_000
#: Where processes hear of work in the lanes that they hold.
_KICKS = "lanes:kicks"
#: Flags a lane; where it is flagged already, tells its holder that there may be work. 1 when it was not.
_WAKE = """\
if redis.call('set', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then return 1 end
redis.call('publish', KEYS[2], ARGV[2])
return 0"""
#: Deletes a flag that is still one's own.
_LET_GO = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0"
_SOCKET_S = 2.0
_LISTEN_S = 1.0
_WORKER_TTL_S = 35
_HEARTBEAT_S = 5.0
#: A worker that has not reached Redis for so long ends, so that whatever started it starts it afresh.
GONE_S = 60.0


class ForbiddenJob(Exception):
    """A job that is not one of the hub's own: somebody else writes to this Redis."""


class LaneJob(Job):
    """A job that runs the hub's own function or nothing.

    RQ imports whatever dotted name a job holds, callbacks included: who can write to Redis could run any function.
    """

    @property
    def func(self) -> Callable[..., Any]:
        """The hub's function. Raises `ForbiddenJob` for any other name."""
        if self.func_name != JOB or self.instance is not None:
            raise ForbiddenJob(f"a job named {self.func_name!r} was refused")
        found: Callable[..., Any] = super().func
        return found

    def restore(self, raw_data: Any) -> Any:
        """Read the job from Redis, without callbacks and webhooks: the hub uses none."""
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []


class Wakes:
    """Wakes lanes through Redis; in a worker process, also takes the wake-ups. Raises `QueueUnavailable`."""

    def __init__(self, url: str) -> None:
        self._url, self._me = url, uuid4().hex
        self._redis = _client(url, socket_timeout=_SOCKET_S, retry=Retry(NoBackoff(), 1))
        self._queue = Queue(QUEUE, connection=self._redis, job_class=LaneJob, serializer=JSONSerializer)

    def wake(self, lane: str, n: int = 1, *, force: bool = False) -> bool:
        """Have `n` workers drain the lane; False when it was woken already: then whoever holds it hears of it.

        `force` wakes it in any case: for work that lies due although the lane was woken.
        """
        with _unavailable():
            flagged = self._redis.eval(_WAKE, 2, _flag(lane), _KICKS, FLAG_S, lane)
            if not (flagged or force) or self._queue.count >= _QUEUE_FULL:
                return False
            for _ in range(n):
                self._queue.enqueue_call(
                    JOB, args=(lane,), ttl=_JOB_TTL_S, result_ttl=0, failure_ttl=_JOB_TTL_S, description=lane
                )
        return True

    def hold(self, lane: str) -> None:
        """Keep a lane that was woken from being woken again until this process lets go of it, or `FLAG_S` long.

        The last to say so holds it. A lane that was not woken is left as it is.
        """
        with _unavailable():
            self._redis.set(_flag(lane), self._me, xx=True, ex=FLAG_S)

    def let_go(self, lane: str) -> None:
        """From now on the lane can be woken again, unless another process holds it.

        To be called before looking for its work once more: what came before that look, woke nobody.
        """
        with _unavailable():
            self._redis.eval(_LET_GO, 1, _flag(lane), self._me)

    def listen(self, heard: Callable[[str], object], ended: threading.Event) -> None:
        """Call `heard` with each lane that is woken although somebody holds it, until `ended` is set.

        What is told while Redis is away is not heard: who holds a lane looks now and then by himself.
        """
        while not ended.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as told:  # type: ignore[no-untyped-call]
                    told.subscribe(_KICKS)
                    while not ended.is_set():
                        if message := told.get_message(timeout=_LISTEN_S):
                            heard(message["data"].decode())
            except (redis.exceptions.RedisError, OSError, ValueError):  # the last when `close` took the connection away
                ended.wait(_LISTEN_S)

    def ping(self) -> None:
        """Raises `QueueUnavailable` when Redis does not answer."""
        with _unavailable():
            self._redis.ping()

    def waiting(self) -> int:
        """How many wake-ups no worker has taken yet."""
        with _unavailable():
            return int(self._queue.count)

    def work(self, on_stop: Callable[[], None]) -> bool:
        """Take wake-ups in the main thread until SIGTERM or SIGINT; True when that ended it, False when Redis did.

        `on_stop` is called at the signal, before the current job ends.
        """
        _quiet()
        client = _client(self._url, socket_timeout=None, retry=Retry(ConstantBackoff(0.2), 2))
        worker: LaneWorker | None = None
        try:
            worker = LaneWorker(client, on_stop)
            worker.work(logging_level="WARNING")
        except redis.exceptions.RedisError as error:
            logging.getLogger(__name__).error("Redis is gone: %s", error)
        finally:
            client.close()
        return worker is not None and worker.asked_to_stop

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()


class LaneWorker(SimpleWorker):
    """RQ's worker that runs jobs in its own process; ours only kick the engine and are over at once."""

    max_connection_wait_time = 2.0

    def __init__(self, client: Redis, on_stop: Callable[[], None]) -> None:
        self.asked_to_stop = False
        self._on_stop = on_stop
        self._last_seen = time.monotonic()
        super().__init__(
            [QUEUE],
            connection=client,
            job_class=LaneJob,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_S,
            log_job_description=False,
        )

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job and forget it: the ledger and the log tell what was done, RQ's registries of jobs are not kept.

        A job that is lost here, with this process, is one kick less: the clock sends another.
        """
        try:
            job.perform()
        except Exception as error:
            self.log.error("job %s failed", job.id, exc_info=error)
        with self.connection.pipeline(transaction=False) as commands:
            commands.delete(job.key)
            commands.lrem(queue.intermediate_queue_key, 1, job.id)
            commands.execute()

    def check_for_suspension(self, burst: bool) -> None:
        """`rq suspend` is not wanted: it is the hub's connections that can be paused."""

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Tell Redis only what is new."""
        if state != self.get_state():
            super().set_state(state, pipeline)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell Redis now and then that this worker lives; give up when Redis has been away for too long."""
        if pipeline is None and time.monotonic() - self._last_seen < min(_HEARTBEAT_S, GONE_S):
            return
        try:
            super().heartbeat(timeout, pipeline)
        except redis.exceptions.ConnectionError as error:
            if time.monotonic() - self._last_seen > GONE_S:
                raise QueueUnavailable(f"no Redis for {GONE_S:g} s: {error}") from error
            raise
        self._last_seen = time.monotonic()

    def handle_warm_shutdown_request(self) -> None:
        """RQ calls this at SIGTERM and SIGINT."""
        self.asked_to_stop = True
        self._on_stop()

    def subscribe(self) -> None:
        """RQ's remote commands (stop, shut down, kill) are not wanted: no thread, no connection for them."""

    def teardown(self) -> None:
        """Sign off, if Redis is there to hear it."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except redis.exceptions.RedisError as error:
            self.log.warning("could not sign off: %s", error)


def _client(url: str, *, socket_timeout: float | None, retry: Retry) -> Redis:
    return Redis.from_url(
        url,
        socket_connect_timeout=_SOCKET_S,
        socket_timeout=socket_timeout,
        retry=retry,
        health_check_interval=30,
    )


def _flag(lane: str) -> str:
    return f"wake:{lane}"


def _quiet() -> None:
    # A handler of its own keeps RQ from adding one that prints to stdout; what it warns of still goes up to the root.
    for name in ("rq.worker", "rq.job"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError) as error:
        raise QueueUnavailable(f"Redis: {error}") from error
