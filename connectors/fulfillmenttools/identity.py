"""The simulated identity service: logins and refreshes as the vendor's users make them, with tokens that end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.simkit import Answer

API_KEY = "sim-api-key"
EMAIL = "backhaul@ocff-example-test.example.com"
PASSWORD = "sim-password"


@dataclass
class Identity:
    """One user. A token holds for `expires_in` seconds of `clock`, told as text; a refresh token is used once."""

    api_key: str = API_KEY
    email: str = EMAIL
    password: str = PASSWORD
    expires_in: int = 3600
    clock: Callable[[], float] = time.time
    first_token: str = ""  # holds for ever: for those who call without a login

    def __post_init__(self) -> None:
        self._tokens: dict[str, float] = {}
        self._refresh = ""
        self.logins = 0
        self.refreshes = 0

    def login(self, key: str, body: Any) -> Answer:
        """Answer a login in the words of the identity service."""
        if key != self.api_key:
            return _refused("API key not valid. Please pass a valid API key.")
        wanted = body if isinstance(body, dict) else {}
        if (wanted.get("email"), wanted.get("password")) != (self.email, self.password):
            return _refused("INVALID_LOGIN_CREDENTIALS")
        if wanted.get("returnSecureToken") is not True:
            return _refused("MISSING_SECURE_TOKEN")
        self.logins += 1
        token = self._issue()
        return Answer(
            {
                "kind": "identitytoolkit#VerifyPasswordResponse",
                "localId": "sim-user",
                "email": self.email,
                "registered": True,
                "idToken": token,
                "refreshToken": self._refresh,
                "expiresIn": str(self.expires_in),
            },
            effect=f"login {self.logins}",
        )

    def refresh(self, key: str, wanted: dict[str, Any]) -> Answer:
        """Exchange the refresh token for a new pair; in another spelling than the login's answer."""
        if key != self.api_key:
            return _refused("API key not valid. Please pass a valid API key.")
        if wanted.get("grant_type") != "refresh_token" or not self._refresh:
            return _refused("INVALID_GRANT_TYPE")
        if wanted.get("refresh_token") != self._refresh:
            return _refused("INVALID_REFRESH_TOKEN")
        self.refreshes += 1
        token = self._issue()
        return Answer(
            {
                "access_token": token,
                "expires_in": str(self.expires_in),
                "token_type": "Bearer",
                "refresh_token": self._refresh,
                "id_token": token,
                "user_id": "sim-user",
                "project_id": "sim-project",
            },
            effect=f"refresh {self.refreshes}",
        )

    def knows(self, token: str) -> bool:
        """Whether a call with this token is let in now."""
        if self.first_token and token == self.first_token:
            return True
        return self._tokens.get(token, 0.0) > self.clock()

    def expire(self, *, refresh: bool = False) -> None:
        """End all tokens now, before their time; with `refresh` the refresh token too."""
        self._tokens.clear()
        self.first_token = ""
        if refresh:
            self._refresh = ""

    def _issue(self) -> str:
        number = self.logins + self.refreshes
        token, self._refresh = f"sim-id-token-{number}", f"sim-refresh-token-{number}"
        self._tokens[token] = self.clock() + self.expires_in
        return token


def _refused(message: str) -> Answer:
    return Answer({"error": {"code": 400, "message": message, "errors": [{"message": message}]}}, 400)
