"""The report: one table, a column a ledger; medians with the least and the most of all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.events import SIZE
from bench.measure import Run
from bench.stats import Spread, figure

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the report. `floor` is the least (or with `at_most` the most) that the first release promises."""

    name: str
    title: str
    floor: float | None = None
    at_most: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value keeps the promise."""
        return self.floor is None or (value <= self.floor if self.at_most else value >= self.floor)


_PARTS = ("web", "worker", "clock", "redis", "supervisor", "postgres")
ROWS = (
    Row("deliveries_per_s", "deliveries/s (burst, first event to last delivery)", 300),
    Row("acks_per_s", "acknowledged events/s during the burst"),
    Row("acks_p50_ms", "  p50 ms"),
    Row("acks_p99_ms", "  p99 ms"),
    Row("receive_per_s", "acknowledged events/s, receiving only", 1_000),
    Row("receive_p50_ms", "  p50 ms"),
    Row("receive_p99_ms", "  p99 ms"),
    Row("latency_p50_ms", "event to warehouse at a low rate, p50 ms"),
    Row("latency_p99_ms", "  p99 ms"),
    Row("trickle_ack_p50_ms", "  its acknowledgement, p50 ms"),
    Row("trickle_ack_p99_ms", "  p99 ms"),
    Row("cpu_all_ms", "CPU ms per event, all processes"),
    *(Row(f"cpu_{part}_ms", f"  {part}") for part in _PARTS),
    Row("idle_mb", "memory idle, MB (PSS, all processes of the hub)", 250, at_most=True),
    *(Row(f"idle_{part}_mb", f"  {part}") for part in _PARTS),
    Row("peak_mb", "memory at its peak in the burst, MB (PSS)"),
    *(Row(f"peak_{part}_mb", f"  {part}") for part in _PARTS),
    Row("start_s", "start to first acknowledged event, s"),
)


def spreads(runs: Sequence[Run]) -> dict[str, Spread]:
    """Each figure over the runs that gave it."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    return {name: Spread.of([run.figures[name] for run in runs if name in run.figures]) for name in names}


def table(results: Mapping[str, Sequence[Run]]) -> str:
    """The table as Markdown."""
    columns = {NAMES[ledger]: spreads(runs) for ledger, runs in results.items()}
    lines = [["", *columns, "floor"]]
    for row in ROWS:
        if not any(row.name in column for column in columns.values()):
            continue
        cells = [_cell(row, column.get(row.name)) for column in columns.values()]
        floor = "" if row.floor is None else f"{'≤' if row.at_most else '≥'} {row.floor:,.0f}"
        lines.append([row.title, *cells, floor])
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join("| " + " | ".join(_padded(line, widths)) + " |" for line in lines)


def verdict(results: Mapping[str, Sequence[Run]]) -> str:
    """Whether every acknowledged event arrived exactly once, in a sentence a ledger."""
    sentences = []
    for ledger, runs in results.items():
        acknowledged = sum(run.acknowledged for run in runs)
        missing = [serial for run in runs for serial in run.missing]
        twice = [number for run in runs for number in run.twice]
        if all(run.exact for run in runs):
            text = f"all {acknowledged:,} acknowledged events arrived exactly once"
        else:
            faults = f"{_some(missing, 'never arrived')}, {_some(twice, 'came twice')}"
            text = f"of {acknowledged:,} acknowledged events {faults}"
        refused: dict[str, int] = {}
        for run in runs:
            for status, count in run.refused.items():
                refused[status] = refused.get(status, 0) + count
        if refused:
            told = ", ".join(f"{count} × {status}" for status, count in sorted(refused.items()))
            text += f"; sent again after {told}"
        sentences.append(f"{NAMES[ledger]}: {text}.")
    return "\n".join(sentences)


def facts(groups: Mapping[str, Mapping[str, object]]) -> str:
    """Machine, versions and settings, a line each."""
    width = max(map(len, groups))
    return "\n".join(
        f"{title:<{width}}  " + ", ".join(f"{name} {value}".strip() for name, value in group.items())
        for title, group in groups.items()
    )


def explain(runs: int) -> str:
    """How to read the table."""
    how_many = f"Medians of {runs} runs (least–most)" if runs > 1 else "One run"
    return (
        f"One event: a signed webhook of {SIZE:,} bytes (verified, committed, acknowledged), one look-up at the ERP\n"
        "that no cache answers, two mappings (49 and 30 fields), one POST to the warehouse. Load generator and stubs\n"
        f"run on the same cores. {how_many}.\n"
        "PSS counts memory that processes share once. ✗ marks what misses its floor."
    )


def _cell(row: Row, spread: Spread | None) -> str:
    if spread is None:
        return "-"
    text = figure(spread.median)
    if spread.most > spread.least:
        text += f" ({figure(spread.least)}–{figure(spread.most)})"
    return text if row.holds(spread.median) else f"{text} ✗"


def _padded(line: list[str], widths: list[int]) -> list[str]:
    first, *rest = line
    return [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]


def _some(names: list[str], what: str) -> str:
    shown = f" ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})" if names else ""
    return f"{len(names):,} {what}{shown}"
