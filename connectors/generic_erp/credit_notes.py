"""The credit notes of the simulated ERP. The same Idempotency-Key gets the first answer again and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import request
from jsonschema import Draft202012Validator

from connectors.simkit import Answer, Simulator

_SCHEMAS = Path(__file__).parent / "schemas"


class Notes:
    """Credit notes by their numbers."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, tuple[str, Answer]] = {}
        self._validators = {
            name: Draft202012Validator(json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))
            for name in ("create_credit_note", "post_refund")
        }

    def create(self, body: Any) -> Answer:
        """Post a credit note whose amounts add up."""
        if refused := self._invalid("create_credit_note", body):
            return refused
        lines = body["lines"]
        wrong = [line for line in lines if Decimal(line["unitAmount"]) * line["quantity"] != Decimal(line["amount"])]
        if wrong or sum(Decimal(line["amount"]) for line in lines) != Decimal(body["total"]):
            return Answer({"code": "INVALID", "message": "the amounts do not add up"}, 422)
        number = f"CN-{len(self.rows) + 1:06d}"
        self.rows[number] = {**body, "number": number, "state": "POSTED"}
        return Answer(dict(self.rows[number]), 201, effect=f"credited {body['total']} {body['currency']} as {number}")

    def refund(self, number: str, body: Any) -> Answer:
        """Pay a credit note back, once and in full."""
        if refused := self._invalid("post_refund", body):
            return refused
        row = self.rows.get(number)
        if row is None:
            return Answer({"message": f"no credit note {number}"}, 404)
        if row["state"] == "REFUNDED":
            return Answer({"code": "ALREADY_REFUNDED", "message": f"{number} is paid back"}, 409)
        if (Decimal(body["amount"]), body["currency"]) != (Decimal(row["total"]), row["currency"]):
            return Answer({"code": "INVALID", "message": f"{number} is over {row['total']} {row['currency']}"}, 422)
        row["state"] = "REFUNDED"
        return Answer(dict(row), effect=f"refunded {body['amount']} {body['currency']} of {number}")

    def once(self, act: Callable[[Any], Answer]) -> Answer:
        """Act on the request at hand, unless it came with its key before: then its first answer again."""
        body, key = request.get_json(force=True, silent=True), request.headers.get("Idempotency-Key")
        asked = json.dumps([request.path, body], sort_keys=True)
        if key is None or key not in self._answers:
            answer = act(body)
            if key is not None:
                self._answers[key] = (asked, answer)
            return answer
        first, answer = self._answers[key]
        if first != asked:
            return Answer({"code": "KEY_REUSED", "message": "this Idempotency-Key came with another request"}, 422)
        return Answer(answer.body, answer.status, headers={"Idempotent-Replay": "true"})

    def _invalid(self, schema: str, body: Any) -> Answer | None:
        errors = [f"{error.json_path}: {error.message}" for error in self._validators[schema].iter_errors(body)]
        return Answer({"code": "INVALID", "message": errors[0], "details": errors}, 422) if errors else None


def register(sim: Simulator, notes: Notes) -> None:
    """Serve the operations of credit notes."""

    @sim.operation("create_credit_note", "POST", "/credit-notes")
    def create_credit_note() -> Answer:
        return notes.once(notes.create)

    @sim.operation("find_credit_notes", "GET", "/credit-notes")
    def find_credit_notes() -> Answer:
        wanted = request.args.get("externalReference")
        found = [row for row in notes.rows.values() if row["externalReference"] == wanted]
        return Answer({"items": found, "total": len(found)})

    @sim.operation("get_credit_note", "GET", "/credit-notes/<number>")
    def get_credit_note(number: str) -> Answer:
        row = notes.rows.get(number)
        return Answer(row) if row else Answer({"message": f"no credit note {number}"}, 404)

    @sim.operation("post_refund", "POST", "/credit-notes/<number>/refund")
    def post_refund(number: str) -> Answer:
        return notes.once(lambda body: notes.refund(number, body))
