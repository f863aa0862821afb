"""Takes the webhook: checks its signature and enqueues a job."""

from __future__ import annotations

import hashlib
import hmac
import os

from flask import Flask, Response, request
from redis import Redis
from rq import Queue

from bench.yardstick.job import announce

app = Flask(__name__)
_secret = os.environ["BENCH_SECRET"].encode()
_queue = Queue("events", connection=Redis.from_url(os.environ["BENCH_REDIS_URL"]))


@app.post("/webhooks/platform")
def webhook() -> Response:
    """200 when the job is in Redis, 401 when the signature is wrong."""
    body = request.get_data()
    signature = hmac.digest(_secret, body, hashlib.sha256).hex()
    if not hmac.compare_digest(signature, request.headers.get("X-Signature", "")):
        return Response("wrong signature", 401)
    if (payload := request.get_json())["event"] == "return.labelled":
        _queue.enqueue(announce, payload, job_timeout=60)
    return Response("ok", 200)
