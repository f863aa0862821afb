"""Do some returns slow others down? Two hubs beside each other: the same stream to both, trouble at only one.

A machine is never equally fast for two minutes. So what is compared is sent at the same time: message by message, once
to the hub in trouble, once to the one without, half a step apart. What slows the machine slows both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from chaos.looks import Looks
from chaos.plan import Message, Options, Recorded
from chaos.sender import Sender
from chaos.stage import Stage

#: What no stream of a few hundred messages takes longer than, with the hub in trouble or not.
_DRAINED_S = 60.0


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
def pair(folder: Path, *, seed: int, postgres: bool, hub: Mapping[str, Any] | None = None) -> Iterator[tuple[Stage, Stage]]:
    """Two stages: the first is for trouble. `hub` are words of hub.yaml."""
    options = Options(seed=seed, events=0, seconds=0.0, faults=(), postgres=postgres)
    with ExitStack() as stages:
        first = stages.enter_context(Stage(folder / "troubled", options, hub=hub))
        yield first, stages.enter_context(Stage(folder / "free", options, hub=hub))


def p95(values: Sequence[float]) -> float:
    """95 of 100 are not above this."""
    return quantiles(values, n=20, method="inclusive")[-1]


def side_by_side(
    what: str, stages: Sequence[Stage], streams: Sequence[Stream], *, every_s: float, blocks: int
) -> Figures:
    """Send both streams at once, a message every `every_s` seconds to each hub, and see how fast their effects come.

    Raises `StageError` when one never does.
    """
    senders = [
        Sender(stage.hub_url, paced(stream.messages, every_s, place * every_s / 2), _no_ask, until_s=_DRAINED_S, threads=8)
        for place, (stage, stream) in enumerate(zip(stages, streams, strict=True))
    ]
    after = [_newest(stage, stream.simulator) for stage, stream in zip(stages, streams, strict=True)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.wait(_DRAINED_S)
    took = [
        _block_figures(latencies(stage, stream, sender, since), blocks)
        for stage, stream, sender, since in zip(stages, streams, senders, after, strict=True)
    ]
    return Figures(what, took[0], took[1])


def paced(messages: Sequence[Message], every_s: float, first_s: float = 0.0) -> list[Message]:
    """The same messages, one after the other."""
    return [replace(message, at_s=first_s + place * every_s) for place, message in enumerate(messages)]


def send_all(stage: Stage, messages: Sequence[Message], every_s: float) -> Sender:
    """Send them at this pace until all are answered with 2xx; what was answered is in the sender's log."""
    sender = Sender(stage.hub_url, paced(messages, every_s), _no_ask, until_s=_DRAINED_S, threads=8)
    sender.start()
    sender.wait(_DRAINED_S)
    missing = {message.event_id for message in messages} - {one.event_id for one in sender.log if one.taken}
    if missing:
        raise AssertionError(f"{len(missing)} messages were never taken: {sorted(missing)[:5]}\n{stage.log_ends()}")
    return sender


def waits(stage: Stage, what: str, wanted: Mapping[str, int], seconds: float = _DRAINED_S) -> None:
    """Wait until so much waits in each of these states and nothing else does. Raises `StageError`."""
    looks = Looks(stage)

    def so_it_is() -> bool:
        found = looks.waiting()
        return found is not None and {state: many for state, many in found.items() if many} == dict(wanted)

    stage.until(what, so_it_is, seconds)


def latencies(stage: Stage, stream: Stream, sender: Sender, after: int) -> list[float]:
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


def _block_figures(took: Sequence[float], blocks: int) -> tuple[float, ...]:
    size = len(took) // blocks
    return tuple(p95(took[place * size : (place + 1) * size]) for place in range(blocks))


def _newest(stage: Stage, simulator: str) -> int:
    return max((one.number for one in stage.recorded(simulator)), default=0)


def _no_ask(ask: object) -> None:
    raise AssertionError(f"all is seeded before the stream: {ask}")
