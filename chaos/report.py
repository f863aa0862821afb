"""The verdict of a run: a table for people, and JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from chaos.run import Result

#: Of one kind of violation so many are shown; JSON has all of them.
_SHOWN = 10


def lines(result: Result) -> Iterator[str]:
    """The verdict for people."""
    options = result.options
    yield f"{'seed':24} {options.seed}"
    yield f"{'ledger':24} {'PostgreSQL' if options.postgres else 'SQLite'}"
    yield f"{'messages':24} {result.messages:,} ({result.tries:,} sendings, {result.unanswered:,} never answered)"
    yield f"{'effects':24} {result.effects:,} found, {result.demanded:,} demanded one by one"
    yield f"{'requests of the hub':24} {result.requests:,}"
    yield f"{'deliveries':24} {', '.join(f'{many:,} {state}' for state, many in sorted(result.states.items()))}"
    struck = Counter(str(one["fault"]) for one in result.struck)
    yield f"{'faults':24} {len(result.struck)}: {', '.join(f'{name} x{many}' for name, many in sorted(struck.items()))}"
    yield f"{'longest resume':24} {result.longest_resume_s:.1f} s"
    yield f"{'took':24} {result.took_s:.0f} s"
    yield from violations(result)
    yield f"{'verdict':24} {'passed' if result.passed else f'FAILED: {len(result.violations)} violations'}"


def violations(result: Result) -> Iterator[str]:
    """What is wrong, by kind."""
    kinds = Counter(one.kind for one in result.violations)
    for kind, many in kinds.most_common():
        yield f"\n{many} x {kind}"
        shown = [one for one in result.violations if one.kind == kind]
        yield from (f"  {one}" for one in shown[:_SHOWN])
        if many > _SHOWN:
            yield f"  … and {many - _SHOWN} more, see --json"


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """The verdict for programs."""
    return {"passed": all(one.passed for one in results), "runs": [_one(one) for one in results]}


def _one(result: Result) -> dict[str, Any]:
    options = result.options
    return {
        "seed": options.seed,
        "postgres": options.postgres,
        "events": options.events,
        "seconds": options.seconds,
        "faults": list(options.faults),
        "passed": result.passed,
        "messages": result.messages,
        "sendings": result.tries,
        "unanswered": result.unanswered,
        "demanded": result.demanded,
        "effects": result.effects,
        "requests": result.requests,
        "deliveries": result.states,
        "struck": result.struck,
        "longest_resume_s": round(result.longest_resume_s, 2),
        "took_s": round(result.took_s, 1),
        "violations": [
            {
                "kind": one.kind,
                "what": one.what,
                "object": one.object_id,
                "event": one.event_id,
                "simulator": one.simulator,
            }
            for one in result.violations
        ],
    }
