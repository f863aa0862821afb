"""A question of a bridge as a part of a story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.pipeline.story_ports import Row

_WORDS = {"in_doubt": "in doubt", "waiting": "not answered yet"}


def entry(row: Row) -> dict[str, Any]:
    """That somebody asked, and what came of it."""
    title = f"{row['bridge']} asked by {row['connection']}: {_WORDS.get(row['state'], row['state'])}"
    title += f", {row['status']}" if row["status"] else ""
    title += f", {row['because']}" if row["because"] else ""
    told = {"question_id": row["id"], "bridge": row["bridge"], "state": row["state"], "status": row["status"]}
    return {"at": row["created_at"], "what": "question", "title": title, **told, "body": row["request"]}


def still_open(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """The questions that have no answer, each with what helps."""
    for row in rows:
        if row["state"] not in ("waiting", "in_doubt"):
            continue
        todo = "goes on when it is asked again"
        if row["state"] == "in_doubt":
            todo += f", unless it cannot be told; `backhaul resolve {row['id']} delivered|retry` says what became of it"
        title = f"{row['bridge']}: {_WORDS[row['state']]}, {row['because']}"
        shown = {"title": title, "id": row["id"], "state": row["state"], "until": None, "waits_for": "", "todo": todo}
        yield shown
