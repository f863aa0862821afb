"""The simulated platform's item return jobs: versions, decisions, refunds, the events of each, and lists that lag."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from connectors.fulfillmenttools.samples import T0, build_job, sample_id
from connectors.simkit import Answer

Job = dict[str, Any]
LINE_STATES = ("OPEN", "IN_PROGRESS", "WAITING_FOR_INPUT", "REJECTED", "ACCEPTED", "CANCELED")
REFUND_STATES = ("OPEN", "IN_PROGRESS", "CLOSED")


class Jobs:
    """All item return jobs of a tenant. Every write needs the version that was read, and makes a new one."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew with a tenant that has no jobs."""
        self.jobs: dict[str, Job] = {}
        self.events: list[dict[str, Any]] = []
        self.quirks: dict[str, Any] = {}
        self.lag = 0  # so many list reads still show what was before the last write
        self._shown: dict[str, Job] = {}
        self._behind = 0
        self._count = 0

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Add or replace jobs, with `forget` instead of all others; those just built are answered whole."""
        if data.get("forget"):
            self.forget()
        self.lag = int(data.get("list_lag", self.lag))
        self._write_begins()
        built = [build_job(spec) for spec in data.get("build", ())]
        for job in [*data.get("jobs", ()), *built]:
            self.jobs[job["id"]] = copy.deepcopy(job)
        self.quirks.update(data.get("quirks", {}))
        return {"jobs": len(self.jobs), "built": built}

    def listed(self) -> list[Job]:
        """The jobs as lists show them now, which may be behind."""
        if self._behind > 0:
            self._behind -= 1
            return list(self._shown.values())
        return list(self.jobs.values())

    def patch(self, job_id: str, return_id: str, line_id: str, body: Any, *, returnable: bool) -> Answer:
        """Decide or refund one line."""
        found = self._line(job_id, return_id, line_id, returnable)
        if isinstance(found, Answer):
            return found
        job, line = found
        self._write_begins()
        if refused := self._invalid(body, returnable) or self._outdated(job, body["itemReturnJobVersion"]):
            return refused
        told = []
        if "status" in body:
            line["status"] = body["status"]
            told.append(body["status"].lower())
        if "decisionReason" in body:
            words = body["decisionReason"]
            line["decisionReason"] = {**words, "reason": next(iter(words["reasonLocalized"].values()))}
        if "refund" in body:
            line["refund"] = copy.deepcopy(body["refund"])
            told.append(f"refund {body['refund']['status'].lower()}")
        self._written(job, return_id)
        if "refund" in body:
            self._refund_event(job, return_id, line)
        return Answer(job, effect=f"{line_id} {' and '.join(told)} at version {job['version']}")

    def bump(self, job_id: str, by: int = 1) -> Job:
        """What the platform does in the background: a new version, and nothing else that one sees. Raises KeyError."""
        job = self.jobs[job_id]
        job["version"] += by
        self._event("ITEM_RETURN_JOB_UPDATED", job)
        return job

    def change(self, job_id: str, act: Callable[[Job], None]) -> Job:
        """Let somebody in the backoffice change a job; it has a new version and an event. Raises KeyError."""
        job = self.jobs[job_id]
        self._write_begins()
        act(job)
        self._written(job, "")
        return job

    def find_line(self, job: Job, return_id: str, line_id: str, *, returnable: bool = True) -> Any:
        """The line, or None."""
        key = "returnedLineItems" if returnable else "returnedNotReturnableLineItems"
        for one in job["itemReturns"]:
            for line in one.get(key, ()):
                if (one["id"], line["id"]) == (return_id, line_id):
                    return line
        return None

    def _line(self, job_id: str, return_id: str, line_id: str, returnable: bool) -> tuple[Job, Any] | Answer:
        job = self.jobs.get(job_id)
        if job is None:
            return fault(404, "The requested entity was not found", f"no item return job {job_id}")
        line = self.find_line(job, return_id, line_id, returnable=returnable)
        if line is None:
            return fault(404, "The requested entity was not found", f"no line {return_id}/{line_id}")
        return job, line

    def _outdated(self, job: Job, version: int) -> Answer | None:
        # Somebody else is always faster, as often as told.
        if self.quirks.get("overtaken", 0) > 0:
            self.quirks["overtaken"] -= 1
            self.bump(job["id"])
        if version == job["version"]:
            return None
        told = f"the entity has version {job['version']}"
        return fault(409, "Version conflict", told, version=job["version"], requestVersion=version)

    def _invalid(self, body: Any, returnable: bool) -> Answer | None:
        if not isinstance(body, dict) or not isinstance(body.get("itemReturnJobVersion"), int):
            return fault(400, "One or more mandatory attributes were not provided.", "itemReturnJobVersion")
        if body.get("status", "OPEN") not in LINE_STATES:
            return fault(400, "Invalid value", f"status {body['status']}")
        refund = body.get("refund")
        if refund is None:
            return None
        if not returnable:
            return fault(400, "A line that may not be returned has no refund")
        if self.quirks.get("refunds_disabled"):
            return fault(403, "Refunds are disabled", "allowTriggerRefund is false")
        if refund.get("status") not in REFUND_STATES or ("price" in refund) == ("percent" in refund):
            return fault(400, "Invalid refund", "either price or percent must be set, not both")
        return None

    def _write_begins(self) -> None:
        if self.lag and not self._behind:
            self._shown = copy.deepcopy(self.jobs)
        self._behind = self.lag

    def _written(self, job: Job, return_id: str) -> None:
        # Numbers need not follow each other, and a reader must not count on it.
        self._count += 1
        job["version"] += 1 + self._count % 3
        at = (datetime.fromisoformat(T0) + timedelta(minutes=self._count)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        job["lastModified"] = at
        for one in job["itemReturns"]:
            if one["id"] == return_id:
                one["lastModified"] = at
        self._event("ITEM_RETURN_JOB_UPDATED", job)

    def _event(self, name: str, payload: Any) -> None:
        id_ = sample_id("event", str(len(self.events)))
        self.events.append({"event": name, "payload": copy.deepcopy(payload), "eventId": id_})

    def _refund_event(self, job: Job, return_id: str, line: Any) -> None:
        item_return = next(one for one in job["itemReturns"] if one["id"] == return_id)
        trigger = {
            "created": job["lastModified"],
            "itemReturnJobRef": job["id"],
            "itemReturnJobVersion": job["version"],
            "itemReturnRef": return_id,
            "returnFacilityRef": item_return["returnFacilityRef"],
            "tenantOrderId": job.get("tenantOrderId"),
            "refundedLineItems": [line],
        }
        self._event("REFUND_TRIGGERED", trigger)


def fault(status: int, summary: str, description: str = "", **versions: int) -> Answer:
    """An error in the vendor's shape: a list, also of one."""
    told = {"summary": summary, **({"description": description} if description else {}), **versions}
    return Answer([told], status)
