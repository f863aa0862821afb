"""Tokens of the API: shown once, kept as digests, ended by time or by a person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.adapters.ledger import Ledger
from app.adapters.ledger.api_tokens import NOTED_EACH_S
from app.core.api_tokens import ROLES, allows, digest, id_of, need_name
from app.errors import DataError
from app.model import Reference, ReferenceKey
from tests.support import HandClock

KEY = ReferenceKey("order", "shop", "erp", "#1")


def test_a_token_is_found_by_its_own_text_alone(ledger: Ledger, clock: HandClock) -> None:
    made, told = ledger.new_api_token("ann", "operator", "cli:root", None)
    assert id_of(told) == made.token_id and digest(told) == made.digest
    assert ledger.api_token(made.token_id) == made and made.state(clock.now()) == "live"
    assert (made.role, made.made_by, made.made_at, made.used_at) == ("operator", "cli:root", clock.now(), None)
    assert ledger.api_token("tok_none") is None and [one.name for one in ledger.api_tokens()] == ["ann"]


def test_the_ledger_holds_nothing_that_opens_anything(ledger: Ledger) -> None:
    _, told = ledger.new_api_token("ann", "admin", "me", None)
    ledger.revoke_api_token("ann", "me")
    secret = told.rpartition("_")[2]
    with ledger._db.read() as connection:
        for table in ("api_tokens", "audit"):
            kept = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert told not in kept and secret not in kept
    assert secret not in repr(ledger.api_tokens()) and digest(told) not in repr(ledger.api_tokens())


def test_no_two_tokens_are_alike(ledger: Ledger) -> None:
    made = [ledger.new_api_token(f"machine-{number}", "reader", "me", None) for number in range(20)]
    assert len({told for _, told in made}) == len({token.token_id for token, _ in made}) == 20
    # 32 random bytes.
    assert {len(told.rpartition("_")[2]) for _, told in made} == {64}


def test_two_live_tokens_have_not_the_same_name(ledger: Ledger) -> None:
    ledger.new_api_token("ann", "reader", "me", None)
    with pytest.raises(DataError, match="'ann' already; revoke it first"):
        ledger.new_api_token("ann", "admin", "you", None)
    ledger.revoke_api_token("ann", "me")
    again, _ = ledger.new_api_token("ann", "admin", "you", None)
    assert [(one.name, one.role) for one in ledger.api_tokens()] == [("ann", "admin"), ("ann", "reader")]
    assert ledger.revoke_api_token(again.token_id, "me").revoked_by == "me"


def test_of_many_who_make_one_of_a_name_at_once_one_does(ledger: Ledger) -> None:
    def make(number: int) -> bool:
        try:
            ledger.new_api_token("ann", "reader", f"me-{number}", None)
        except DataError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1
    assert len(ledger.api_tokens()) == len(ledger.acts("token:ann")) == 1


def test_a_token_ends_at_its_time_and_its_name_is_free_again(ledger: Ledger, clock: HandClock) -> None:
    first, _ = ledger.new_api_token("ann", "reader", "me", clock.now() + timedelta(days=90))
    clock.move(90 * 86_400 - 1)
    assert first.state(clock.now()) == "live"
    clock.move(1)
    assert first.state(clock.now()) == "expired"
    ledger.new_api_token("ann", "reader", "me", None)
    old = ledger.api_token(first.token_id)
    assert old is not None and old.state(clock.now()) == "revoked"


def test_a_token_is_revoked_once_by_its_name_or_its_id(ledger: Ledger, clock: HandClock) -> None:
    made, _ = ledger.new_api_token("ann", "reader", "me", None)
    revoked = ledger.revoke_api_token("ann", "you")
    assert (revoked.state(clock.now()), revoked.revoked_by, revoked.revoked_at) == ("revoked", "you", clock.now())
    with pytest.raises(DataError, match=r"revoked already, since .* by you"):
        ledger.revoke_api_token(made.token_id, "me")
    for nobody in ("ann", "bob", "tok_none"):
        with pytest.raises(DataError, match="backhaul token list"):
            ledger.revoke_api_token(nobody, "me")


def test_the_last_use_is_written_once_a_minute(ledger: Ledger, clock: HandClock) -> None:
    made, _ = ledger.new_api_token("ann", "reader", "me", None)

    def used() -> object:
        ledger.used_api_token(made.token_id)
        token = ledger.api_token(made.token_id)
        assert token is not None
        return token.used_at

    first = clock.now()
    assert used() == first
    clock.move(NOTED_EACH_S - 1)
    assert used() == first
    clock.move(1)
    assert used() == clock.now()
    # A clock that was put back does not keep it from being written.
    clock.move(-7200)
    assert used() == clock.now()
    ledger.used_api_token("tok_none")


def test_making_and_revoking_are_kept_in_the_audit(ledger: Ledger) -> None:
    made, _ = ledger.new_api_token("ann", "operator", "cli:root", None)
    ledger.revoke_api_token("ann", "bob (tok_1)")
    new, revoke = ledger.acts("token:ann")
    assert (new["who"], new["act"], new["before"]) == ("cli:root", "token new", None)
    assert new["after"] == {"id": made.token_id, "role": "operator", "expires_at": None}
    assert (revoke["who"], revoke["act"]) == ("bob (tok_1)", "token revoke")
    assert revoke["before"]["state"] == "live" and revoke["after"]["state"] == "revoked"


def test_the_audit_is_asked_by_who_did_it(ledger: Ledger) -> None:
    for number, who in enumerate(("ann (tok_1)", "ann (tok_2)", "annabel (tok_3)", "cli:ann", "a_n (tok_4)")):
        ledger.pause(f"c{number}", "x", who)
    assert [row["who"] for row in ledger.acts(who="ann")] == ["ann (tok_1)", "ann (tok_2)", "cli:ann"]
    assert [row["who"] for row in ledger.acts(who="ann (tok_2)")] == ["ann (tok_2)"]
    # "_" and "%" stand for themselves.
    assert [row["who"] for row in ledger.acts(who="a_n")] == ["a_n (tok_4)"] and ledger.acts(who="%") == []
    assert [row["target"] for row in ledger.acts("connection:c1", who="ann")] == ["connection:c1"]
    assert ledger.acts(who="\x00\ud800") == ledger.acts("\x00\ud800") == []


def test_a_reference_that_is_set_keeps_what_it_was_before(ledger: Ledger, clock: HandClock) -> None:
    ledger.set_reference(KEY, "0001", "ann (tok_1)")
    ledger.set_reference(KEY, "0002", "bob (tok_2)")
    first, second = ledger.acts(str(KEY))
    assert first["before"] is None and first["after"] == {"to": "0001", "released": []}
    assert second["before"]["to"] == "0001" and second["before"]["evidence"] == {"by": "ann (tok_1)"}
    found = ledger.find_reference(KEY)
    assert found == Reference(KEY, "0002", "manual", clock.now(), {"by": "bob (tok_2)"})


@pytest.mark.parametrize("name", ["ann", "wms-eu.2", "A", "7", "x" * 60])
def test_a_token_may_be_called_like_a_person_or_a_machine(name: str) -> None:
    assert need_name(name) == name


@given(st.text())
def test_no_other_text_is_a_name_or_a_token(said: str) -> None:
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    good = 0 < len(said) <= 60 and set(said) <= {*plain, *"._-"} and said[0] in plain and said[:4] != "tok_"
    if good:
        assert need_name(said) == said
    else:
        with pytest.raises(DataError, match="cannot be called"):
            need_name(said)
    assert id_of(said) is None and id_of(f"bh_{said}_{'0' * 64}") is None


@pytest.mark.parametrize("name", ["", " ", "ann@shop.example", "tok_1", "ann (tok_1)", "cli:root", "-x", "x" * 61, "ä"])
def test_a_name_that_could_be_taken_for_another_thing_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(DataError, match="cannot be called"):
        ledger.new_api_token(name, "reader", "me", None)
    assert ledger.api_tokens() == ledger.acts() == []


def test_a_role_allows_what_those_before_it_allow() -> None:
    table = {(role, needed): allows(role, needed) for role in ROLES for needed in ROLES}
    denied = {("reader", "operator"), ("reader", "admin"), ("operator", "admin")}
    assert {pair for pair, allowed in table.items() if not allowed} == denied
