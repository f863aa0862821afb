"""Ledgers of earlier versions of the hub, filled as those wrote them, are brought up to date and worked on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

from app.adapters.ledger import CHECKS, migrate, open_ledger, schema_state
from app.adapters.ledger.engine import parse, sqlite_module
from app.adapters.ledger.migrate import _MIGRATIONS
from app.adapters.ledger.schema import REVISIONS
from tests.contract.making import claim_ids, done, finish
from tests.postgres import Cluster
from tests.support import HandClock

#: What a hub of the first version held: one return that was announced, one that waits, one message nobody could read.
FIRST = """
INSERT INTO events (id, connection, vendor_id, type, state, due_at, attempts, deaths, because, received_at, began_at,
 updated_at, headers, body, document_id) VALUES
 ('evt_1', 'shop', 'v-1', 'return', 'done', NULL, 1, 0, '', 1000, 1000, 2000, '{"a": "b"}', :body, 'doc_1'),
 ('evt_2', 'shop', 'v-2', 'return', 'waiting', 5000, 1, 0, 'busy', 1000, 1000, 2000, '{}', :body, NULL),
 ('evt_3', 'shop', 'v-3', '', 'unreadable', NULL, 0, 0, 'no JSON', 1000, 1000, 2000, '{}', :odd, NULL);
INSERT INTO documents (id, kind, connection, object_id, seq, stale, version, observed_at, created_at, event_id, stamp,
 body, raw) VALUES
 ('doc_1', 'return', 'shop', 'R-1', 1, :no, '', 1000, 1000, 'evt_1', 's', '{"id": "R-1"}', '{}');
INSERT INTO changes (id, kind, connection, object_id, key, name, document_id, created_at, data) VALUES
 ('chg_1.1', 'return', 'shop', 'R-1', 'return.labelled', 'return.labelled', 'doc_1', 1000, '{}'),
 ('chg_1.2', 'return', 'shop', 'R-1', 'parcel.labelled:p', 'parcel.labelled', 'doc_1', 1000, '{}');
INSERT INTO deliveries (id, state, due_at, lane, step, attempts, deaths, resends, sent, because, created_at, began_at,
 updated_at, change_id, document_id, route, part, stamp, token, claimed_from, claimed_at) VALUES
 ('dlv_1', 'done', NULL, 'wms', 0, 1, 0, 0, :no, '', 1000, 1000, 2000, 'chg_1.1', 'doc_1', 'announce', '', 's',
  NULL, NULL, NULL),
 ('dlv_2', 'running', 9000, 'wms', 0, 1, 0, 0, :no, '', 1000, 1000, 2000, 'chg_1.2', 'doc_1', 'track', '', 's',
  'tok_old', 'ready', 2000);
INSERT INTO calls (delivery_id, step, connection, operation, idempotency_key, state, answer, updated_at) VALUES
 ('dlv_1', 0, 'wms', 'announce', 'dlv_1.0', 'delivered', '{"number": 12345678901234567890}', 2000);
INSERT INTO attempts (id, delivery_id, step, kind, number, at, took_ms, connection, operation, outcome, because, status,
 request, response) VALUES
 ('att_1', 'dlv_1', 0, 'call', 1, 1500, 7, 'wms', 'announce', 'delivered', '', 200, '{"method": "POST"}', '{}');
INSERT INTO refs (key, kind, from_system, to_system, scope, from_id, to_id, from_key, to_key, state, origin, at,
 recorded_at, evidence) VALUES
 ('order 1 (shop to erp)', 'order', 'shop', 'erp', '', '1', 'E-1', '1', 'E-1', 'known', 'manual', 1000, 1000, '{}');
INSERT INTO identifiers (kind, connection, object_id, id_kind, value, norm, strong) VALUES
 ('return', 'shop', 'R-1', 'return', 'R-1', 'r-1', :yes);
INSERT INTO audit (at, who, act, target, before, after) VALUES (1500, 'cli:me', 'retry', 'dlv_1', '{}', '{}');
INSERT INTO lanes (connection, paused, because, failures, opened_times) VALUES ('wms', :no, '', 2, 0);
INSERT INTO counters (name, labels, shard, value) VALUES ('backhaul_events_total', '{}', 'w', 3.0)
"""
ODD = b"\x00\xff no JSON"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/old.db"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with cluster.copy("template0") as url:
        yield url


def to_revision(url: str, revision: str, *, fill: bool = False) -> None:
    """Bring a database to a revision of the schema; `fill` it then as the first version of the hub did."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    more = {"module": sqlite_module()} if url.startswith("sqlite") else {}
    engine = create_engine(parse(url), poolclass=NullPool, **more)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        values = {"yes": True, "no": False, "body": b'{"id": 1}', "odd": ODD}
        for statement in FIRST.split(";\n") if fill else ():
            told = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), told)


@pytest.mark.parametrize("stop_at", ("0001", "0004", REVISIONS[-2]))
def test_a_filled_ledger_of_the_first_version_comes_through_the_later_ones(
    empty_url: str, stop_at: str, clock: HandClock
) -> None:
    to_revision(empty_url, "0001", fill=True)
    # As who skipped all versions between, and as who upgraded at one of them.
    to_revision(empty_url, stop_at)
    migrate(empty_url)
    assert schema_state(empty_url) == "current"
    ledger = open_ledger(empty_url, clock=clock)
    assert [fault for check in CHECKS for fault in ledger.verify(check)] == []
    pieces = [ledger.look_at(part, None, 500) for part in ledger.parts()]
    assert [piece.faults for piece in pieces if piece.faults] == [] and sum(piece.rows for piece in pieces) >= 11
    assert ledger.event_body("evt_3") == ODD
    event = ledger.event("evt_1")
    assert event is not None and event["state"] == "done"
    delivery = ledger.delivery("dlv_1")
    assert delivery is not None and "12345678901234567890" in json.dumps(delivery, default=str)
    # What was in a worker's hands is claimed once its lease is over, as perhaps sent; new numbers follow the old ones.
    assert claim_ids(ledger, "tok") == ["dlv_2"]
    assert finish(ledger, "tok", done("dlv_2", operation="track")) == {"dlv_2"}
    assert [work.event_id for work in ledger.claim_events("shop", 10, 60, "other")] == ["evt_2"]
    assert ledger.seal(ledger.seal_marks()) == 2
    assert [fault for check in CHECKS for fault in ledger.verify(check)] == []
    ledger.close()
