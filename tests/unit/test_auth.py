"""The closed registry of auth schemes."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.auth import SCHEMES, Scheme, credentials, problems


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_every_example_gives_what_it_says(scheme: Scheme) -> None:
    assert problems(scheme.example) == []
    assert credentials(scheme.example) == dict(scheme.gives)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_every_key_of_an_example_is_needed(scheme: Scheme) -> None:
    for key in scheme.keys:
        for value in ("", None, 7):
            assert problems({**scheme.example, key: value}) == [f"auth scheme {scheme.name} needs `{key}`"]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({}, "auth scheme None is not known"),
        ({"scheme": "oauth9"}, "auth scheme 'oauth9' is not known, use one of none, bearer, header, basic"),
        ({"scheme": ["bearer"]}, "is not known"),
        ({"scheme": "bearer", "token": "a", "tokn": "b"}, "does not know `tokn`"),
        ({"scheme": "bearer", "token": "a\nX-Evil: 1"}, "`token` of the auth holds a line break"),
    ],
)
def test_a_wrong_block_is_named_and_never_used(config: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in problems(config))
    with pytest.raises(ValueError, match="auth"):
        credentials(config)


def test_a_password_with_a_colon_and_an_umlaut_survives() -> None:
    made = credentials({"scheme": "basic", "username": "shop", "password": "a:ü"})
    assert made == {"Authorization": "Basic c2hvcDphOsO8"}
