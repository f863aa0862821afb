"""Do some returns slow others down? Two hubs beside each other: the same stream to both, trouble at only one.

A machine is never equally fast for two minutes. So what is compared is sent at the same time: each message to the hub
in trouble and, half a step apart, to the one without, either first in turn, for each is slowed by what the other still
does. What slows the machine slows both. Trouble that keeps the machine busy would slow the other hub, too: therefore
both are paced so that its cores are idle most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from chaos.looks import Looks
from chaos.plan import Message, Options, Recorded
from chaos.sender import Sender
from chaos.stage import Stage, StageError

#: No stream of a few hundred messages takes longer than this, with the hub in trouble or not.
_DRAINED_S = 90.0
_THREADS = 8
_FASTEST_S, _SLOWEST_S = 0.05, 0.1


@dataclass(frozen=True, slots=True)
class Stream:
    """Messages to one hub, and where each of them must arrive."""

    messages: Sequence[Message]
    simulator: str
    effect_of: Callable[[Recorded], str | None]  # the object_id of the message whose effect a request was, or None


@dataclass(frozen=True, slots=True)
class Figures:
    """How long from event to effect, in seconds: 95 of 100 were faster. One value for each block of the stream."""

    what: str
    troubled: tuple[float, ...]
    free: tuple[float, ...]

    def __add__(self, other: Figures) -> Figures:
        """The same trouble again, at the other hub: of two, one is always a little faster."""
        return replace(self, troubled=self.troubled + other.troubled, free=self.free + other.free)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Block by block, how much longer it took at the hub in trouble."""
        return tuple(one / other for one, other in zip(self.troubled, self.free, strict=True))

    @property
    def ratio(self) -> float:
        """The middle one of them."""
        return median(self.ratios)

    def __str__(self) -> str:
        blocks = ", ".join(f"{ratio:.2f}" for ratio in self.ratios)
        troubled, free = median(self.troubled) * 1000, median(self.free) * 1000
        return f"{self.what}: p95 {troubled:.0f} ms beside {free:.0f} ms, ratio {self.ratio:.3f} (blocks {blocks})"


@contextmanager
def pair(
    folder: Path, *, seed: int, postgres: bool, hub: Mapping[str, Any] | None = None
) -> Iterator[tuple[Stage, Stage]]:
    """Two stages: the first is for trouble. `hub` are words of hub.yaml."""
    options = Options(seed=seed, events=0, seconds=0.0, faults=(), postgres=postgres)
    with ExitStack() as stages:
        first = stages.enter_context(Stage(folder / "troubled", options, hub=hub))
        yield first, stages.enter_context(Stage(folder / "free", options, hub=hub))


def p95(values: Sequence[float]) -> float:
    """95 of 100 are not above this."""
    return quantiles(values, n=20, method="inclusive")[-1]


def side_by_side(
    what: str,
    stages: Sequence[Stage],
    stream: Stream,
    *,
    every_s: float,
    blocks: int,
    beside: Sequence[Message] = (),
) -> Figures:
    """Send the stream to both hubs at once, a message every `every_s` seconds to each, and see how fast effects come.

    `beside` is sent at the same pace and not measured. Raises `StageError` when an effect never comes.
    """
    senders = [
        Sender(
            stage.hub_url,
            _in_turn(stream.messages, every_s, place, 0.0) + _in_turn(beside, every_s, place, every_s / 4),
            _no_ask,
            until_s=_DRAINED_S,
            threads=_THREADS,
        )
        for place, stage in enumerate(stages)
    ]
    after = [max((one.number for one in stage.recorded(stream.simulator)), default=0) for stage in stages]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.wait(_DRAINED_S)
    took = [
        _of_blocks(_latencies(stage, stream, sender, since), blocks)
        for stage, sender, since in zip(stages, senders, after, strict=True)
    ]
    return Figures(what, took[0], took[1])


def within(bound: float, rounds: Iterable[Figures]) -> list[Figures]:
    """Measure until the ratio is within the bound, or there are no more rounds; all that was measured, printed too.

    A hub that slows others does so each time. What slows but one of two processes of a busy machine for some seconds
    does not come back in each round.
    """
    measured: list[Figures] = []
    for figures in rounds:
        print(figures)
        measured.append(figures)
        if figures.ratio <= bound:
            break
    return measured


def unhurried(calm: Figures) -> float:
    """Seconds between two messages at which this machine, as busy as it is now, is far from having its hands full."""
    return min(_SLOWEST_S, max(_FASTEST_S, max(*calm.troubled, *calm.free)))


def send_all(stage: Stage, messages: Sequence[Message], every_s: float) -> Mapping[str, float]:
    """Send them at this pace until all are answered with 2xx; when each object's first answer came.

    Raises `StageError` when one is never taken.
    """
    sender = Sender(stage.hub_url, _pace_of(messages, every_s, 0.0), _no_ask, until_s=_DRAINED_S, threads=_THREADS)
    sender.start()
    sender.wait(_DRAINED_S)
    answered = {one.object_id: one.at + one.took_s for one in reversed(sender.log) if one.taken}
    if missing := {message.object_id for message in messages} - answered.keys():
        raise StageError(f"never taken: {sorted(missing)[:5]}\n{stage.log_ends()}")
    return answered


def waits(stage: Stage, what: str, wanted: Mapping[str, int], seconds: float = _DRAINED_S) -> None:
    """Wait until so much waits in each of these states and nothing else does. Raises `StageError`."""
    looks = Looks(stage)

    def so_it_is() -> bool:
        found = looks.waiting()
        return found is not None and {state: many for state, many in found.items() if many} == dict(wanted)

    stage.until(what, so_it_is, seconds)


def _latencies(stage: Stage, stream: Stream, sender: Sender, after: int) -> list[float]:
    """Seconds from each message's first try to its effect, in the order of the messages."""
    arrived: dict[str, float] = {}

    def all_there() -> bool:
        for one in stage.recorded(stream.simulator, after):
            object_id = stream.effect_of(one) if one.effect else None
            if object_id is not None:
                arrived.setdefault(object_id, one.at)
        return all(message.object_id in arrived for message in stream.messages)

    stage.until(f"every message has its effect at the {stream.simulator}", all_there, _DRAINED_S)
    begun: dict[str, float] = {}
    for one in sender.log:
        begun[one.object_id] = min(one.at, begun.get(one.object_id, one.at))
    return [arrived[message.object_id] - begun[message.object_id] for message in stream.messages]


def _of_blocks(took: Sequence[float], blocks: int) -> tuple[float, ...]:
    size = len(took) // blocks
    return tuple(p95(took[place * size : (place + 1) * size]) for place in range(blocks))


def _pace_of(messages: Sequence[Message], every_s: float, first_s: float) -> list[Message]:
    return [replace(message, at_s=first_s + place * every_s) for place, message in enumerate(messages)]


def _in_turn(messages: Sequence[Message], every_s: float, place: int, first_s: float) -> list[Message]:
    paced = _pace_of(messages, every_s, first_s)
    return [replace(one, at_s=one.at_s + (step + place) % 2 * every_s / 2) for step, one in enumerate(paced)]


def _no_ask(ask: object) -> None:
    raise AssertionError(f"all is seeded before the stream: {ask}")
