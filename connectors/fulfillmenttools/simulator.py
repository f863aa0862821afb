"""fulfillmenttools as its public documents say: item return jobs with versions, logins, subscriptions, events.

Beside what `connectors.simkit` tells:

    POST /_sim/seed    {"forget": true, "jobs": [whole jobs], "build": [short forms, see `samples`], "list_lag": 2,
                        "quirks": {"overtaken": 2, "bare_list": true, "refunds_disabled": true}}
                       list_lag: so many list reads show what was before; overtaken: the next writes come too late
    POST /_sim/change  {"job": "…", "by": 3}                                            the platform's own new version
                       {"job": "…", "line": "<return>/<line>", "set": {"status": "REJECTED"}}     the backoffice decides
                       with "url" (and what else `send` takes) its event is sent at once, and the answer is that of send
    POST /_sim/tokens  {"expire": true, "refresh": false}     all tokens end now; without a key: how many were given
    POST /_sim/send    {"url": "http://…", "events": [whole events; default: all that happened, with "job": to it],
                        "order": [2, 0, 1], "copies": 3, "concurrent": true, "header": "Authorization", "secret": "…",
                        "patience": 10}
                       answers {"statuses": [200, …], "redelivered": 0}: how many the vendor would send again for days,
                       because they were not answered with exactly 200 in time

    python -m connectors.fulfillmenttools.simulator --port 8704 --secret "Bearer made-up"
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from flask import Flask, Response, jsonify, request

from connectors import simserve
from connectors.fulfillmenttools.identity import API_KEY, EMAIL, PASSWORD, Identity
from connectors.fulfillmenttools.jobs import Jobs, fault
from connectors.fulfillmenttools.samples import T0, sample_id
from connectors.simkit import TOKEN, Answer, Simulator

SECRET = "Bearer sim-webhook-secret"
EVENTS = ("ITEM_RETURN_JOB_CREATED", "ITEM_RETURN_JOB_UPDATED", "REFUND_TRIGGERED")
_PATIENCE_S = 10.0
_SUBSCRIPTIONS_PER_EVENT = 5


class _Platform(Simulator):
    """A simulator that takes the tokens which its own identity service gave."""

    def __init__(self, jobs: Jobs, identity: Identity) -> None:
        self.jobs, self.identity = jobs, identity
        super().__init__("fulfillmenttools", seed=jobs.seed)

    def _authorized(self) -> bool:
        word, _, token = request.headers.get("Authorization", "").partition(" ")
        return word == "Bearer" and self.identity.knows(token)


def create_app(*, token: str = TOKEN, secret: str = SECRET, identity: Identity | None = None) -> Flask:
    """The simulated tenant. `token` is let in without a login, as long as no tokens were ended."""
    jobs = Jobs()
    sim = _Platform(jobs, identity or Identity(first_token=token))
    _identity_routes(sim)
    _read_routes(sim)
    _write_routes(sim)
    _subscription_routes(sim)
    _control_routes(sim, secret)
    return sim.app


def _identity_routes(sim: _Platform) -> None:
    @sim.operation("login", "POST", "/v1/accounts:signInWithPassword", auth=False)
    def login() -> Answer:
        return sim.identity.login(request.args.get("key", ""), request.get_json(force=True, silent=True))

    @sim.operation("refresh", "POST", "/v1/token", auth=False)
    def refresh() -> Answer:
        # Documented as a form; the vendor's own SDK sends JSON.
        wanted = request.form.to_dict() or request.get_json(force=True, silent=True) or {}
        return sim.identity.refresh(request.args.get("key", ""), wanted)


def _read_routes(sim: _Platform) -> None:
    jobs = sim.jobs

    @sim.operation("get_job", "GET", "/api/itemreturnjobs/<id_>")
    def get_job(id_: str) -> Answer:
        job = jobs.jobs.get(id_)
        return Answer(job) if job else fault(404, "The requested entity was not found", f"no item return job {id_}")

    @sim.operation("list_jobs", "GET", "/api/itemreturnjobs")
    def list_jobs() -> Answer:
        term, states = request.args.get("searchTerm", ""), request.args.getlist("itemReturnStatus")
        found = [job for job in jobs.listed() if term.lower() in _searched(job)]
        if states:
            found = [job for job in found if any(one["status"] in states for one in job["itemReturns"])]
        page = _page(found)
        if isinstance(page, Answer):
            return page
        if jobs.quirks.get("bare_list"):
            return Answer(page)
        rows = [{**job, "searchPaths": [job["id"]]} for job in page]
        return Answer({"itemReturnJobsWithSearchPaths": rows, "total": len(found)})

    @sim.operation("list_returns", "GET", "/api/itemreturns")
    def list_returns() -> Answer:
        term, order = request.args.get("searchTerm", ""), request.args.get("orderBy", "")
        found = [one for job in jobs.listed() if term.lower() in _searched(job) for one in job["itemReturns"]]
        if order.startswith("ITEM_RETURN_LAST_MODIFIED"):
            found.sort(key=lambda one: str(one.get("lastModified", "")), reverse=order.endswith("_DESC"))
        page = _page(found)
        if isinstance(page, Answer):
            return page
        return Answer({"itemReturns": [{**one, "searchPaths": [one["id"]]} for one in page], "totalCount": len(found)})


def _write_routes(sim: _Platform) -> None:
    base = "/api/itemreturnjobs/<job>/itemreturns/<item_return>"

    @sim.operation("patch_line", "PATCH", f"{base}/returnedlineitems/<line>")
    def patch_line(job: str, item_return: str, line: str) -> Answer:
        body = request.get_json(force=True, silent=True)
        return sim.jobs.patch(job, item_return, line, body, returnable=True)

    @sim.operation("patch_not_returnable_line", "PATCH", f"{base}/returnednotreturnablelineitems/<line>")
    def patch_not_returnable_line(job: str, item_return: str, line: str) -> Answer:
        body = request.get_json(force=True, silent=True)
        return sim.jobs.patch(job, item_return, line, body, returnable=False)


def _subscription_routes(sim: _Platform) -> None:
    kept: dict[str, dict[str, Any]] = {}

    @sim.operation("list_subscriptions", "GET", "/api/subscriptions")
    def list_subscriptions() -> Answer:
        page = _page(list(kept.values()))
        return page if isinstance(page, Answer) else Answer({"subscriptions": page, "total": len(kept)})

    @sim.operation("create_subscription", "POST", "/api/subscriptions")
    def create_subscription() -> Answer:
        wanted = request.get_json(force=True, silent=True)
        if not isinstance(wanted, dict) or not {"name", "event"} <= wanted.keys():
            return fault(400, "One or more mandatory attributes were not provided.", "name and event")
        if len([one for one in kept.values() if one["event"] == wanted["event"]]) >= _SUBSCRIPTIONS_PER_EVENT:
            return fault(400, "Too many subscriptions", f"{wanted['event']} has {_SUBSCRIPTIONS_PER_EVENT} already")
        made = {**wanted, "id": sample_id("subscription", str(time.time_ns())), "created": T0}
        kept[made["id"]] = made
        return Answer(made, 201, effect=f"subscribed to {made['event']} as {made['name']}")

    @sim.operation("delete_subscription", "DELETE", "/api/subscriptions/<id_>")
    def delete_subscription(id_: str) -> Answer:
        gone = kept.pop(id_, None)
        return Answer(gone, effect=f"unsubscribed {gone['name']}") if gone else fault(404, "Entity not found")

    @sim.operation("list_supported_events", "GET", "/api/supportedevents")
    def list_supported_events() -> Answer:
        return Answer({"supportedEvents": [{"event": event, "description": event} for event in EVENTS]})


def _control_routes(sim: _Platform, secret: str) -> None:
    @sim.app.post("/_sim/change")
    def change() -> tuple[Response, int]:
        wanted = request.get_json(force=True)
        try:
            with sim.lock:
                before = len(sim.jobs.events)
                changed = _changed(sim.jobs, wanted)
                new = sim.jobs.events[before:]
        except (KeyError, AttributeError):
            return jsonify(message="there is no such job or line"), 404
        return jsonify(_sent(new, wanted, secret) if "url" in wanted else changed), 200

    @sim.app.post("/_sim/tokens")
    def tokens() -> Response:
        wanted = request.get_json(force=True, silent=True) or {}
        with sim.lock:
            if wanted.get("expire"):
                sim.identity.expire(refresh=bool(wanted.get("refresh")))
            return jsonify(logins=sim.identity.logins, refreshes=sim.identity.refreshes)

    @sim.app.get("/_sim/events")
    def events() -> Response:
        with sim.lock:
            return jsonify(events=sim.jobs.events)

    @sim.app.post("/_sim/send")
    def send() -> Response:
        wanted = request.get_json(force=True)
        with sim.lock:
            told = wanted.get("events") or [
                event for event in sim.jobs.events if wanted.get("job", _job_of(event)) == _job_of(event)
            ]
        return jsonify(_sent(told, wanted, secret))


def _changed(jobs: Jobs, wanted: dict[str, Any]) -> dict[str, Any]:
    if "line" not in wanted:
        return jobs.bump(wanted["job"], int(wanted.get("by", 1)))
    item_return, _, line = wanted["line"].rpartition("/")
    return jobs.change(wanted["job"], lambda job: jobs.find_line(job, item_return, line).update(wanted["set"]))


def _job_of(event: dict[str, Any]) -> Any:
    return event["payload"].get("itemReturnJobRef") or event["payload"].get("id")


def _sent(told: list[Any], wanted: dict[str, Any], secret: str) -> dict[str, Any]:
    """Send events as `wanted` says; what became of it."""
    told = [told[index] for index in wanted.get("order", range(len(told)))] * int(wanted.get("copies", 1))
    headers = {str(wanted.get("header", "Authorization")): str(wanted.get("secret", secret))}
    sent = send_events(wanted["url"], told, headers, concurrent=bool(wanted.get("concurrent")))
    patience = float(wanted.get("patience", _PATIENCE_S))
    again = [status for status, took in sent if status != 200 or took > patience]
    return {"statuses": [status for status, _ in sent], "redelivered": len(again)}


def send_events(
    url: str, events: Sequence[Any], headers: dict[str, str], *, concurrent: bool = False
) -> list[tuple[int, float]]:
    """POST each event and give (status, seconds) of each; status 0 is no answer. Redirects are not followed."""

    def post(event: Any) -> tuple[int, float]:
        body = json.dumps(event, ensure_ascii=False).encode()
        started = time.monotonic()
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    url,
                    data=body,
                    headers={"Content-Type": "application/json", **headers},
                    timeout=30,
                    allow_redirects=False,
                )
            except requests.RequestException:
                return 0, time.monotonic() - started
            return answer.status_code, time.monotonic() - started

    with ThreadPoolExecutor(max(1, len(events)) if concurrent else 1) as pool:
        return list(pool.map(post, events))


def _searched(job: dict[str, Any]) -> str:
    skus = [line["article"]["tenantArticleId"] for line in job["returnableLineItems"]]
    returns = [one["id"] for one in job["itemReturns"]]
    return "\n".join([job.get("tenantOrderId") or "", job.get("shortId") or "", *skus, *returns]).lower()


def _page(rows: list[dict[str, Any]]) -> list[dict[str, Any]] | Answer:
    """One page: what comes behind `startAfterId`, as many as `size` says."""
    try:
        size = int(request.args.get("size", "25"))
    except ValueError:
        size = 0
    if not 1 <= size <= 500:
        return fault(400, "Invalid size", "size is 1 to 500")
    after = request.args.get("startAfterId")
    if after is None:
        return rows[:size]
    ids = [row["id"] for row in rows]
    if after not in ids:
        return fault(400, "Invalid cursor", f"no entity {after}")
    # An item return's id may stand in several jobs: behind its last row, so that a reader gets on.
    start = len(ids) - ids[::-1].index(after)
    return rows[start : start + size]


def main(argv: Sequence[str] | None = None) -> None:
    """Run as a program."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--secret", default=SECRET, help="what it sends in the subscriptions' header")
        parser.add_argument("--api-key", default=API_KEY, help=f"key of the login (default {API_KEY})")
        parser.add_argument("--email", default=EMAIL, help=f"user of the login (default {EMAIL})")
        parser.add_argument("--password", default=PASSWORD, help="password of the login")

    def create(chosen: argparse.Namespace) -> Flask:
        user = Identity(chosen.api_key, chosen.email, chosen.password, first_token=chosen.token)
        return create_app(secret=chosen.secret, identity=user)

    simserve.main(create, argv, about=__doc__ or "", options=options)


if __name__ == "__main__":
    main()
