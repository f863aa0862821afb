"""Questions of bridges: who answers one now, how far it came, and the answer that is given for ever."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Row, bindparam, func, select, text, update

from app.adapters.ledger.columns import bounded, to_ms
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.queries import view
from app.adapters.ledger.schema import attempts
from app.adapters.ledger.shared_schema import bridge_answers
from app.adapters.ledger.store import Store, ahead
from app.core.bridges import BridgeClaim, BridgeFinish, CallMade, Question
from app.core.contents import went
from app.core.jsontext import dump_text, loads

_by_key = select(bridge_answers).where(
    bridge_answers.c.bridge == bindparam("asked"), bridge_answers.c.key == bindparam("wanted")
)
_by_id = select(bridge_answers).where(bridge_answers.c.id == bindparam("wanted"))
_tries = select(func.coalesce(func.max(attempts.c.number), 0)).where(attempts.c.delivery_id == bindparam("wanted"))
_held = (
    update(bridge_answers)
    .where(
        bridge_answers.c.id == bindparam("wanted"),
        bridge_answers.c.token == bindparam("holder"),
        bridge_answers.c.state == "running",
    )
    .execution_options(preserve_rowcount=True)
)
#: Written out: a partial index is found only by what is written in the statement.
_open = select(bridge_answers).where(text("state IN ('running', 'waiting', 'in_doubt')"))
_KIND = "bridge"
_GONE = dump_text({"error": {"code": "gone", "message": "this was answered; the answer is kept no longer"}})


class BridgeAnswers(Store):
    """Every method raises `LedgerUnavailable`; nothing is written then."""

    def claim_bridge(self, question: Question, token: str, lease_s: float) -> BridgeClaim:
        """Take a question to answer it, for so long; or learn that somebody does, or what the answer is.

        Questions of one bridge with the same key are one. Who took it and was not heard of again loses it with the
        lease; what it had sent by then may have arrived.
        """
        assert question.key is not None
        wanted = {"asked": question.bridge, "wanted": question.key}
        with self._db.read() as db:
            known = db.execute(_by_key, wanted).first()
            if known is not None and (told := self._taken(known, lease_s)):
                return told
        with self._db.write() as db:
            now = self._now()
            row = {**_row(question, now), "state": "running", "token": token, "due_at": ahead(now, lease_s)}
            adding = self._db.insert(bridge_answers).on_conflict_do_nothing(index_elements=["bridge", "key"])
            if db.execute(adding.execution_options(preserve_rowcount=True), row).rowcount == 1:
                return BridgeClaim("mine", question.id)
            known = db.execute(_by_key.with_for_update(), wanted).one()
            if told := self._taken(known, lease_s):
                return told
            taken = {"state": "running", "token": token, "due_at": ahead(now, lease_s), "updated_at": now}
            db.execute(update(bridge_answers).where(bridge_answers.c.id == known.id).values(**taken))
            tries = int(db.execute(_tries, {"wanted": known.id}).scalar_one())
            return BridgeClaim("mine", known.id, _calls(known.calls), bool(known.sent), tries)

    def finish_bridge(self, token: str, finish: BridgeFinish) -> bool:
        """Write how far it came, with the tries made and what they taught; False when the token no longer holds it.

        The tries are kept in any case: they happened.
        """
        with self._db.write() as db:
            now = self._now()
            values = {**_reached(finish), "updated_at": now}
            if finish.state != "running":
                values |= {"token": None, "due_at": None}
            done = db.execute(_held.values(**values), {"wanted": finish.id, "holder": token})
            self._keep(db, now, finish)
            return bool(done.rowcount == 1)

    def keep_bridge(self, question: Question, finish: BridgeFinish) -> None:
        """Keep a question that has no key, now that it is over."""
        with self._db.write() as db:
            now = self._now()
            db.execute(self._db.insert(bridge_answers), [{**_row(question, now), **_reached(finish)}])
            self._keep(db, now, finish)

    def bridge(self, question_id: str) -> dict[str, Any] | None:
        """One question; None when there is none."""
        with self._db.read() as db:
            row = db.execute(_by_id, {"wanted": question_id}).first()
        return None if row is None else bridge_view(row)

    def open_bridges(self, limit: int = 100) -> list[dict[str, Any]]:
        """The questions that have a key and no answer yet, oldest first."""
        with self._db.read() as db:
            return [bridge_view(row) for row in db.execute(_open.order_by(bridge_answers.c.created_at).limit(limit))]

    def settle_bridge(self, question_id: str, verdict: Literal["delivered", "retry"], who: str) -> bool:
        """A person says of the call in doubt that it worked, or is to be sent again when the question comes again.

        False when the question is not in doubt.
        """
        with self._db.write() as db:
            now = self._now()
            row = db.execute(_by_id.with_for_update(), {"wanted": question_id}).first()
            if row is None or row.state != "in_doubt":
                return False
            calls = _calls(row.calls) + ((CallMade(True),) if verdict == "delivered" else ())
            values = {"state": "waiting", "sent": False, "calls": _dumped(calls), "updated_at": now}
            values["because"] = f"settled by {who}: {verdict}"
            db.execute(update(bridge_answers).where(bridge_answers.c.id == question_id).values(**values))
            tx = Finishing(self._db, db, now)
            tx.audit(who, "resolve", question_id, {"state": "in_doubt"}, {"verdict": verdict})
        return True

    def _taken(self, row: Row[Any], lease_s: float) -> BridgeClaim | None:
        if row.state == "answered" and went(row.answer or ""):
            # It is not carried out again: that it was is known, and what it said is not.
            return BridgeClaim("answered", row.id, status=410, answer=_GONE)
        if row.state == "answered":
            return BridgeClaim("answered", row.id, status=row.status, answer=row.answer)
        # Nobody renews this lease: after a jump of the clock it is believed to its end.
        if row.state == "running" and row.due_at > self._lapsed(self._now(), 2 * lease_s):
            return BridgeClaim("busy", row.id)
        return None

    def _keep(self, db: Any, now: int, finish: BridgeFinish) -> None:
        tx = _Writing(self._db, db, now)
        tx.keep(finish)
        tx.flush()


class _Writing(Finishing):
    def keep(self, finish: BridgeFinish) -> None:
        """Write what the tries of a question taught."""
        self._keep_attempts(finish.attempts)
        self.put_references(finish.references)
        if finish.identifiers:
            row = self._connection.execute(_by_id, {"wanted": finish.id}).one()
            self.add_identifiers(_KIND, row.connection, finish.id, finish.identifiers)


def bridge_view(row: Row[Any]) -> dict[str, Any]:
    """A question as people and programs read it. The answer is its text, byte for byte."""
    shown = view({name: value for name, value in row._mapping.items() if name != "answer"})
    return {**shown, "answer": row.answer, "calls": loads(row.calls)}


def _row(question: Question, now: int) -> dict[str, Any]:
    return {
        "id": question.id,
        "bridge": question.bridge,
        "connection": question.connection,
        "key": None if question.key is None else bounded(question.key),
        "created_at": to_ms(question.at) if question.at else now,
        "updated_at": now,
        "sent": False,
        "because": "",
        "calls": "[]",
        "request": dump_text(question.request),
    }


def _reached(finish: BridgeFinish) -> dict[str, Any]:
    over = finish.state in ("answered", "failed")
    return {
        "state": finish.state,
        "because": finish.because,
        # What the calls answered is only needed to go on: it is whole, with the persons in it.
        "calls": "[]" if over else _dumped(finish.calls),
        "sent": finish.sent,
        "status": finish.status or None,
        "answer": finish.answer or None,
    }


def _dumped(calls: tuple[CallMade, ...]) -> str:
    return dump_text([{"made": call.made, "answer": call.answer} for call in calls])


def _calls(text: str) -> tuple[CallMade, ...]:
    return tuple(CallMade(bool(one["made"]), one["answer"]) for one in loads(text))
