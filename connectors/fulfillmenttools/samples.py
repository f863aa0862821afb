"""Item return jobs in the vendor's documented shape, made from a few words: for the simulator and for tests.

Persons, places and articles are made up. The same words always give the same object, ids included.
"""

from __future__ import annotations

import uuid
from typing import Any

T0 = "2026-11-20T09:30:00.000Z"
FACILITY = "0190d6e8-0000-7000-8000-00000000fac1"
_NAMESPACE = uuid.UUID("0190d6e8-0000-7000-8000-000000000000")


def sample_id(*parts: str) -> str:
    """An id that the same words always give."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def build_job(spec: dict[str, Any]) -> dict[str, Any]:
    """A whole item return job from a short form.

    {"id", "order", "version", "status", "articles": [{"sku", "title", "delivered", "price", "currency"}],
    "returns": [{"id", "status", "codes": [], "lines": [{"id", "sku", "status", "refund", "reason", "condition"}],
    "unwanted": [the same, of articles that may not be returned]}], "modified"}; all but articles has defaults.
    One line is one unit: two units of an article are two lines.
    """
    job = spec.get("id") or sample_id("job", spec.get("order", ""))
    returns = [_item_return(job, one, number, spec) for number, one in enumerate(spec.get("returns", ()), 1)]
    came = [line["itemReturnJobLineItemRefs"][0] for one in returns for line in one["returnedLineItems"]]
    return {
        "id": job,
        "version": spec.get("version", 1),
        "status": spec.get("status", "OPEN"),
        "processRef": sample_id(job, "process"),
        "tenantOrderId": spec.get("order", "ORDER-1"),
        "shortId": spec.get("short_id", "ER8"),
        "originFacilityRefs": [FACILITY],
        "consumerAddresses": [address()],
        "returnableLineItems": [_job_line(job, one, came) for one in spec["articles"]],
        "itemReturns": returns,
        "created": T0,
        "lastModified": spec.get("modified", T0),
    }


def address() -> dict[str, Any]:
    """Where the customer of every sample lives."""
    return {
        "addressType": "POSTAL_ADDRESS",
        "firstName": "Robin",
        "lastName": "Example",
        "email": "robin@example.com",
        "street": "Musterstraße",
        "houseNumber": "4a",
        "postalCode": "50667",
        "city": "Köln",
        "country": "DE",
    }


def _job_line(job: str, spec: dict[str, Any], came: list[str]) -> dict[str, Any]:
    id_ = sample_id(job, "line", spec["sku"])
    delivered = spec.get("delivered", 1)
    article: dict[str, Any] = {"tenantArticleId": spec["sku"], "title": spec.get("title", f"Article {spec['sku']}")}
    if "price" in spec:
        article["prices"] = [{"pricePerUnit": spec["price"], "currency": spec.get("currency", "EUR")}]
    returned = came.count(id_)
    return {
        "id": id_,
        "delivered": delivered,
        "returnable": delivered - returned,
        "returned": returned,
        "article": article,
    }


def _item_return(job: str, spec: dict[str, Any], number: int, of: dict[str, Any]) -> dict[str, Any]:
    id_ = spec.get("id") or sample_id(job, "return", str(number))
    made = {
        "id": id_,
        "status": spec.get("status", "FINISHED"),
        "returnFacilityRef": FACILITY,
        "tenantOrderId": of.get("order", "ORDER-1"),
        "returnedLineItems": [_line(job, id_, one, n) for n, one in enumerate(spec.get("lines", ()), 1)],
        "scannableCodes": spec.get("codes", []),
        "created": T0,
        "lastModified": spec.get("modified", of.get("modified", T0)),
    }
    if unwanted := spec.get("unwanted"):
        made["returnedNotReturnableLineItems"] = [_line(job, id_, one, n, "unwanted") for n, one in enumerate(unwanted)]
    return made


def _line(job: str, item_return: str, spec: dict[str, Any], number: int, kind: str = "wanted") -> dict[str, Any]:
    reason = spec.get("reason", "Damaged")
    made: dict[str, Any] = {
        "id": spec.get("id") or sample_id(item_return, kind, str(number)),
        "status": spec.get("status", "OPEN"),
        "tenantArticleId": spec["sku"],
        "reasons": [{"reason": reason, "reasonLocalized": {"de_DE": f"{reason} (de)", "en_US": reason}}],
        "itemReturnJobLineItemRefs": [sample_id(job, "line", spec["sku"])],
    }
    if condition := spec.get("condition"):
        made |= {"itemCondition": condition, "itemConditionLocalized": {"en_US": condition}}
    if refund := spec.get("refund"):
        made["refund"] = refund
    return made
