"""The report: two tables, a column a stack; medians with the least and the most of all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.events import SIZE
from bench.phases import Run
from bench.rows import DETAILS, NAMES, PROMISES, Row
from bench.stats import Spread, figure

YARDSTICK = "Flask + RQ"


def spreads(runs: Sequence[Run]) -> dict[str, Spread]:
    """Each figure over the runs that gave it."""
    names = dict.fromkeys(name for run in runs for name in run.figures)
    return {name: Spread.of([run.figures[name] for run in runs if name in run.figures]) for name in names}


def ratios(runs: Sequence[Run], before: Sequence[Run], after: Sequence[Run]) -> dict[str, Spread]:
    """Each figure of a run as a multiple of the yardstick's, taken right before and right after it."""
    found: dict[str, list[float]] = {}
    for run, *around in zip(runs, before, after, strict=True):
        for name, value in run.figures.items():
            beside = [one.figures[name] for one in around if one.figures.get(name)]
            if beside:
                found.setdefault(name, []).append(value / (sum(beside) / len(beside)))
    return {name: Spread.of(values) for name, values in found.items()}


def promises(
    results: Mapping[str, Sequence[Run]],
    yardstick: Sequence[Run] = (),
    times: Mapping[str, Mapping[str, Spread]] | None = None,
) -> str:
    """What was promised and what was reached, as Markdown; `times` are the ratios to the yardstick."""
    columns = {ledger: spreads(runs) for ledger, runs in results.items()}
    beside, times = spreads(yardstick), times or {}
    head = ["", "floor", "aim", *(NAMES[ledger] for ledger in columns)]
    if yardstick:
        head += [YARDSTICK, *(f"{NAMES[ledger]} ÷ it" for ledger in columns)]
    lines = [head]
    for row in PROMISES:
        if not any(row.name in column for column in columns.values()):
            continue
        line = [row.title, _bound(row, row.floor), _bound(row, row.aim)]
        line += [_cell(row, column.get(row.name), ledger) for ledger, column in columns.items()]
        if yardstick:
            line.append(_cell(None, beside.get(row.name)))
            line += [_cell(None, times.get(ledger, {}).get(row.name)) for ledger in columns]
        lines.append(line)
    return _markdown(lines)


def details(results: Mapping[str, Sequence[Run]], yardstick: Sequence[Run] = ()) -> str:
    """All other figures, as Markdown."""
    columns = {NAMES[ledger]: spreads(runs) for ledger, runs in results.items()}
    if yardstick:
        columns[YARDSTICK] = spreads(yardstick)
    lines = [["", *columns]]
    for row in DETAILS:
        if any(row.name in column for column in columns.values()):
            lines.append([row.title, *(_cell(None, column.get(row.name)) for column in columns.values())])
    return _markdown(lines)


def verdict(results: Mapping[str, Sequence[Run]]) -> str:
    """Whether every acknowledged event arrived exactly once, in a sentence for each that was measured."""
    sentences = []
    for name, runs in results.items():
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
        sentences.append(f"{NAMES.get(name, name)}: {text}.")
    return "\n".join(sentences)


def facts(groups: Mapping[str, Mapping[str, object]]) -> str:
    """Machine, versions and settings, a line each."""
    width = max(map(len, groups))
    return "\n".join(
        f"{title:<{width}}  " + ", ".join(f"{name} {value}".strip() for name, value in group.items())
        for title, group in groups.items()
    )


def explain(runs: int) -> str:
    """How to read the tables."""
    how_many = f"Medians of {runs} runs (least–most)" if runs > 1 else "One run"
    return (
        f"One event: a signed webhook of {SIZE:,} bytes (verified, committed, acknowledged), one look-up at the ERP\n"
        "that no cache answers, two mappings (49 and 30 fields), one POST to the warehouse. Load generator and stubs\n"
        f"run on the same cores. {how_many}.\n"
        "The yardstick does the same work without a record of it, right before and right after each run of the hub;\n"
        "÷ is the hub's figure as a multiple of it. PSS counts memory that processes share once. ✗ misses its floor,\n"
        "which for PostgreSQL is 0.7 of what is written; ✓ reaches the aim."
    )


def _bound(row: Row, value: float | None) -> str:
    return "" if value is None else f"{'≤' if row.at_most else '≥'} {value:,g}"


def _cell(row: Row | None, spread: Spread | None, ledger: str = "sqlite") -> str:
    if spread is None:
        return "-"
    text = figure(spread.median)
    if spread.most > spread.least:
        text += f" ({figure(spread.least)}–{figure(spread.most)})"
    if row is None or row.floor is None:
        return text
    if not row.holds(spread.median, ledger):
        return f"{text} ✗"
    return f"{text} ✓" if row.reaches(spread.median) else text


def _markdown(lines: list[list[str]]) -> str:
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    ruled = [lines[0], ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])], *lines[1:]]
    return "\n".join("| " + " | ".join(_padded(line, widths)) + " |" for line in ruled)


def _padded(line: list[str], widths: list[int]) -> list[str]:
    first, *rest = line
    return [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]


def _some(names: list[str], what: str) -> str:
    shown = f" ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})" if names else ""
    return f"{len(names):,} {what}{shown}"
