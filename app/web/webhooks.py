"""`POST /webhooks/<connection>`: hands the request as it came to `pipeline.receive`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import IO, TYPE_CHECKING

from flask import Blueprint, Response, request
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wsgi import get_content_length

from app.core.jsontext import dumps
from app.pipeline.receive import Incoming, Receiver
from app.web.answers import JSON, answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: All that HTTP has: what is not taken gets an answer of the hub's own.
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_ROOT = "/webhooks"
_CHUNK = 64 * 1024
#: One entry for each thread that waits for a body. Appending and popping need no lock.
_reading: list[None] = []


def blueprint(receiver: Receiver) -> Blueprint:
    """The door for vendors."""
    pages = Blueprint("webhooks", __name__)

    # Every method comes in: an unknown connection is 404 whatever the method is.
    @pages.route(f"{_ROOT}/<connection>", methods=METHODS, provide_automatic_options=False)
    def webhook(connection: str) -> Response:
        reply = receiver.receive(incoming(request.environ, connection))
        return answer(reply.body, reply.status, reply.headers)

    return pages


class ShortWay:
    """Takes messages to the receiver without Flask, which costs as much as all the rest; the answers are the same.

    Only a POST to a connection that receives goes this way.
    """

    def __init__(self, receiver: Receiver, flask: WSGIApplication, failed: Callable[[Exception], Response]) -> None:
        """`flask` answers everything else, `failed` makes the answer when something breaks."""
        self._receiver, self._flask, self._failed = receiver, flask, failed

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        root, _, connection = environ.get("PATH_INFO", "").rpartition("/")
        if root != _ROOT or environ["REQUEST_METHOD"] != "POST" or connection not in self._receiver.connections:
            return self._flask(environ, start_response)
        try:
            reply = self._receiver.receive(incoming(environ, connection))
            body = dumps(reply.body)
        except Exception as error:
            return self._failed(error)(environ, start_response)
        headers = [("Content-Type", JSON), ("Content-Length", str(len(body))), *reply.headers.items()]
        start_response(_status_line(reply.status), headers)
        return [body]


@lru_cache
def _status_line(status: int) -> str:
    return f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown').upper()}"


def reading() -> int:
    """How many threads of this process wait for a body."""
    return len(_reading)


def incoming(environ: WSGIEnvironment, connection: str) -> Incoming:
    """A request at one of the doors, its body not read yet."""
    length = get_content_length(environ)
    return Incoming(
        connection=connection,
        method=environ["REQUEST_METHOD"],
        headers={name: environ[key] for key, name in _headers(tuple(environ))},
        length=length,
        read=lambda limit: _read(environ, limit, length),
    )


@lru_cache(maxsize=256)
def _headers(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """The headers among the keys of an environment, with their names. A sender sends the same ones every time."""
    return [(key, name) for key in keys if (name := _header(key))]


def _header(key: str) -> str:
    """The name of the header that a key of the environment stands for, in lower case; "" for other keys."""
    if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return key.lower().replace("_", "-")
    # The server mixes its own environment into each request's: HTTP_PROXY would look like a header of the sender.
    if not key.startswith("HTTP_") or key in ("HTTP_PROXY", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        return ""
    return key[5:].lower().replace("_", "-")


def _read(environ: WSGIEnvironment, limit: int, length: int | None) -> bytes:
    """The raw body, at most `limit` bytes: chunked bodies end where the server says, others at their length."""
    if length is None and not environ.get("wsgi.input_terminated"):
        return b""
    stream: IO[bytes] = environ["wsgi.input"]
    pieces: list[bytes] = []
    left = limit if length is None else min(limit, length)
    _reading.append(None)
    try:
        while left > 0 and (piece := stream.read(min(left, _CHUNK))):
            pieces.append(piece)
            left -= len(piece)
    finally:
        _reading.pop()
    return b"".join(pieces)
