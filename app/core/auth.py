"""How the hub shows who it is to a target: a closed registry of schemes, each with an example that runs as a test.

`token` is the one whose headers no file can tell: `core.auth_token` says how a login gives them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.model import Json

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to authenticate. `example` as a connection has it, `gives` the headers that it makes.

    `shown` is how it is written in YAML, where that is more than the example.
    """

    name: str
    what: str
    keys: tuple[str, ...]
    example: Mapping[str, str]
    gives: Mapping[str, str]
    headers: Callable[[Mapping[str, Json]], Headers]
    shown: Mapping[str, Json] | None = None


def _none(config: Mapping[str, Json]) -> Headers:
    return {}


def _bearer(config: Mapping[str, Json]) -> Headers:
    return {"Authorization": f"Bearer {config['token']}"}


def _header(config: Mapping[str, Json]) -> Headers:
    return {str(config["header"]): str(config["value"])}


def _basic(config: Mapping[str, Json]) -> Headers:
    pair = f"{config['username']}:{config['password']}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("none", "no credentials", (), {"scheme": "none"}, {}, _none),
        Scheme(
            "bearer",
            "`Authorization: Bearer …`",
            ("token",),
            {"scheme": "bearer", "token": "abc"},
            {"Authorization": "Bearer abc"},
            _bearer,
        ),
        Scheme(
            "header",
            "a header of the vendor's own",
            ("header", "value"),
            {"scheme": "header", "header": "X-Api-Key", "value": "abc"},
            {"X-Api-Key": "abc"},
            _header,
        ),
        Scheme(
            "basic",
            "`Authorization: Basic …`",
            ("username", "password"),
            {"scheme": "basic", "username": "shop", "password": "abc"},
            {"Authorization": "Basic c2hvcDphYmM="},
            _basic,
        ),
        Scheme(
            "token",
            "`Authorization: Bearer …` with a token that a login gives: renewed in time, shared by all workers",
            (),
            {"scheme": "token"},
            {},
            _none,
            {
                "scheme": "token",
                "login": {
                    "url": "{{ settings.login_url }}",
                    "json": {"user": "{{ settings.user }}", "password": "{{ settings.password }}"},
                    "token": "{{ body.token }}",
                    "expires_in": "{{ body.expiresIn }}",
                },
            },
        ),
    )
}


def credentials(config: Mapping[str, Json]) -> Headers:
    """The headers that carry the credentials. Raises ValueError for a config that `problems` finds fault with."""
    faults = problems(config)
    if faults:
        raise ValueError("; ".join(faults))
    return SCHEMES[str(config["scheme"])].headers(config)


def problems(config: Mapping[str, Json]) -> list[str]:
    """What is wrong with an `auth:` block, for `check`; empty when it can be used. Never names a secret's value."""
    name = config.get("scheme")
    scheme = SCHEMES.get(name) if isinstance(name, str) else None
    if scheme is None:
        return [f"auth scheme {name!r} is not known, use one of {', '.join(SCHEMES)}"]
    found = [f"auth scheme {name} needs `{key}`" for key in scheme.keys if _empty(config.get(key))]
    extra = sorted(set(config) - {"scheme", *scheme.keys})
    found += [f"auth scheme {name} does not know `{key}`" for key in extra]
    for key in scheme.keys:
        value = config.get(key)
        if isinstance(value, str) and ("\n" in value or "\r" in value):
            found.append(f"`{key}` of the auth holds a line break")
    if name == "basic" and ":" in str(config.get("username")):
        # RFC 7617: what stands behind the first colon would be taken for the password.
        found.append("auth scheme basic takes no user name with a colon")
    return found


def _empty(value: Json) -> bool:
    return not isinstance(value, str) or not value
