"""The tokens of the API: made, looked up, noted as used, revoked. Only their digests are kept."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from app.adapters.ledger.columns import from_ms, iso_ms, to_ms
from app.adapters.ledger.finishes import Finishing
from app.adapters.ledger.shared_schema import api_tokens
from app.adapters.ledger.store import Store
from app.core.api_tokens import NUMBER_BYTES, SECRET_BYTES, ApiToken, Role, digest, id_of, need_name, written
from app.errors import DataError

#: A use is noted when the last one is older: a token in steady use costs one small write a minute.
NOTED_EACH_S = 60.0

_by_id = select(api_tokens).where(api_tokens.c.id == bindparam("wanted"))
_not_revoked = select(api_tokens).where(api_tokens.c.name == bindparam("wanted"), api_tokens.c.revoked_at.is_(None))
_used = (
    update(api_tokens)
    .where(
        api_tokens.c.id == bindparam("wanted"),
        # One that lies ahead is of a clock that has been put back since.
        or_(
            api_tokens.c.used_at.is_(None),
            api_tokens.c.used_at <= bindparam("before"),
            api_tokens.c.used_at > bindparam("now"),
        ),
    )
    .values(used_at=bindparam("now"))
)
# Of two who revoke it, one does.
_revoke = (
    update(api_tokens)
    .where(and_(api_tokens.c.id == bindparam("wanted"), api_tokens.c.revoked_at.is_(None)))
    .values(revoked_at=bindparam("now"), revoked_by=bindparam("who"))
    .execution_options(preserve_rowcount=True)
)


class ApiTokens(Store):
    """Every method raises `LedgerUnavailable`."""

    def new_api_token(self, name: str, role: Role, who: str, expires_at: datetime | None) -> tuple[ApiToken, str]:
        """Make a token; what is kept of it, and the token itself, which nobody can be told again.

        Raises `DataError` when no token may be called like that, or a live one is. One of this name that has expired
        is revoked for good.
        """
        text = written(secrets.token_hex(NUMBER_BYTES), secrets.token_hex(SECRET_BYTES))
        token_id = id_of(text)
        with self._db.write() as connection:
            now = self._now()
            tx = Finishing(self._db, connection, now)
            self._make_room(connection, tx, need_name(name), who)
            row = {"id": token_id, "name": name, "role": role, "digest": digest(text), "made_at": now, "made_by": who}
            row["expires_at"] = None if expires_at is None else to_ms(expires_at)
            # Two at once with one name: the second waits for the first, and then makes nothing.
            made = self._db.insert(api_tokens).values(row).on_conflict_do_nothing().returning(*api_tokens.c)
            token = connection.execute(made).first()
            if token is None:
                raise _taken(name)
            after = {"id": token_id, "role": role, "expires_at": iso_ms(token.expires_at)}
            tx.audit(who, "token new", _target(name), None, after)
        return _to_token(token), text

    def api_token(self, token_id: str) -> ApiToken | None:
        """What is kept of a token; None when there is no such one."""
        with self._db.read() as connection:
            row = connection.execute(_by_id, {"wanted": token_id}).first()
        return None if row is None else _to_token(row)

    def api_tokens(self) -> list[ApiToken]:
        """All tokens that were ever made, the newest first."""
        with self._db.read() as connection:
            return [_to_token(row) for row in connection.execute(select(api_tokens).order_by(api_tokens.c.seq.desc()))]

    def used_api_token(self, token_id: str) -> None:
        """Note that a token was used now."""
        now = self._now()
        with self._db.write() as connection:
            connection.execute(_used, {"wanted": token_id, "now": now, "before": now - round(NOTED_EACH_S * 1000)})

    def revoke_api_token(self, name_or_id: str, who: str) -> ApiToken:
        """Let a token open nothing any more. Raises `DataError` when there is none, or it is revoked already."""
        with self._db.write() as connection:
            tx = Finishing(self._db, connection, self._now())
            row = connection.execute(_by_id, {"wanted": name_or_id}).first()
            row = row or connection.execute(_not_revoked, {"wanted": name_or_id}).first()
            if row is None:
                raise DataError(f"no token {name_or_id!r} opens anything", todo="`backhaul token list` shows them all")
            if not self._revoke(connection, tx, row, who):
                at, by = iso_ms(row.revoked_at) or "just now", row.revoked_by or "somebody else"
                raise DataError(f"{_to_token(row).who} is revoked already, since {at} by {by}")
            return _to_token(connection.execute(_by_id, {"wanted": row.id}).one())

    def _make_room(self, connection: Connection, tx: Finishing, name: str, who: str) -> None:
        row = connection.execute(_not_revoked, {"wanted": name}).first()
        if row is None:
            return
        if _to_token(row).state(self._clock.now()) == "live":
            raise _taken(name)
        self._revoke(connection, tx, row, who)

    def _revoke(self, connection: Connection, tx: Finishing, row: Any, who: str) -> bool:
        if connection.execute(_revoke, {"wanted": row.id, "now": self._now(), "who": who}).rowcount != 1:
            return False
        before = {"id": row.id, "role": row.role, "state": _to_token(row).state(self._clock.now())}
        tx.audit(who, "token revoke", _target(row.name), before, {"id": row.id, "state": "revoked"})
        return True


def _target(name: str) -> str:
    return f"token:{name}"


def _taken(name: str) -> DataError:
    return DataError(f"there is a token {name!r} already", todo="revoke it first, or choose another name")


def _to_token(row: Any) -> ApiToken:
    return ApiToken(
        token_id=row.id,
        name=row.name,
        role=row.role,
        digest=row.digest,
        made_at=from_ms(row.made_at),
        made_by=row.made_by,
        expires_at=None if row.expires_at is None else from_ms(row.expires_at),
        used_at=None if row.used_at is None else from_ms(row.used_at),
        revoked_at=None if row.revoked_at is None else from_ms(row.revoked_at),
        revoked_by=row.revoked_by or "",
    )
