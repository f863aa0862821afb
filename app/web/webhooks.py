"""`POST /webhooks/<connection>`: hands the request as it came to `pipeline.receive`."""

from __future__ import annotations

from typing import IO

from flask import Blueprint, Request, Response, request
from werkzeug.wsgi import get_input_stream

from app.pipeline.receive import Incoming, Receiver
from app.web.answers import answer

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_CHUNK = 64 * 1024


def blueprint(receiver: Receiver) -> Blueprint:
    """The door for vendors."""
    pages = Blueprint("webhooks", __name__)

    # Every method comes in: an unknown connection is 404 whatever the method is.
    @pages.route("/webhooks/<connection>", methods=_METHODS, provide_automatic_options=False)
    def webhook(connection: str) -> Response:
        reply = receiver.receive(
            Incoming(
                connection=connection,
                method=request.method,
                headers=_headers(request),
                length=request.content_length,
                read=lambda limit: _read(request, limit),
            )
        )
        return answer(reply.body, reply.status, reply.headers)

    return pages


def _headers(incoming: Request) -> dict[str, str]:
    headers = {name.lower(): value for name, value in incoming.headers.items()}
    # The server mixes its own environment into each request's: HTTP_PROXY would look like a header of the sender.
    headers.pop("proxy", None)
    return headers


def _read(incoming: Request, limit: int) -> bytes:
    """The raw body, at most `limit` bytes: chunked bodies end where the server says, others at their length."""
    stream: IO[bytes] = get_input_stream(incoming.environ)
    pieces: list[bytes] = []
    left = limit
    while left > 0:
        piece = stream.read(min(left, _CHUNK))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
