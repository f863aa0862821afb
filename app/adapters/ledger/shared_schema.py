"""The tables through which processes share what is no business of any one return: lanes, leases, counters …"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from app.adapters.ledger.columns import Counter, Key, Millis, Words
from app.adapters.ledger.schema import metadata

lanes = Table(
    "lanes",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("because", Words, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("open_until", Millis),
    Column("shut_at", Millis),  # when that was said
    Column("opened_times", Integer, nullable=False),
    Column("trial_until", Millis),
    Column("freed_at", Millis),  # when it was last resumed or its breaker closed
    Column("tokens", Float),
    Column("tokens_at", Millis),
)

permits = Table(
    "permits",
    metadata,
    Column("connection", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("until", Millis, nullable=False),
    PrimaryKeyConstraint("connection", "holder", name="pk_permits"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Millis, nullable=False),
)

#: What was sealed, and how it follows from the seal before: see `core.sealing`.
seals = Table(
    "seals",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("of", Text, nullable=False),  # the table
    Column("last", BigInteger, nullable=False),  # its rows up to this number, behind those of its seal before
    Column("at", Millis, nullable=False),
    Column("chain", Text, nullable=False),
    Column("digests", LargeBinary, nullable=False),
)
Index("ix_seals_of", seals.c.of, seals.c.seq)

#: Of each sealed row whose contents were taken out: what it was and what it is now. Holds nothing of the contents but
#: their digest, and is sealed itself.
erasures = Table(
    "erasures",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("of", Text, nullable=False),  # the table
    Column("row", BigInteger, nullable=False),  # its row
    Column("how", Text, nullable=False),  # "expired" or "erased"
    Column("before", Text, nullable=False),  # digest of the whole row as it was
    Column("kept", Text, nullable=False),  # digest of its contents as they were
    Column("after", Text, nullable=False),  # digest of the whole row as it is
)
Index("ix_erasures_row", erasures.c.of, erasures.c.row)

#: Who may use the API: see `core.api_tokens`.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("made_at", Millis, nullable=False),
    Column("made_by", Words, nullable=False),
    Column("expires_at", Millis),
    Column("used_at", Millis),
    Column("revoked_at", Millis),
    Column("revoked_by", Words),
    UniqueConstraint("id", name="uq_api_tokens_id"),
)
_GIVEN = text("revoked_at IS NULL")
Index("ix_api_tokens_name", api_tokens.c.name, unique=True, sqlite_where=_GIVEN, postgresql_where=_GIVEN)

rejections = Table(
    "rejections",
    metadata,
    Column("seq", Counter, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("connection", Words, nullable=False),
    Column("cause", Words, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, nullable=False),
    Column("labels", Words, nullable=False),
    Column("shard", Text, nullable=False),
    Column("value", Float, nullable=False),
    PrimaryKeyConstraint("name", "labels", "shard", name="pk_counters"),
)

#: What the hub keeps of itself: see `facts`.
facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("value", Text, nullable=False),
)

site_versions = Table(
    "site_versions",
    metadata,
    Column("stamp", Text, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("files", Text, nullable=False),
)

polls = Table(
    "polls",
    metadata,
    Column("connection", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False),  # whether the files have it on
    Column("due_at", Millis, nullable=False),  # the next look, or the end of the lease while somebody holds it
    Column("cursor_ms", Millis),  # all before it was read and kept; NULL until the first list was
    Column("read_at", Millis),  # when that was asked for
    Column("good_at", Millis),  # when a list was last read to its end
    Column("token", Text),  # who holds it
    Column("fault", Text),
    Column("attempts", Integer, nullable=False),  # since the last good one
    Column("deaths", Integer, nullable=False),  # workers in a row that took it and were not heard of again
    Column("found", Integer, nullable=False),
    Column("brought", Integer, nullable=False),  # events that were not there before
    Column("because", Words, nullable=False),
    Column("created_at", Millis, nullable=False),
    Column("updated_at", Millis, nullable=False),
    PrimaryKeyConstraint("connection", "name", name="pk_polls"),
)

bridge_answers = Table(
    "bridge_answers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("bridge", Text, nullable=False),
    Column("connection", Text, nullable=False),  # who asked
    Column("state", Text, nullable=False),
    Column("key", Key),  # what the bridge's `once` came to; NULL: it has none
    Column("token", Text),  # who holds it, while it is running
    Column("answer", Text),
    Column("due_at", Millis),  # the end of the lease while it runs
    Column("created_at", Millis, nullable=False),
    Column("updated_at", Millis, nullable=False),
    Column("sent", Boolean, nullable=False),  # the call that it stands at may have reached its target
    Column("status", Integer),
    Column("because", Words, nullable=False),
    Column("calls", Text, nullable=False),  # what the calls made so far answered
    Column("request", Text, nullable=False),  # persons masked
    UniqueConstraint("bridge", "key", name="uq_bridge_answers_key"),
    CheckConstraint("(state = 'running') = (due_at IS NOT NULL)", name="ck_bridge_answers_due_at"),
)
_OPEN = text("state IN ('running', 'waiting', 'in_doubt')")
Index("ix_bridge_answers_open", bridge_answers.c.created_at, sqlite_where=_OPEN, postgresql_where=_OPEN)
