"""A number becomes known: with where from and since when, and whoever waits for it is let go."""

from __future__ import annotations

from dataclasses import replace

from app.adapters.ledger import Ledger
from app.core.times import iso
from app.model import Reference
from tests.contract.making import claim, claim_ids, deliver, done, finish, key, known, later, put, state_of
from tests.support import HandClock


def test_a_reference_is_found_as_it_was_put(ledger: Ledger, clock: HandClock) -> None:
    one = known(clock.now(), "#1001", "0000012E4", evidence={"attempt": "att_1", "by": "erp.find_order"})
    assert ledger.find_reference(one.key) is None
    assert put(ledger, one) == []
    assert ledger.find_reference(one.key) == one
    with ledger.write() as tx:
        assert tx.find_reference(one.key) == one


def test_every_part_of_the_key_tells_references_apart(ledger: Ledger, clock: HandClock) -> None:
    keys = [
        key(),
        key("1001"),
        key("#1001 "),
        key(scope="shop b"),
        key(kind="return"),
        key(from_system="other"),
        key(to_system="wms"),
    ]
    for number, one in enumerate(keys):
        put(ledger, Reference(one, f"E-{number}", "manual", clock.now(), {"by": "me"}))
    found = [ledger.find_reference(one) for one in keys]
    assert [one.to_id if one else None for one in found] == [f"E-{number}" for number in range(len(keys))]


def test_a_new_translation_supersedes_the_old_one_which_is_kept(ledger: Ledger, clock: HandClock) -> None:
    first = known(clock.now())
    put(ledger, first)
    began = clock.now()
    clock.move(10)
    second = replace(first, to_id="E-2", origin="manual", at=clock.now(), evidence={"by": "me"})
    put(ledger, second)
    put(ledger, second)
    assert ledger.find_reference(first.key) == second
    rows = ledger.references()
    assert [(row["to_id"], row["superseded_at"]) for row in rows] == [("E-2", None), ("0000012E4", iso(clock.now()))]
    assert (rows[1]["at"], rows[0]["evidence"]) == (iso(began), {"by": "me"})


def test_references_are_listed_by_either_number(ledger: Ledger, clock: HandClock) -> None:
    put(ledger, known(clock.now(), "#1001", "E-1"))
    put(ledger, known(clock.now(), "#1002", "E-2"))
    for text in ("#1001", "1001", " #1001 ", "E-1"):
        assert [row["to_id"] for row in ledger.references(text)] == ["E-1"], text
    assert ledger.references("001") == []
    assert len(ledger.references(limit=1)) == 1


def test_a_number_that_was_being_written_at_the_claim_is_not_missed(ledger: Ledger, clock: HandClock) -> None:
    [parked] = deliver(ledger, clock)
    with ledger.write() as tx:
        tx.foresee([("return", "shop", "R-2")])
        clock.move(0.2)
        claim(ledger, "a")
        tx.put_reference(known(clock.now()))
    finish(ledger, "a", later(clock, parked, "parked", 3600, waits_for=str(key())))
    assert claim_ids(ledger) == [parked]


def test_who_looked_long_after_a_number_was_known_waits_for_something_else(ledger: Ledger, clock: HandClock) -> None:
    [parked] = deliver(ledger, clock)
    put(ledger, known(clock.now()))
    clock.move(10.001)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, parked, "parked", 3600, waits_for=str(key())))
    assert state_of(ledger, parked) == "parked"


def test_what_is_parked_or_in_conflict_is_released_when_its_number_is_known(ledger: Ledger, clock: HandClock) -> None:
    waits = {"waits_for": str(key()), "because": "#1001 is not known yet"}
    parked, conflict, elsewhere, waiting = deliver(ledger, clock, many=4, order_key="")
    claim(ledger, "a")
    finish(
        ledger,
        "a",
        later(clock, parked, "parked", 3600, **waits),
        later(clock, conflict, "conflict", 3600, **waits),
        later(clock, elsewhere, "parked", 3600, waits_for=str(key("#1002"))),
        later(clock, waiting, "waiting", 3600, because="503"),
    )
    assert sorted(put(ledger, known(clock.now()))) == sorted([parked, conflict])
    works = claim(ledger, "b")
    assert sorted(work.delivery_id for work in works) == sorted([parked, conflict])
    assert {work.came_from for work in works} == {"ready"}
    assert state_of(ledger, elsewhere) == "parked"


def test_a_conflict_is_kept_and_releases_nobody(ledger: Ledger, clock: HandClock) -> None:
    [delivery_id] = deliver(ledger, clock)
    claim(ledger, "a")
    both = Reference(key(), "", "lookup", clock.now(), {"candidates": ["E-1", "E-2"]}, "conflict")
    finish(ledger, "a", later(clock, delivery_id, "conflict", 3600, waits_for=str(key()), references=(both,)))
    assert state_of(ledger, delivery_id) == "conflict"
    assert ledger.find_reference(key()) == both
    assert put(ledger, replace(both, evidence={"candidates": ["E-1", "E-2", "E-3"]})) == []
    assert put(ledger, Reference(key(), "E-1", "manual", clock.now(), {"by": "me"})) == [delivery_id]


def test_released_ones_go_on_in_their_order(ledger: Ledger, clock: HandClock) -> None:
    first, second = deliver(ledger, clock, many=2)
    claim(ledger, "a")
    finish(ledger, "a", later(clock, first, "parked", 3600, waits_for=str(key())))
    put(ledger, known(clock.now()))
    assert claim_ids(ledger, "b") == [first]
    finish(ledger, "b", done(first))
    assert claim_ids(ledger) == [second]


def test_what_one_delivery_learns_releases_another_of_the_same_batch(ledger: Ledger, clock: HandClock) -> None:
    parked, learned, earlier = deliver(ledger, clock, many=3, order_key="")
    claim(ledger, "a", limit=2)
    claim(ledger, "b")
    finish(ledger, "b", later(clock, earlier, "parked", 3600, waits_for=str(key())))
    finish(
        ledger,
        "a",
        later(clock, parked, "parked", 3600, waits_for=str(key())),
        done(learned, references=(known(clock.now()),)),
    )
    assert sorted(claim_ids(ledger)) == sorted([parked, earlier])


def test_numbers_of_any_length_and_alphabet_work(ledger: Ledger, clock: HandClock) -> None:
    for number in ("9" * 4000, "9" * 3999 + "8", "№ 1\u20111 ", "🎈" * 300, "1e5", "0x1F", "None"):
        put(ledger, known(clock.now(), number, f"{number}!"))
        found = ledger.find_reference(key(number))
        assert found is not None
        assert (found.key.id, found.to_id) == (number, f"{number}!")
