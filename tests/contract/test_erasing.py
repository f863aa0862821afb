"""A person is removed from everything; what happened and the numbers stay, and the ledger is as sound as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.adapters.ledger import Ledger, migrate, open_ledger
from app.adapters.ledger.erasing_parts import Words
from app.adapters.ledger.finding_persons import holds
from app.core.masking import Masker
from app.errors import HubError
from app.model import EventFinish, Identifier
from app.pipeline.story import tell
from tests.contract.making import attempt, claim_ids, deliver, document, done, finish, known, later, put, received
from tests.contract.test_retention import dump
from tests.contract.test_seals import change, faults, seal
from tests.support import HandClock

EMAIL, NAME, PHONE = "Ann.Planted@shop.example", "Ann Plantedsdóttir", "0612-999777"
PERSON = (EMAIL.casefold(), NAME.casefold(), PHONE)
CUSTOMER = {"email": EMAIL, "name": NAME, "phone": PHONE}


def person(ledger: Ledger, clock: HandClock, number: str = "R-1", customer: Any = CUSTOMER) -> str:
    """A return of somebody, told to the warehouse; the delivery's id. Everything holds the person, `because` too."""
    said = f'{{"id": "{number}", "customer": {{"email": "{customer["email"]}", "name": "{customer["name"]}"}}}}'
    event_id = received(ledger, clock, body=said.encode())
    ledger.claim_events("shop", 10, 60, "tok")
    with ledger.write() as tx:
        picture = {"id": number, "customer": customer, "lines": []}
        one = document(clock, event_id, number, body=picture, raw={"payload": customer})
        tx.add_documents([one])
        kinds = [("R-1", "return", True), (f"o{number}", "order", False), (customer["email"], "customer", False)]
        tx.add_identifiers(
            "return", "shop", number, [Identifier(number, *kinds[0][1:]), *(Identifier(*k) for k in kinds[1:])]
        )
    finish(ledger, "tok", EventFinish(event_id, "done", None, document_id=one.document_id))
    (delivery_id,) = deliver(ledger, clock, object_id=number, numbers=[Identifier(f"W-{number}", "tracking")])
    claim_ids(ledger, "tok")
    url = f"http://wms.test/customers?email={customer['email'].replace('@', '%40')}"
    request = {"method": "POST", "url": url, "headers": {}, "body": {"contact": customer["name"], "rma": number}}
    sent = attempt(clock, delivery_id, request=request, response={"status": 200, "body": {"echo": customer}})
    more = {"because": f"told {customer['name']}", "answer": {"echo": customer}, "operation": "announce_return"}
    finish(ledger, "tok", done(delivery_id, attempts=(sent,), **more))
    put(
        ledger,
        known(clock.now(), number=f"o{number}", evidence={"attempt": sent.attempt_id, "asked": customer["email"]}),
    )
    with ledger.write() as tx:
        tx.audit("bert", "retry", delivery_id, {"because": f"no {customer['name']}"}, {})
    return delivery_id


def erase(ledger: Ledger, kind: str = "return", value: str = "R-1", **how: Any) -> None:
    """Erase somebody, as the command does."""
    found = ledger.person_by_email(value) if kind == "email" else ledger.person_by_number(kind, value)
    ledger.erase(found, "bert", f"{kind}:x", "asked to", Masker(), force=how.get("force", False))


def names(ledger: Ledger) -> list[str]:
    """The words of the person that the ledger still holds."""
    held = dump(ledger).casefold()
    return [word for word in PERSON if word in held or word.replace("@", "%40") in held]


@pytest.mark.parametrize(
    ("kind", "value"), [("return", "R-1"), ("order", "oR-1"), ("email", "ann.planted@SHOP.example")]
)
def test_a_person_is_removed_and_the_numbers_stay(ledger: Ledger, clock: HandClock, kind: str, value: str) -> None:
    delivery_id = person(ledger, clock)
    other = person(ledger, clock, "R-2", {"email": "joann.planted@shop.example", "name": "Bob Other", "phone": "1"})
    seal(ledger)
    assert set(names(ledger)) == set(PERSON)
    erase(ledger, kind, value)
    assert names(ledger) in ([], [EMAIL.casefold()])  # the other's address ends like it
    assert EMAIL not in dump(ledger)
    for number in ("R-1", "oR-1", "W-R-1"):
        story = str(tell(ledger, number))
        assert delivery_id in story and "content erased on" in story
    assert "Bob Other" in str(ledger.delivery(other))
    assert faults(ledger) == []
    (act,) = [one for one in ledger.acts() if one["act"] == "erase"]
    assert act["who"] == "bert" and act["before"]["documents"] == 2 and act["after"]["because"] == "asked to"
    seal(ledger)
    assert faults(ledger) == []


def test_somebody_whose_return_is_not_over_is_erased_by_force_only(ledger: Ledger, clock: HandClock) -> None:
    person(ledger, clock)
    (waits,) = deliver(ledger, clock, object_id="R-1")
    claim_ids(ledger, "tok")
    before = dump(ledger)
    with pytest.raises(HubError, match="worked on at this moment"):
        erase(ledger, force=True)
    finish(ledger, "tok", later(clock, waits, "in_doubt", because="no answer"))
    with pytest.raises(HubError, match=waits):
        erase(ledger)
    assert EMAIL in before and EMAIL in dump(ledger)
    erase(ledger, force=True)
    shown = ledger.delivery(waits)
    assert shown is not None and shown["state"] == "dead" and "given up" in shown["because"]
    assert names(ledger) == [] and faults(ledger) == []
    assert ledger.retry([waits], "anna") == []


def test_a_message_that_nobody_could_read_is_found_by_its_address(ledger: Ledger, clock: HandClock) -> None:
    spelled = EMAIL.replace("@", "\\u0040").encode()
    lost = received(ledger, clock, state="unreadable", body=b'{"x": "' + spelled + b'"')
    posted = received(ledger, clock, state="unreadable", body=b"mail=" + EMAIL.replace("@", "%40").encode())
    erase(ledger, "email", EMAIL)
    assert b"erased" in (ledger.event_body(lost) or b"") and b"erased" in (ledger.event_body(posted) or b"")


def test_nothing_of_a_number_that_nobody_has(ledger: Ledger, clock: HandClock) -> None:
    person(ledger, clock)
    assert not any(ledger.person_by_number("order", "R-1").counts.values())
    assert not any(ledger.person_by_email("nobody@shop.example").counts.values())


FORGED: list[tuple[str, str]] = [
    ("UPDATE attempts SET outcome = 'rejected' WHERE delivery_id = '{one}'", "was altered"),
    ("UPDATE attempts SET at = at + 1 WHERE delivery_id = '{one}'", "was altered"),
    ("UPDATE attempts SET response = '{{}}' WHERE delivery_id = '{one}'", "was altered"),
    ("UPDATE attempts SET because = 'x' WHERE delivery_id = '{one}'", "was altered"),
    ("DELETE FROM erasures", "was altered"),
    ("DELETE FROM erasures", "was removed"),
    ("UPDATE erasures SET how = 'expired'", "was altered"),
    ("DELETE FROM attempts WHERE delivery_id = '{one}'", "was removed"),
]


@pytest.mark.parametrize(("statement", "said"), FORGED)
def test_what_was_erased_is_as_protected_as_before(ledger: Ledger, clock: HandClock, statement: str, said: str) -> None:
    one = person(ledger, clock)
    seal(ledger)
    erase(ledger)
    seal(ledger)
    assert faults(ledger) == []
    change(ledger, statement.format(one=one))
    assert any(said in fault for fault in faults(ledger)), faults(ledger)


def test_an_erasure_that_somebody_forges_hides_no_change_of_what_was_done(ledger: Ledger, clock: HandClock) -> None:
    from app.adapters.ledger.schema import attempts
    from app.adapters.ledger.taking_out import take_out

    one = person(ledger, clock)
    seal(ledger)
    change(ledger, f"UPDATE attempts SET outcome = 'rejected' WHERE delivery_id = '{one}'")
    with ledger._db.write() as connection:
        numbers = list(connection.scalars(text("SELECT seq FROM attempts")))
        take_out(connection, attempts, numbers, "erased", 0, "2026-11-22", str)
    assert [fault for fault in faults(ledger) if "was altered" in fault]


def test_an_erasure_that_leaves_other_contents_in_their_place_is_none(
    ledger: Ledger, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.adapters.ledger import taking_out
    from app.adapters.ledger.schema import attempts

    person(ledger, clock)
    seal(ledger)
    lie = {"new_because": "", "new_request": "{}", "new_response": '{"status": 200}'}
    monkeypatch.setattr(taking_out, "_emptied", lambda *_: lie)
    with ledger._db.write() as connection:
        numbers = list(connection.scalars(text("SELECT seq FROM attempts")))
        taking_out.take_out(connection, attempts, numbers, "erased", 0, "2026-11-22", str)
    assert [fault for fault in faults(ledger) if "was altered" in fault]


def test_rows_sealed_by_an_earlier_version_can_be_erased_and_stay_sealed(
    ledger: Ledger, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.adapters.ledger import seals

    person(ledger, clock)
    with monkeypatch.context() as earlier:
        earlier.setattr(seals, "_APART", "")
        earlier.setattr(seals, "apart_digest", lambda table, row, kept="": seals.whole_digest(table, row))
        seal(ledger)
    assert faults(ledger) == []
    erase(ledger)
    seal(ledger)
    assert faults(ledger) == [] and names(ledger) == []
    change(ledger, "UPDATE attempts SET outcome = 'rejected'")
    assert [fault for fault in faults(ledger) if "was altered" in fault]


def test_contents_that_expired_can_be_erased_too(ledger: Ledger, clock: HandClock) -> None:
    from tests.contract.test_retention import DAY, run

    person(ledger, clock)
    seal(ledger)
    clock.move(91 * DAY)
    run(ledger, clock)
    seal(ledger)
    erase(ledger)
    assert names(ledger) == [] and faults(ledger) == []
    seal(ledger)
    assert faults(ledger) == []


@pytest.fixture
def own_file(tmp_path: Path, clock: HandClock) -> Iterator[Ledger]:
    """A ledger in a file of its own, that another connection reads meanwhile."""
    url = f"sqlite:///{tmp_path}/own.db"
    migrate(url)
    ledger = open_ledger(url, clock=clock)
    yield ledger
    ledger.close()


def test_no_byte_of_a_person_is_left_in_the_files(own_file: Ledger, clock: HandClock, tmp_path: Path) -> None:
    def left() -> list[str]:
        raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        return [word for word in (EMAIL, NAME, PHONE) if word.encode() in raw]

    person(own_file, clock)
    for number in range(40):
        person(
            own_file, clock, f"X-{number}", {"email": f"x{number}@y.example", "name": f"Name {number}", "phone": "1"}
        )
    assert set(left()) == {EMAIL, NAME, PHONE}
    erase(own_file)
    assert own_file.scrub_file()
    assert left() == []
    own_file.ping()


@given(st.emails())
def test_an_address_is_found_in_every_spelling_and_no_longer_one_is(email: str) -> None:
    has = holds(email)
    escaped = "".join(f"\\u{ord(sign):04x}" for sign in email)
    assert has(f'"{email}"') and has(f"mailto:{email.upper()},") and has(escaped)
    assert not has(f"x{email}") and not has(f"{email}x") and not has(f"{email}.org")


def test_words_of_a_person_are_found_as_json_writes_them() -> None:
    words = Words(Masker())
    words.learn({"customer": {"name": 'Ann "The" One', "country": "NL"}})
    assert words.scrub('told "Ann \\"The\\" One" and Ann "The" One in NL') == 'told "***" and *** in NL'
    assert words.is_one('ann "the" one') and not words.is_one("NL")
