"""The story of a return, found by any of its numbers: what came, what it meant, what was done, what waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from app.core.contents import went
from app.core.jsontext import loads
from app.errors import DataError
from app.model import FINAL_DELIVERY_STATES, FINAL_EVENT_STATES, Json
from app.pipeline import bridge_story
from app.pipeline.ports import ObjectKey
from app.pipeline.story_ports import Row, StoryRows
from app.pipeline.story_ports import StoryLedger as StoryLedger

Entry = dict[str, Any]

#: In one millisecond, causes come before effects.
_RANKS = [
    *("question", "event", "fetch", "document", "change", "task"),
    *("route", "lookup", "reference", "probe", "call", "act", "end"),
]
_ACTORS = {
    "config": "the merchant's files or credentials",
    "data": "the message, or the mapping",
    "remote": "the other system",
    "transient": "nobody, it passes",
}


def tell(ledger: StoryLedger, number: str) -> Json:
    """Every return or order with this number, each with its whole story in order; nothing in it is masked yet.

    {"number", "stories": [{"objects", "numbers", "entries": [{"at", "what", "title", …}], "open": [{"state", …}]}]}
    """
    rows = ledger.story(ledger.find(number))
    stories = [_story(rows, group) for group in _groups(rows)]
    if not stories and number.startswith("evt_") and (event := ledger.event(number)):
        stories = [_event_alone(event)]
    return {"number": number, "stories": stories}


def _event_alone(row: Row) -> Json:
    """The story of a message of which nothing was made, or not yet."""
    entries = [_event(row), *map(_attempt, row["attempt_rows"]), *map(_act, row["audit"])]
    return {"objects": [], "numbers": {}, "entries": _in_order(entries), "open": list(_open_events([row]))}


def _groups(rows: StoryRows) -> list[list[ObjectKey]]:
    """The objects, those together that strong numbers link: several returns may share an order number.

    The one that was heard of first comes first, whatever was asked for: a story is the same from each of its numbers.
    """
    having = defaultdict(list)
    for row in rows.identifiers:
        if row["strong"]:
            having[row["id_kind"], row["value"]].append(_key(row))
    group_of = {key: [key] for key in rows.objects}
    for keys in having.values():
        for other in keys[1:]:
            first, second = group_of.get(keys[0]), group_of.get(other)
            if first is not None and second is not None and first is not second:
                first.extend(second)
                group_of.update(dict.fromkeys(second, first))
    heard = {key: place for place, key in enumerate(dict.fromkeys(map(_key, rows.documents)))}
    groups = {id(group): group for group in group_of.values()}.values()
    return [sorted(group, key=lambda key: heard.get(key, len(heard))) for group in groups]


def _story(rows: StoryRows, group: Sequence[ObjectKey]) -> Json:
    own = set(group)
    documents = [row for row in rows.documents if _key(row) in own]
    changes = [row for row in rows.changes if _key(row) in own]
    change_ids = {row["id"] for row in changes}
    deliveries = [row for row in rows.deliveries if row["change_id"] in change_ids]
    document_ids = {row["id"] for row in documents}
    made_of = {row["event_id"] for row in documents}
    events = [row for row in rows.events if row["id"] in made_of or row["document_id"] in document_ids]
    questions = [row for row in rows.questions if ("bridge", row["connection"], row["id"]) in own]
    ids = {row["id"] for row in (*events, *deliveries, *questions)}
    attempts = [row for row in rows.attempts if row["event_id"] in ids or row["delivery_id"] in ids]
    tasks = [row for row in rows.tasks if (row["object_kind"], row["connection"], row["object_id"]) in own]
    identifiers = [row for row in rows.identifiers if _key(row) in own]
    references = _references(rows, deliveries, attempts, identifiers)
    acted = ids | {row["key"] for row in references} | {row["id"] for row in tasks}
    entries = [
        *map(bridge_story.entry, questions),
        *map(_event, events),
        *map(_document, documents),
        *map(_change, changes),
        *map(_task, tasks),
        *map(_delivery, deliveries),
        *map(_attempt, attempts),
        *map(_reference, references),
        *(_act(row) for row in rows.audit if row["target"] in acted),
        *(_end(row) for row in deliveries if row["state"] in FINAL_DELIVERY_STATES),
    ]
    return {
        "objects": [{"kind": kind, "connection": connection, "id": object_id} for kind, connection, object_id in group],
        "numbers": _numbers(identifiers),
        "entries": _in_order(entries),
        "open": [
            *bridge_story.still_open(questions),
            *_open_events(events),
            *_open_deliveries(deliveries),
            *_open_tasks(tasks),
        ],
    }


def _in_order(entries: list[Entry]) -> list[Entry]:
    # Python's sort is stable: rows of one kind keep the order in which the ledger wrote them.
    return sorted(entries, key=lambda entry: (entry["at"], _RANKS.index(entry["what"])))


def _references(
    rows: StoryRows, deliveries: Sequence[Row], attempts: Sequence[Row], identifiers: Sequence[Row]
) -> list[Row]:
    sources = {row["id"] for row in (*deliveries, *attempts)}
    waited = {row["waits_for"] for row in deliveries if row["waits_for"]}
    used = {
        (use.get("kind"), use.get("from"), use.get("to"))
        for row in attempts
        for use in (row["request"].get("references") or {}).values()
    }
    numbers = {row["value"] for row in identifiers}

    def belongs(row: Row) -> bool:
        evidence = row["evidence"] if isinstance(row["evidence"], dict) else {}
        return (
            row["key"] in waited
            or (row["kind"], row["id"], row["to_id"]) in used
            or bool({evidence.get("attempt"), evidence.get("delivery")} & sources)
            or row["id"] in numbers
        )

    return [row for row in rows.references if belongs(row)]


def _key(row: Row) -> ObjectKey:
    return row["kind"], row["connection"], row["object_id"]


def _numbers(identifiers: Sequence[Row]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in identifiers:
        if row["value"] not in found[row["id_kind"]]:
            found[row["id_kind"]].append(row["value"])
    return dict(found)


# --- one row, one entry --------------------------------------------------------------------------


def _event(row: Row) -> Entry:
    gone, size = went(row["body"]), len(row["body"].encode("utf-8", "surrogatepass"))
    title = f"{row['type'] or 'message'} from {row['connection']}, "
    title += f"content {gone}" if gone else f"{size:,} bytes"
    if row["state"] not in ("done", "received", "running"):
        title += f": {row['state']}" + (f", {row['because']}" if row["because"] else "")
    told = {"event_id": row["id"], "connection": row["connection"], "type": row["type"], "state": row["state"]}
    return {"at": row["received_at"], "what": "event", "title": title, **told, "body": _json(row["body"])}


def _document(row: Row) -> Entry:
    title = f"{row['kind']} {row['object_id']} as {row['connection']} shows it, picture {row['seq']}"
    if row["stale"]:
        title += ": older than what is known, kept and not used"
    told = {"document_id": row["id"], "event_id": row["event_id"], "version": row["version"], "stale": row["stale"]}
    return {"at": row["created_at"], "what": "document", "title": title, **told, "files": row["stamp"]}


def _change(row: Row) -> Entry:
    title = row["name"] if row["key"] == row["name"] else f"{row['name']} ({row['key']})"
    return {"at": row["created_at"], "what": "change", "title": title, "change_id": row["id"], "data": row["data"]}


def _task(row: Row) -> Entry:
    title = f"{row['id']}, for a person: {row['because']}"
    told = {"task_id": row["id"], "kind": row["kind"], "state": row["state"], "data": row["data"]}
    return {"at": row["at"], "what": "task", "title": title, **told}


def _delivery(row: Row) -> Entry:
    return {"at": row["created_at"], "what": "route", "title": _title(row), "delivery_id": row["id"]}


def _attempt(row: Row) -> Entry:
    what = row["kind"]
    outcome = {"in_doubt": "in doubt"}.get(row["outcome"], row["outcome"])
    title = f"{row['connection']}.{row['operation']}: {outcome}"
    if row["because"] and row["because"] != str(row["status"]):
        title += f", {row['because']}"
    elif row["status"]:
        title += f", {row['status']}"
    title += f" ({row['took_ms']} ms" + (f", try {row['number']})" if row["number"] > 1 else ")")
    told = {"attempt_id": row["id"], "outcome": row["outcome"], "fault": row["fault"], "status": row["status"]}
    belongs = {"delivery_id": row["delivery_id"]} if row["delivery_id"] else {"event_id": row["event_id"]}
    return {
        "at": row["at"],
        "what": what,
        "title": title,
        **belongs,
        **told,
        "request": row["request"],
        "response": row["response"],
    }


def _reference(row: Row) -> Entry:
    title = f"{row['key']} is {row['to_id']}" if row["state"] == "known" else f"{row['key']} has several matches"
    evidence = row["evidence"] if isinstance(row["evidence"], dict) else {}
    by = evidence.get("by") or evidence.get("file") or evidence.get("table") or ""
    title += f" ({row['origin']}" + (f", {by})" if by else ")")
    if row["superseded_at"]:
        title += f", replaced at {row['superseded_at']}"
    told = {"origin": row["origin"], "evidence": row["evidence"], "state": row["state"]}
    return {"at": row["at"], "what": "reference", "title": title, **told}


def _act(row: Row) -> Entry:
    told = {"who": row["who"], "act": row["act"], "target": row["target"]}
    title = f"{row['who']}: {row['act']} {row['target']}"
    if isinstance(row["after"], dict) and row["after"].get("why"):
        title += f", because {row['after']['why']}"
    return {"at": row["at"], "what": "act", "title": title, **told, "before": row["before"], "after": row["after"]}


def _end(row: Row) -> Entry:
    title = f"{_title(row)}: {row['state']}"
    if row["because"] and not row["because"].isdigit():
        title += f", {row['because']}"
    entry: Entry = {"at": row["updated_at"], "what": "end", "title": title, "delivery_id": row["id"]}
    if row["state"] == "dead":
        entry["todo"] = f"look at {_ACTORS.get(row['fault'] or '', 'the reason')}, then `backhaul retry {row['id']}`"
    return {**entry, "state": row["state"], "fault": row["fault"]}


def _title(row: Row) -> str:
    part = f", {row['part']}" if row["part"] else ""
    return f"{row['route']} to {row['lane']}{part}"


# --- what is not over ----------------------------------------------------------------------------


def _open_events(events: Sequence[Row]) -> Iterator[Entry]:
    for row in events:
        if row["state"] not in FINAL_EVENT_STATES:
            yield _waits(row, f"event {row['type']}")


def _open_deliveries(deliveries: Sequence[Row]) -> Iterator[Entry]:
    first: dict[tuple[str, str], Row] = {}
    for row in deliveries:
        if row["state"] in FINAL_DELIVERY_STATES:
            continue
        ahead = first.setdefault((row["order_key"], row["lane"]), row) if row["order_key"] else row
        entry = _waits(row, _title(row))
        if ahead is not row and row["state"] == "ready":
            entry["title"] += f", held back by {ahead['id']}"
        yield entry


def _open_tasks(tasks: Sequence[Row]) -> Iterator[Entry]:
    for row in tasks:
        if row["state"] == "open":
            title, todo = f"task: {row['because']}", f"settle it, then `backhaul tasks close {row['id']}`"
            yield {"title": title, "id": row["id"], "state": "open", "until": None, "waits_for": "", "todo": todo}


def _waits(row: Row, title: str) -> Entry:
    state, until = row["state"], row["due_at"]
    said = f"{title}: {state.replace('_', ' ')}" + (f", {row['because']}" if row["because"] else "")
    todo = {
        "parked": f"looked for again at {until}; `backhaul refs set` tells it, `backhaul retry {row['id']}` looks now",
        "conflict": "`backhaul refs set` says which one is right",
        "in_doubt": f"looked at again at {until}; `backhaul resolve {row['id']}` settles it by hand",
        "waiting": f"tried again at {until}; `backhaul retry {row['id']}` tries now",
    }.get(state, "")
    waits_for = row["waits_for"] or ""
    if waits_for.startswith("connection:"):
        todo = f"goes on when {waits_for.removeprefix('connection:')} may be called again; see `backhaul doctor`"
    elif state == "parked" and not waits_for:
        todo = f"waits for a person; then `backhaul retry {row['id']}`"
        if row["id"].startswith("dlv_"):
            todo += f", or `backhaul resolve {row['id']}` says what became of it"
    return {"title": said, "id": row["id"], "state": state, "until": until, "waits_for": waits_for, "todo": todo}


def _json(text: str) -> Json:
    try:
        return loads(text)
    except DataError:
        return text
