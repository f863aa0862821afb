"""The tokens of people and machines that use the API: their form, their roles, and what is kept of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal

from app.core.times import iso
from app.errors import DataError
from app.model import Json

Role = Literal["reader", "operator", "admin"]

#: The weakest first: each may do what those before it may. A reader looks, an operator acts, an admin makes tokens.
ROLES: tuple[Role, ...] = ("reader", "operator", "admin")

#: Sizes in bytes, each written as twice as many signs. The number only finds the row; the secret is what opens.
NUMBER_BYTES, SECRET_BYTES = 8, 32

#: A form of its own, so that scanners for leaked secrets can know it.
_FORM = re.compile(rf"bh_([0-9a-f]{{{2 * NUMBER_BYTES}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}")
# No "@": an address would be a person's data in every row of the audit.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_ID_PREFIX = "tok_"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What the ledger keeps of a token. The token itself is nowhere but with whom it was made for."""

    token_id: str
    name: str
    role: Role
    digest: str = field(repr=False)
    made_at: datetime
    made_by: str
    expires_at: datetime | None = None  # None: never
    used_at: datetime | None = None  # the last use, to about a minute
    revoked_at: datetime | None = None
    revoked_by: str = ""

    @property
    def who(self) -> str:
        """Its holder, for the audit: a name may be given again later, an id never."""
        return f"{self.name} ({self.token_id})"

    def state(self, now: datetime) -> Literal["live", "expired", "revoked"]:
        """Whether it opens anything at this time."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"

    def view(self, now: datetime) -> dict[str, Json]:
        """It as lists show it."""
        return {
            "id": self.token_id,
            "name": self.name,
            "role": self.role,
            "state": self.state(now),
            "made_at": iso(self.made_at),
            "made_by": self.made_by,
            "expires_at": _iso(self.expires_at),
            "used_at": _iso(self.used_at),
            "revoked_at": _iso(self.revoked_at),
            "revoked_by": self.revoked_by or None,
        }


def written(number: str, secret: str) -> str:
    """The token of a number and a secret, both in hexadecimal, as its holder sends it."""
    return f"bh_{number}_{secret}"


def id_of(text: str) -> str | None:
    """The id of the token that a text may be; None when it has not the form of one."""
    found = _FORM.fullmatch(text)
    return f"{_ID_PREFIX}{found[1]}" if found else None


def digest(text: str) -> str:
    """What is kept of a token. It is 32 random bytes, which nobody guesses however fast the hash is."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def need_name(name: str) -> str:
    """The name when a token may have it. Raises `DataError`."""
    if _NAME.fullmatch(name) and not name.startswith(_ID_PREFIX):
        return name
    todo = f"use up to 60 letters, digits, '.', '_' and '-', and do not begin with {_ID_PREFIX!r}"
    raise DataError(f"a token cannot be called {name[:80]!r}", todo=todo)


def allows(role: Role, needed: Role) -> bool:
    """Whether who has a role may do what needs another one."""
    return ROLES.index(role) >= ROLES.index(needed)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
