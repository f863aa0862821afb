"""Bodies that nobody should send: each is refused in words or kept as it came, and none breaks the hub."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.core.jsontext import loads
from app.core.masking import Masker
from app.core.signatures import Verdict, build, sign
from app.errors import DataError
from app.pipeline.receive import Door, read_message
from app.web.app import CLOSE, create_app
from tests.support import HandClock
from tests.unit.door_kit import INBOUND, NOW, VERIFY, Services, make_site, opened

MILLION = 1_000_000
IDS = count(1)
LIMIT = 2 * 2**20
GOOD = b'{"event":"return.created","data":{"id":"%d"}}'


def with_(value: bytes) -> bytes:
    """A good message with an id of its own and one value more."""
    return GOOD[:-1] % next(IDS) + b',"x":' + value + b"}"


#: What a body is like, whether it can be read, and a word of what is told.
BODIES = [
    ("lists 100,000 deep", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    ("objects 100,000 deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ("deep inside a good one", with_(b"[" * 100_000 + b"]" * 100_000), "nested too deeply"),
    ("a whole number of a million digits", with_(b"9" * MILLION), "out of all bounds"),
    ("a fraction of a million digits", with_(b"1." + b"9" * MILLION), "out of all bounds"),
    ("a million noughts after the point", with_(b"0." + b"0" * MILLION + b"1"), "out of all bounds"),
    ("an exponent of nine digits", with_(b"1e999999999"), "out of all bounds"),
    ("an exponent of twenty digits", with_(b"1e" + b"9" * 20), "out of all bounds"),
    ("an exponent of a million digits", with_(b"1E-" + b"9" * MILLION), "out of all bounds"),
    ("NaN", with_(b"NaN"), "not JSON"),
    ("a byte that is no UTF-8", with_(b'"\xff"'), "not UTF-8"),
    ("an overlong NUL", with_(b'"\xc0\x80"'), "not UTF-8"),
    ("half a surrogate pair in UTF-8", with_(b'"\xed\xa0\x80"'), "not UTF-8"),
    ("a letter cut in two", with_(b'"\xe2\x82"'), "not UTF-8"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "not UTF-8"),
    ("a bare NUL", with_(b'"\x00"'), "not JSON"),
    ("nothing but NULs", b"\x00" * 1000, "not JSON"),
    ("gzip", gzip.compress(GOOD), "content-encoding gzip"),
    ("a bomb of gzip, a gigabyte unpacked", gzip.compress(b" " * 2**20) * 900, "content-encoding gzip"),
    ("nothing", b"", "not JSON"),
    ("as large as may be", b" " * LIMIT, "not JSON"),
    ("two texts", GOOD + GOOD, "not JSON"),
    ("an escaped NUL", with_(rb'"\u0000"'), ""),
    ("half a surrogate pair, escaped", with_(rb'"\ud800"'), ""),
    ("200,000 keys", with_(b"{" + b",".join(b'"%d":1' % n for n in range(200_000)) + b"}"), ""),
]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Services]:
    clock = HandClock()
    with opened(migrated_sqlite, tmp_path_factory.mktemp("door"), clock) as ledger:
        yield Services(make_site(), ledger, clock)


@pytest.fixture(scope="module")
def app(services: Services) -> Iterator[Flask]:
    made = create_app(services)
    yield made
    made.extensions[CLOSE]()


@pytest.mark.parametrize(("body", "told"), [one[1:] for one in BODIES], ids=[one[0] for one in BODIES])
def test_a_bad_body_is_kept_byte_for_byte_with_the_reason_and_good_ones_go_on(
    app: Flask, services: Services, body: bytes, told: str
) -> None:
    headers = sign(VERIFY, body, NOW) | ({"Content-Encoding": "gzip"} if "gzip" in told else {})
    answer = app.test_client().post("/webhooks/shop", data=body, headers=headers)
    assert answer.status_code == (422 if told else 202)
    kept = services.ledger.event(answer.json["event"])
    assert kept["state"] == ("unreadable" if told else "received") and told in (kept["because"] or "")
    assert len(kept["because"] or "") <= 500 and "set_int_max_str_digits" not in (kept["because"] or "")
    assert services.ledger.event_body(answer.json["event"]) == body
    good = GOOD % next(IDS)
    assert app.test_client().post("/webhooks/shop", data=good, headers=sign(VERIFY, good, NOW)).status_code == 202


def test_of_a_key_given_twice_the_last_one_counts_whichever_reader_reads(app: Flask, services: Services) -> None:
    # The second text makes the quick reader give up.
    for text in (b'{"event":"a","event":"b"}', rb'{"event":"a","event":"b","x":"\ud800"}'):
        read = loads(text)
        assert isinstance(read, dict) and read["event"] == "b"
    body = b'{"event":"ping","event":"return.created","data":{"id":"twice"}}'
    answer = app.test_client().post("/webhooks/shop", data=body, headers=sign(VERIFY, body, NOW))
    kept = services.ledger.event(answer.json["event"])
    assert (kept["type"], kept["vendor_id"]) == ("return.created", "return.created:twice")


numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,40})?", fullmatch=True)


@given(numbers)
def test_a_number_whatever_is_read_to_the_last_digit_or_refused_in_words(text: str) -> None:
    try:
        found = loads(text)
    except DataError as error:
        assert "out of all bounds" in str(error) and text[:10] in str(error)
    else:
        assert Decimal(str(found)) == Decimal(text)


@given(numbers)
def test_a_number_whatever_in_a_message_never_breaks_the_door(text: str) -> None:
    door = Door(INBOUND, build(VERIFY), {}, Masker())
    read = read_message(door, {}, with_(text.encode()), Verdict(ok=True))
    assert read.state in ("received", "unreadable") and read.vendor_id
