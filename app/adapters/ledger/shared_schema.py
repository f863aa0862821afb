"""The tables through which processes share what is no business of any one return: lanes, leases, counters …"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Integer, PrimaryKeyConstraint, Table, Text

from app.adapters.ledger.columns import Counter, Millis, Words
from app.adapters.ledger.schema import metadata

lanes = Table(
    "lanes",
    metadata,
    Column("connection", Text, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("because", Words, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("open_until", Millis),
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

site_versions = Table(
    "site_versions",
    metadata,
    Column("stamp", Text, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("files", Text, nullable=False),
)
