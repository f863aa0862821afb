"""Whatever happens in whatever order, the ledger hands out what a simple model of it would."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.ledger import Ledger
from app.adapters.ledger.claimable import SUSPECT
from app.adapters.ledger.claims import DEADLY
from app.model import FINAL_DELIVERY_STATES, DeliveryFinish
from tests.contract.making import deliver, finish, key, known, new, put
from tests.support import HandClock

_STATES = ["done", "dead", "skipped", "waiting", "parked", "in_doubt"]
_ACTS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(["A", "B", ""]), st.integers(1, 3)),
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(st.just("finish"), st.integers(0, 5), st.sampled_from(_STATES), st.integers(0, 90)),
    st.tuples(st.just("hand back"), st.integers(0, 5)),
    st.tuples(st.just("renew"), st.integers(0, 5)),
    st.tuples(st.just("move"), st.sampled_from([1, 30, 61])),
    st.tuples(st.just("learn")),
    st.tuples(st.just("retry")),
)


@dataclass
class Row:
    """What the model knows of a delivery."""

    id: str
    seq: int
    order_key: str
    due_at: datetime | None
    state: str = "ready"
    token: str = ""
    claimed_from: str = ""
    attempts: int = 0
    deaths: int = 0


class Model:
    """The ledger as one would write it down on paper, next to the real one."""

    def __init__(self, ledger: Ledger, clock: HandClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.lane, self.run = new("lane"), new("run")
        self.rows: dict[str, Row] = {}
        self.claims: list[tuple[str, list[str]]] = []

    def add(self, order_key: str, many: int) -> None:
        keyed = f"{self.run}{order_key}" if order_key else ""
        for id_ in deliver(self.ledger, self.clock, object_id=self.run, lane=self.lane, order_key=keyed, many=many):
            self.rows[id_] = Row(id_, len(self.rows), keyed, self.clock.now())

    def claim(self, limit: int) -> None:
        now, token = self.clock.now(), new("token")
        free = [row for row in self.rows.values() if row.due_at and row.due_at <= now and not self._blocked(row)]
        free.sort(key=lambda row: (row.due_at, row.seq))
        expected = []
        for row in self._with_one_suspect(free)[:limit]:
            row.deaths += row.state == "running"
            if row.deaths == DEADLY:
                row.state, row.due_at, row.token = "dead", None, ""
                continue
            row.claimed_from, row.state, row.token = row.state, "running", token
            row.due_at, row.attempts = now + timedelta(seconds=60), row.attempts + 1
            expected.append((row.id, row.claimed_from, row.attempts))
        works = self.ledger.claim_deliveries(self.lane, limit, 60, token)
        assert [(work.delivery_id, work.came_from, work.attempts) for work in works] == sorted(
            expected, key=lambda claimed: self.rows[claimed[0]].seq
        )
        if works:
            self.claims.append((token, [work.delivery_id for work in works]))

    def finish(self, number: int, state: Any, seconds: int) -> None:
        if not self.claims:
            return
        token, ids = self.claims[number % len(self.claims)]
        due = None if state in FINAL_DELIVERY_STATES else self.clock.now() + timedelta(seconds=seconds)
        waits = str(key(self.run)) if state == "parked" else ""
        held = [row for row in map(self.rows.__getitem__, ids) if row.token == token]
        done = finish(self.ledger, token, *(DeliveryFinish(id_, state, due, waits_for=waits) for id_ in ids))
        assert done == {row.id for row in held}
        for row in held:
            row.state, row.due_at, row.token, row.deaths = state, due, "", 0

    def hand_back(self, number: int) -> None:
        if not self.claims:
            return
        token, ids = self.claims[number % len(self.claims)]
        held = [row for row in map(self.rows.__getitem__, ids) if row.token == token]
        assert self.ledger.hand_back(token, ids) == len(held)
        for row in held:
            row.deaths -= row.claimed_from == "running"
            row.state, row.due_at, row.token, row.attempts = row.claimed_from, self.clock.now(), "", row.attempts - 1

    def renew(self, number: int) -> None:
        if not self.claims:
            return
        token, _ = self.claims[number % len(self.claims)]
        held = [row for row in self.rows.values() if row.token == token]
        assert self.ledger.renew(token, 60) == len(held)
        for row in held:
            row.due_at = self.clock.now() + timedelta(seconds=60)

    def learn(self) -> None:
        waiting = [row for row in self.rows.values() if row.state == "parked"]
        self.clock.move(0.001)
        assert sorted(put(self.ledger, known(self.clock.now(), self.run, new("E")))) == sorted(r.id for r in waiting)
        for row in waiting:
            row.state, row.due_at = "ready", self.clock.now()
        # What was claimed before that and parks from now on need not wait any more; let it lapse from the model.
        self.clock.move(10.001)
        self.claims = []

    def retry(self) -> None:
        woken = [row for row in self.rows.values() if row.state in ("dead", "waiting", "parked")]
        assert sorted(self.ledger.retry(list(self.rows), "me")) == sorted(row.id for row in woken)
        for row in woken:
            row.attempts, row.deaths = 0 if row.state == "dead" else row.attempts, 0
            row.state, row.due_at = "ready", self.clock.now()

    def _blocked(self, row: Row) -> bool:
        others = [other for other in self.rows.values() if other.order_key == row.order_key and other is not row]
        now = self.clock.now()
        return bool(row.order_key) and any(
            other.due_at and (other.seq < row.seq or (other.state == "running" and other.due_at > now))
            for other in others
        )

    def _with_one_suspect(self, free: list[Row]) -> list[Row]:
        """Of those whose next death would be one too many of a kind, the first, and none while one is under way."""
        now = self.clock.now()
        suspects = [row for row in free if row.state == "running" and row.deaths >= SUSPECT - 1]
        running = (row for row in self.rows.values() if row.state == "running" and row.due_at and row.due_at > now)
        allowed = [] if any(row.deaths >= SUSPECT for row in running) else suspects[:1]
        return [row for row in free if row not in suspects or row in allowed]

    def check(self) -> None:
        """What a list shows is what the model knows; nothing final is due and nothing else is without a time."""
        shown = {row["id"]: row for row in self.ledger.deliveries({"lane": self.lane}, 1000)}
        assert {id_: row["state"] for id_, row in shown.items()} == {id_: r.state for id_, r in self.rows.items()}
        for id_, row in self.rows.items():
            assert (shown[id_]["due_at"] is None) == (row.state in FINAL_DELIVERY_STATES) == (row.due_at is None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(_ACTS, min_size=5, max_size=30))
def test_the_ledger_does_what_its_model_does(ledger: Ledger, clock: HandClock, acts: list[tuple[Any, ...]]) -> None:
    # What other examples have in hand, in lanes of their own, is given up.
    clock.move(61)
    model = Model(ledger, clock)
    model.add("A", 2)
    for name, *given_ in acts:
        if name == "move":
            clock.move(*given_)
        else:
            getattr(model, name.replace(" ", "_"))(*given_)
    model.check()
