"""What is shown holds neither secrets nor people."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.core.masking import HIDDEN, Masker, mask, mask_headers
from app.model import Json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def test_persons_are_hidden_wherever_they_stand_and_all_else_stays() -> None:
    body = {
        "id": "r-1",
        "amount": Decimal("12.50"),
        "consumer": {"name": "Ann", "emails": ["ann@shop.example"], "phone": None, "note": "", "adult": True},
        "lines": [{"sku": "A", "contactName": "Bob", "first-name": "Bob"}],
        "remark": "call ann.b@shop.example.com today",
        "reasons": [{"code": "TOO_SMALL", "comment": "pay to NL91PLNT0417164300"}],
    }
    assert mask(body) == {
        "id": "r-1",
        "amount": Decimal("12.50"),
        "consumer": {"name": HIDDEN, "emails": [HIDDEN], "phone": None, "note": "", "adult": True},
        "lines": [{"sku": "A", "contactName": HIDDEN, "first-name": HIDDEN}],
        "remark": f"call {HIDDEN} today",
        "reasons": [{"code": "TOO_SMALL", "comment": HIDDEN}],
    }


def test_a_connector_adds_its_own_keys() -> None:
    assert mask({"labelUrl": "https://x", "other": 1}, ["label_url"]) == {"labelUrl": HIDDEN, "other": 1}


@given(JSON, st.sampled_from(["s3cret+value/1", "pässwörd", "tok tok"]))
def test_a_secret_value_is_found_in_every_spelling_and_place(value: Json, secret: str) -> None:
    encoded = b64encode(secret.encode()).decode()
    planted = {"a": [value, f"x{secret}y"], f"key {secret}": {"b": f"Basic {encoded}"}, "url": f"?t={secret}"}
    shown = str(Masker((), [secret]).value(planted))
    assert secret not in shown and encoded not in shown


def test_a_very_short_secret_is_hidden_only_where_it_stands_alone() -> None:
    assert mask({"a": "on", "b": "online"}, (), ["on"]) == {"a": HIDDEN, "b": "online"}


@given(JSON)
def test_what_was_masked_is_masked_the_same_again(value: Json) -> None:
    once = mask(value, ["a"], ["secret"])
    assert mask(once, ["a"], ["secret"]) == once


def test_headers_with_credentials_are_hidden_and_signatures_stay() -> None:
    headers = {
        "Authorization": "Bearer abcd",
        "Cookie": "a=b",
        "X-Shop-Token": "abcd",
        "X-Proof": "abcd",
        "X-Signature": "00ff",
        "Content-Type": "application/json",
        "X-Forwarded": "https://u:hunter22@x",
    }
    assert mask_headers(headers, ["X-Proof"], ["hunter22"]) == {
        "authorization": HIDDEN,
        "cookie": HIDDEN,
        "x-shop-token": HIDDEN,
        "x-proof": HIDDEN,
        "x-signature": "00ff",
        "content-type": "application/json",
        "x-forwarded": f"https://u:{HIDDEN}@x",
    }


def test_a_body_that_is_not_json_is_shown_as_text_without_its_persons() -> None:
    masker = Masker(["nick"], ["s3cret"])
    for body in (
        b'{"first_name": "Ann Other", "nick":"Annie", "id": 7, ',
        b"firstName=Annie&id=7&phone=0612",
        b"Annie" * 0,
    ):
        text = masker.body(body)
        assert "Ann" not in text and "0612" not in text
    assert masker.body(b"\xff\xfeid=7 s3cret a@b.example") == f"\ufffd\ufffdid=7 {HIDDEN} {HIDDEN}"
    assert masker.body(b'{"nick": "Annie", "n": 1.50}') == {"nick": HIDDEN, "n": Decimal("1.50")}
    assert len(masker.body(b"x" * 10_000)) == 2000
