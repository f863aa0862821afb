"""The schemas: valid themselves, strict about documents, and clear about what is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from jsonschema import Draft202012Validator

from app.adapters.files import schemas
from app.core.changes import RETURN_CHANGES, changes
from app.core.schema_check import statuses
from app.core.validation import SchemaValidator
from app.model import Json

RETURN: dict[str, Json] = {
    "id": "ro-1",
    "source": "shop",
    "updated_at": "2026-11-22T01:02Z",
    "orders": [{"number": "0000012E4", "alternatives": ["#12E4"]}],
    "lines": [
        {
            "key": "1",
            "order": "0000012E4",
            "sku": "1E5",
            "quantity": {"announced": 1, "received": Decimal("1.5")},
            "reasons": [{"code": "SIZE"}],
            "price": {"gross": "19.90", "currency": "EUR"},
        }
    ],
    "parcels": [{"id": "p-1", "state": "labelled", "tracking_number": "00340434161094042557"}],
    "customer": {"email": "a@example.org"},
}


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_valid_itself(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])
    SchemaValidator(schemas()[name])


def test_a_full_return_is_valid_and_tells_its_changes() -> None:
    assert SchemaValidator(schemas()["return"]).errors(RETURN) == []
    assert {change.name for change in changes(None, RETURN)} >= {"return.registered", "return.labelled"}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"id": 1001}, "id: is the number 1001, must be text"),
        ({"id": ""}, "id: is empty"),
        ({"colour": "red"}, "colour: is not known here"),
        ({"state": "lost"}, "state: 'lost' is none of 'requested'"),
        ({"lines": [{"sku": "A"}]}, "lines[0].key: is missing"),
        ({"lines": [{"key": "1", "quantity": {"announced": -1}}]}, "lines[0].quantity.announced: -1 is less than"),
        ({"lines": [{"key": "1", "price": {"gross": Decimal("19.9")}}]}, "lines[0].price.gross: is the number 19.9"),
        (
            {"lines": [{"key": "1", "price": {"gross": "19,90"}}]},
            "lines[0].price.gross: '19,90' does not have the form",
        ),
        ({"orders": [{"number": None}]}, "orders[0].number: is null, must be text"),
        ({"parcels": {}}, "parcels: is an object, must be a list"),
    ],
)
def test_a_damaged_return_says_where_and_what(damage: dict[str, Json], told: str) -> None:
    errors = SchemaValidator(schemas()["return"]).errors({**RETURN, **damage})
    assert len(errors) == 1 and errors[0].startswith(told)
    within = SchemaValidator(schemas()["return"]).errors({**RETURN, **damage}, "document")
    assert within[0].startswith(f"document.{told}")


def test_a_change_has_a_shape_for_every_thing_it_may_hold() -> None:
    shape = schemas()["return"]["$defs"]["change"]["properties"]
    lines = [{"key": "1", "quantity": {"announced": 2, "received": 1, "accepted": 1}, "refund": {"state": "started"}}]
    after = {**RETURN, "lines": lines, "parcels": [{"id": "p", "state": "delivered"}]}
    for change in changes(None, after):
        assert change.name in RETURN_CHANGES and set(change.data) <= set(shape), change


@pytest.mark.parametrize(
    "schema", [[], {"type": "strin"}, {"$ref": "file:///etc/passwd"}, {"$ref": "#/no"}, {"pattern": "("}]
)
def test_what_is_no_schema_or_reaches_outside_is_refused(schema: Json) -> None:
    with pytest.raises(ValueError):
        SchemaValidator(schema)


def test_many_errors_are_bounded() -> None:
    errors = SchemaValidator({"items": {"type": "string"}}).errors(list(range(100)))
    assert len(errors) == 21 and errors[-1] == "and 80 more"


def test_what_json_lacks_is_an_error_and_no_crash() -> None:
    assert SchemaValidator({"type": "object"}).errors(object())


@pytest.mark.parametrize(
    ("told", "found"), [(409, {409}), ("409", {409}), ([409, 423], {409, 423}), (["4xx", 500], {*range(400, 500), 500})]
)
def test_statuses_are_read(told: Json, found: set[int]) -> None:
    assert statuses(told) == found


@pytest.mark.parametrize("told", [99, 600, "4x", "xx", [True], None, "409 "])
def test_what_is_no_status_is_refused(told: Json) -> None:
    with pytest.raises(ValueError):
        statuses(told)
