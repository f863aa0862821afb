"""What is removed of a person, table by table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from app.adapters.ledger.retaining import day, take_answers, take_bodies, take_pictures, take_questions
from app.adapters.ledger.schema import (
    attempts,
    audit,
    changes,
    deliveries,
    events,
    identifiers,
    refs,
    tasks,
)
from app.adapters.ledger.shared_schema import bridge_answers
from app.adapters.ledger.story import of_objects
from app.adapters.ledger.taking_out import take_out
from app.adapters.ledger.transaction import ObjectKey
from app.core.contents import How, told
from app.core.jsontext import dump_text, loads
from app.core.masking import HIDDEN, Masker
from app.model import Json

#: The last word of the kinds of numbers that stay, whatever they look like: the law wants them kept.
NUMBERS = frozenset({"order", "return", "number", "parcel", "tracking", "barcode", "event", "credit", "invoice"})
#: Shorter words of a person (a country, a house number) stand in too many texts that are not about him.
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Person:
    """What the ledger has of somebody: ids and numbers of rows, and the words that name him."""

    objects: tuple[ObjectKey, ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()  # (kind, value), for people to see what would be touched
    events: tuple[str, ...] = ()
    bodies: tuple[int, ...] = ()
    documents: tuple[str, ...] = ()
    deliveries: tuple[str, ...] = ()
    attempts: tuple[int, ...] = ()
    references: tuple[int, ...] = ()
    tasks: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    acts: tuple[int, ...] = ()
    values: tuple[Json, ...] = field(default=(), repr=False)  # contents in which he is named
    words: tuple[str, ...] = field(default=(), repr=False)  # an e-mail address that was asked for

    @property
    def counts(self) -> dict[str, int]:
        """How many rows of each kind there are."""
        names = ("events", "documents", "deliveries", "attempts", "references", "tasks", "questions", "acts")
        return {"objects": len(self.objects), **{name: len(getattr(self, name)) for name in names}}


class Words:
    """The words that name a person, to be found in the texts that are left."""

    def __init__(self, masker: Masker, words: Collection[str] = ()) -> None:
        self._masker, self._words = masker, {word for word in words if word}
        self._longest: list[str] = []
        self._blind = False  # some of what named the person went before: not all words are known

    def learn(self, value: Json) -> None:
        """Learn what this content says of persons, by the fields that hold them."""
        self._blind = self._blind or bool(told(value))
        self._words.update(word for word in self._masker.persons(value) if len(word) >= _SHORTEST)
        self._longest = []

    def is_one(self, text: str) -> bool:
        """Whether a text is nothing but one of these words, or an e-mail address."""
        return text.casefold() in {word.casefold() for word in self._words} or self._masker.text(text) == HIDDEN

    def scrub(self, text: str) -> str:
        """The text without them, as they are and as JSON writes them."""
        if not self._longest:
            spelled = {*self._words, *(dump_text(word)[1:-1] for word in self._words)}
            self._longest = sorted(spelled, key=lambda word: (-len(word), word))
        for word in self._longest:
            text = text.replace(word, HIDDEN)
        return self._masker.text(text)

    def reason(self, text: str) -> str:
        """What is left of a reason: all but the person, and nothing where not all words for him are known."""
        return self.scrub(text) if not self._blind or not text else HIDDEN

    def mask(self, value: Json) -> Json:
        """A JSON value with persons hidden, by their fields and by these words."""
        return _scrubbed(self._masker.value(value), self.scrub)


def _scrubbed(value: Json, scrub: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {key: _scrubbed(item, scrub) for key, item in value.items()}
    return [_scrubbed(item, scrub) for item in value] if isinstance(value, list) else value


def erase_person(connection: Connection, person: Person, words: Words, now: int) -> None:
    """Remove the contents of these rows and whatever names the person in what is left of them."""
    for value in person.values:
        words.learn(value)
    how: How = "erased"
    take_pictures(connection, list(person.documents), how, now, words.mask)
    take_bodies(connection, list(person.bodies), how, now, words.mask)
    take_answers(connection, list(person.deliveries), how, now, words.mask)
    take_questions(connection, list(person.questions), how, now, words.mask)
    take_out(connection, attempts, person.attempts, how, now, day(now), words.scrub, words.reason)
    for table, ids in ((events, person.events), (deliveries, person.deliveries), (bridge_answers, person.questions)):
        _scrub(connection, table, table.c.id.in_(ids), words, ("because",))
    _scrub(connection, tasks, tasks.c.id.in_(person.tasks), words, ("because", "note"), ("data",))
    _scrub(connection, changes, of_objects(changes, person.objects), words, (), ("data",))
    _references(connection, person, words)
    _identifiers(connection, person, words)
    rows = connection.execute(select(audit.c.seq, audit.c.before, audit.c.after).where(audit.c.seq.in_(person.acts)))
    named = [row.seq for row in rows if any(words.reason(text) != text for text in (row.before, row.after))]
    take_out(connection, audit, named, how, now, day(now), words.scrub)


def _scrub(
    connection: Connection,
    table: Table,
    where: Any,
    words: Words,
    texts: Collection[str],
    values: Collection[str] = (),
) -> None:
    """Hide the person in columns of text and of JSON; only rows in which that changes something are written."""
    names = (*texts, *values)
    key = table.c.seq if "seq" in table.c else table.c.id
    changed = []
    for row in connection.execute(select(key.label("key_"), *(table.c[name] for name in names)).where(where)).all():
        new = {name: _hidden(getattr(row, name), words, json=name in values) for name in names}
        if any(new[name] != getattr(row, name) for name in names):
            changed.append({"key_": row.key_, **{f"new_{name}": value for name, value in new.items()}})
    if changed:
        new_values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        connection.execute(update(table).where(key == bindparam("key_")).values(new_values), changed)


def _hidden(text: str | None, words: Words, *, json: bool) -> str | None:
    if text is None:
        return None
    return dump_text(words.mask(loads(text))) if json else words.reason(text)


def _references(connection: Connection, person: Person, words: Words) -> None:
    """Translations of what names the person go; of the others their evidence is masked."""
    found = connection.execute(select(refs).where(refs.c.seq.in_(person.references))).all()
    named = [row.seq for row in found if words.is_one(row.from_id) or words.is_one(row.to_id)]
    connection.execute(delete(refs).where(refs.c.seq.in_(named)))
    _scrub(connection, refs, refs.c.seq.in_(person.references), words, (), ("evidence",))


def _identifiers(connection: Connection, person: Person, words: Words) -> None:
    """What the person can be found by goes, but for numbers."""
    for row in connection.execute(select(identifiers).where(of_objects(identifiers, person.objects))).all():
        last = row.id_kind.rsplit(" ", 1)[-1]
        if words.is_one(row.value) and (last not in NUMBERS or "@" in row.value):
            same = (
                identifiers.c[name] == getattr(row, name) for name in ("kind", "connection", "object_id", "id_kind")
            )
            connection.execute(delete(identifiers).where(*same, identifiers.c.value == row.value))
