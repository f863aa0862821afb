"""Questions that change something: nothing twice, nothing by halves, and one answer for ever."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from app.adapters.ledger import Ledger
from app.core.bridges import Question
from app.errors import LedgerUnavailable
from tests.pipeline.bridge_kit import ASKED, FILES, RESOLVE, Portal, Shop, other, process, scribbling, site_of
from tests.support import HandClock

pytestmark = pytest.mark.usefixtures("alone")


def test_the_same_question_gets_the_same_answer_byte_for_byte(portal: Portal, shop: Shop) -> None:
    first = portal.ask("resolve-return", RESOLVE)
    shop.say("/orders", {"id": "o-2"})
    again = portal.ask("resolve-return", {**RESOLVE, "amount": "7.00"})
    assert first.status_code == again.status_code == 200
    assert first.data == again.data
    assert first.headers["X-Request-Id"] == again.headers["X-Request-Id"]
    assert len(shop.refunds) == 1
    assert portal.ask("resolve-return", {**RESOLVE, "transactionId": "t-2"}).status_code == 200
    assert len(shop.refunds) == 2


def test_calls_carry_keys_that_stay_the_same(portal: Portal, shop: Shop) -> None:
    shop.say("/refunds", "done, then lost", "lost")
    for _ in range(2):
        assert portal.ask("resolve-return", RESOLVE).status_code == 503
    said = portal.ask("resolve-return", RESOLVE)
    assert said.status_code == 200
    keys = {one.idempotency_key for one in shop.sent("/refunds")}
    assert keys == {f"{said.headers['X-Request-Id']}.1"}
    assert len(shop.refunds) == 1
    assert len(shop.sent("/orders")) == 1, "what was answered once is not asked again"


def test_a_process_that_dies_between_two_calls_leaves_the_rest_to_the_next(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    class Died(BaseException):
        """The process is gone: nothing of it runs on."""

    def die(path: str) -> None:
        if path == "/notes":
            raise Died

    site = site_of(tmp_path)
    with process(site, Gone(ledger), clock, shop) as portal:
        shop.meanwhile = die
        with pytest.raises(Died):
            portal.ask("resolve-return", {**RESOLVE, "note": "hi"})
    shop.meanwhile = lambda path: None
    clock.move(11)  # the lease is over
    with process(site, ledger, clock, shop) as portal:
        said = portal.ask("resolve-return", {**RESOLVE, "note": "hi"})
    assert said.status_code == 200
    assert said.json == {"transactionId": "t-1", "refund": "rf-1"}
    assert len(shop.sent("/orders")) == len(shop.sent("/refunds")) == 1
    assert len(shop.sent("/notes/")) == 1, "what may have been sent was looked for"
    assert shop.notes.total() == 1


def test_while_a_question_is_being_answered_it_is_waited_for_but_not_too_long(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    calls = "\n    calls:\n"
    with other(tmp_path, ledger, clock, shop, short=(f"5s{calls}", f"300ms{calls}")) as portal:
        clock.monotonic = time.monotonic  # type: ignore[method-assign]
        ledger.claim_bridge(Question("brq_1", "resolve", "portal", "t-1", {}), "tok", 10)
        busy = portal.ask("resolve-return", RESOLVE)
        assert (busy.status_code, busy.json["error"]["code"]) == (503, "busy")
        assert shop.requests == []


class Gone:
    """A ledger that keeps nothing of what happens after a process has died."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def finish_bridge(self, token: str, finish: Any) -> bool:
        """Only what is written while it runs."""
        return self._ledger.finish_bridge(token, finish) if finish.state == "running" else False


@pytest.mark.parametrize(("answer", "notes"), [("done, then lost", 1), ("lost", 1)])
def test_a_call_in_doubt_is_looked_for_before_it_is_sent_again(
    portal: Portal, shop: Shop, answer: str, notes: int
) -> None:
    shop.say("/notes", answer)
    asked = {**RESOLVE, "note": "hi"}
    said = portal.ask("resolve-return", asked)
    assert (said.status_code, said.json["error"]["code"]) == (503, "in_doubt")
    assert portal.ask("resolve-return", asked).status_code == 200
    assert shop.notes.total() == notes


def test_a_call_in_doubt_that_nobody_can_look_for_is_never_repeated(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    with scribbling(tmp_path, ledger, clock, shop) as portal:
        shop.say("/scribbles", "done, then lost")
        for _ in range(3):
            said = portal.ask("resolve-return", RESOLVE)
            assert (said.status_code, said.json["error"]["code"]) == (503, "in_doubt")
            clock.move(100)
        assert shop.scribbles == 1
        (row,) = ledger.open_bridges()
        assert (row["state"], row["id"]) == ("in_doubt", said.headers["X-Request-Id"])
        assert "nothing tells if it worked" in row["because"]
        assert ledger.settle_bridge(row["id"], "retry", "test")
        assert portal.ask("resolve-return", RESOLVE).json["refund"] == "s-2"


def test_a_person_may_say_that_a_call_in_doubt_worked(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    files = {"answer: resolve.from_shop": "answer: resolve.plain"}
    ((old, new),) = files.items()
    text = FILES["config/bridges.yaml"].replace(old, new).replace("shop.refund", "shop.scribble")
    plain = "mapping: resolve.plain\nbody: {done: true}\n"
    site = site_of(tmp_path, **{"config/bridges.yaml": text, "mappings/resolve.plain.yaml": plain})
    with process(site, ledger, clock, shop) as portal:
        shop.say("/scribbles", "done, then lost")
        question_id = portal.ask("resolve-return", RESOLVE).headers["X-Request-Id"]
        assert ledger.settle_bridge(question_id, "delivered", "test")
        assert not ledger.settle_bridge(question_id, "delivered", "test")
        assert portal.ask("resolve-return", RESOLVE).json == {"done": True}
        assert shop.scribbles == 1


def test_a_process_that_died_while_it_sent_leaves_a_doubt(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    class Died(BaseException):
        """The process is gone."""

    def die(path: str) -> None:
        if path == "/scribbles":
            raise Died

    shop.meanwhile = die
    with scribbling(tmp_path, Gone(ledger), clock, shop) as portal, pytest.raises(Died):
        portal.ask("resolve-return", RESOLVE)
    shop.meanwhile = lambda path: None
    clock.move(11)
    with scribbling(tmp_path, ledger, clock, shop) as portal:
        assert portal.ask("resolve-return", RESOLVE).json["error"]["code"] == "in_doubt"
    assert shop.scribbles == 0


def test_a_refusal_of_the_shop_is_tried_again_when_asked_again(portal: Portal, shop: Shop) -> None:
    shop.say("/refunds", 422)
    said = portal.ask("resolve-return", RESOLVE)
    assert (said.status_code, said.json["error"]["code"]) == (503, "refused")
    assert portal.ask("resolve-return", RESOLVE).status_code == 200
    assert len(shop.refunds) == 1


def test_a_lost_order_after_a_refund_is_no_empty_answer(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    change = ("    once:", "    empty: {body: {}}\n    once:")
    note, look = "      - {to: shop.note,", "      - {to: shop.find_order, mapping: purchases.to_shop_lookup}\n"
    more = (note, look + note)
    with other(tmp_path, ledger, clock, shop, one=change, two=more) as portal:
        shop.say("/orders", {"id": "o-1"}, 404)
        said = portal.ask("resolve-return", RESOLVE)
        assert (said.status_code, said.json["error"]["code"]) == (503, "refused")


def test_an_empty_answer_is_not_kept_for_ever(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    change = ("    once:", "    empty: {status: 404, body: {none: true}}\n    once:")
    with other(tmp_path, ledger, clock, shop, one=change) as portal:
        shop.say("/orders", 404)
        assert portal.ask("resolve-return", RESOLVE).status_code == 404
        assert portal.ask("resolve-return", RESOLVE).status_code == 200


def test_without_a_ledger_nothing_is_done(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    class Away:
        """The ledger, or nothing."""

        gone = False

        def __getattr__(self, name: str) -> Any:
            if self.gone:
                raise LedgerUnavailable("it is away")
            return getattr(ledger, name)

    away = Away()
    with process(site_of(tmp_path), away, clock, shop) as portal:
        assert portal.ask("get-purchases", ASKED).status_code == 200
        away.gone = True
        said = portal.ask("resolve-return", RESOLVE)
        assert (said.status_code, said.json["error"]["code"]) == (503, "ledger_unavailable")
        assert shop.refunds == {}
        away.gone = False
        assert portal.ask("resolve-return", RESOLVE).status_code == 200


def test_an_answer_that_could_not_be_kept_is_not_given(
    tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop
) -> None:
    class Full(Gone):
        def finish_bridge(self, token: str, finish: Any) -> bool:
            """Takes no answer."""
            if finish.state == "answered":
                raise LedgerUnavailable("the disk is full")
            return self._ledger.finish_bridge(token, finish)

    site = site_of(tmp_path)
    with process(site, Full(ledger), clock, shop) as portal:
        assert portal.ask("resolve-return", RESOLVE).status_code == 503
    clock.move(11)
    with process(site, ledger, clock, shop) as portal:
        assert portal.ask("resolve-return", RESOLVE).json == {"transactionId": "t-1", "refund": "rf-1"}
    assert len(shop.refunds) == 1


def test_what_was_changed_meanwhile_is_read_again(tmp_path: Path, ledger: Ledger, clock: HandClock, shop: Shop) -> None:
    connector = FILES["connectors/acme_shop/connector.yaml"].replace(
        "    capture:", "    responses: [{status: 409, outcome: restart}]\n    capture:"
    )
    with process(
        site_of(tmp_path, **{"connectors/acme_shop/connector.yaml": connector}), ledger, clock, shop
    ) as portal:
        shop.say("/refunds", 409)
        assert portal.ask("resolve-return", RESOLVE).status_code == 200
        assert len(shop.sent("/orders")) == 2
        shop.say("/refunds", 409, 409, 409, 409)
        said = portal.ask("resolve-return", {**RESOLVE, "transactionId": "t-2"})
        assert (said.status_code, said.json["error"]["code"]) == (503, "refused")
        assert len(shop.sent("/refunds")) == 5
