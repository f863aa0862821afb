"""A label is printed, the warehouse is told, under the ERP's order number: each step through the real processes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.stack import Stack, wait_for


def spec(name: str, *orders: str, parcels: int = 1, **more: Any) -> dict[str, Any]:
    """A return `name` with one line of an own SKU for each order."""
    return {
        "id": f"ro-{name}",
        "lines": [{"order": order, "sku": f"SKU-{number}"} for number, order in enumerate(orders, 1)],
        "parcels": [{"id": f"{name}-p{number}"} for number in range(1, parcels + 1)],
        **more,
    }


def announced(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [body for body in stack.announcements() if body["rmaNumber"].startswith(f"ro-{name}")]


def wait_announced(stack: Stack, name: str, count: int = 1, seconds: float = 20.0) -> list[dict[str, Any]]:
    return wait_for(
        f"{count} announcements of {name}",
        lambda: (found := announced(stack, name)) and len(found) >= count and found,
        seconds,
    )


def wait_delivery(stack: Stack, order: str, state: str, seconds: float = 20.0) -> dict[str, Any]:
    """The delivery of the part `order` once it is in `state`."""

    def found() -> Any:
        rows = [row for row in stack.deliveries(state=state, limit=500) if row["part"] == order]
        return rows and rows[0]

    return wait_for(f"a delivery of {order} in state {state}", found, seconds)  # type: ignore[no-any-return]


def test_a_label_reaches_the_warehouse_under_the_erps_order_numbers(stack: Stack) -> None:
    stack.erp.post(
        "/_sim/seed",
        {
            "orders": [
                {"number": "0000012E4", "externalNumber": "1004800"},
                {"number": "1e5", "externalNumber": "1004801"},
            ]
        },
    )
    stack.seed_return(
        **{
            **spec("main"),
            "lines": [
                {"order": "#1004800", "sku": "SHIRT", "quantity": 3, "reason": "TOO_SMALL"},
                {"order": "1004801", "sku": "SHOE"},
            ],
        }
    )
    assert stack.send_label("main-p1") == [200]
    first, second = sorted(wait_announced(stack, "main", 2), key=lambda body: body["salesOrder"])
    assert (first["salesOrder"], second["salesOrder"]) == ("0000012E4", "1e5")
    assert [(line["sku"], line["quantity"]) for line in first["lines"]] == [("SHIRT", 3)]
    assert [(line["sku"], line["quantity"]) for line in second["lines"]] == [("SHOE", 1)]
    for number in ("ro-main", "#1004800", "0000012E4", "main-p1", first["parcels"][0]["trackingNumber"]):
        told = stack.cli("trace", number)
        assert "0000012E4" in told and "return.labelled" in told, number
        assert "robin@example.com" not in told and "sim-token" not in told


def test_the_order_numbers_survive_as_they_are(stack: Stack) -> None:
    numbers = ["007", "1e5", "1_000", "0x1F", "None", "no", "12345678901234567890"]
    stack.erp.post("/_sim/seed", {"orders": [{"number": f"0{n}", "externalNumber": f"x{n}"} for n in numbers]})
    stack.seed_return(**spec("odd", *[f"x{number}" for number in numbers]))
    stack.send_label("odd-p1")
    bodies = wait_announced(stack, "odd", len(numbers))
    assert sorted(body["salesOrder"] for body in bodies) == sorted(f"0{number}" for number in numbers)


def test_the_label_may_be_told_before_the_return_can_be_read(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-late", "externalNumber": "late"}]})
    stack.platform.post("/_sim/seed", {"build": [spec("late", "late")], "visible_after": {"ro-late": 2}})
    stack.send_label("late-p1")
    assert len(wait_announced(stack, "late")) == 1


def test_an_order_unknown_to_the_erp_parks_until_it_becomes_known_by_hand(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-here", "externalNumber": "here"}]})
    stack.seed_return(**spec("park", "nowhere", "here"))
    stack.send_label("park-p1")
    wait_announced(stack, "park")
    parked = wait_delivery(stack, "nowhere", "parked")
    assert parked["due_at"] and "nowhere" in parked["because"]
    assert [body["salesOrder"] for body in announced(stack, "park")] == ["E-here"]
    assert "nowhere" in stack.cli("parked")
    stack.cli("refs", "set", "order", "nowhere", "E-found", "--from", "shop", "--to", "erp")
    bodies = wait_announced(stack, "park", 2)
    assert bodies[1]["salesOrder"] == "E-found"


def test_a_parked_return_is_released_when_the_erp_learns_the_number(stack: Stack) -> None:
    stack.seed_return(**spec("learn", "learn"))
    stack.send_label("learn-p1")
    wait_delivery(stack, "learn", "parked")
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-learn", "externalNumber": "learn"}]})
    assert wait_announced(stack, "learn", seconds=45)[0]["salesOrder"] == "E-learn"


def test_two_matches_are_a_conflict_without_a_call_until_a_person_decides(stack: Stack) -> None:
    stack.erp.post(
        "/_sim/seed",
        {
            "orders": [
                {"number": "E-1", "externalNumber": "twice"},
                {"number": "E-2", "externalNumber": "twice"},
            ]
        },
    )
    stack.seed_return(**spec("conflict", "twice"))
    stack.send_label("conflict-p1")
    row = wait_delivery(stack, "twice", "conflict")
    assert "E-1" in row["because"] and "E-2" in row["because"]
    assert announced(stack, "conflict") == []
    stack.cli("refs", "set", "order", "twice", "E-2", "--from", "shop", "--to", "erp")
    assert wait_announced(stack, "conflict")[0]["salesOrder"] == "E-2"


def test_ten_concurrent_copies_of_an_event_have_one_effect_and_one_answer(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-ten", "externalNumber": "ten"}]})
    stack.seed_return(**spec("ten", "ten"))
    wanted = {"event": "shipment.label_created", "id": "ten-p1", "copies": 10, "concurrent": True}
    sent = stack.platform.post("/_sim/send", {**wanted, "url": f"{stack.url}/webhooks/returnista_eu"})
    assert sent["statuses"] == [200] * 10
    assert len(set(sent["answers"])) == 1
    wait_announced(stack, "ten")
    wait_delivery(stack, "ten", "done")
    assert len([r for r in stack.wms.requests("announce_return") if r["body"]["rmaNumber"].startswith("ro-ten")]) == 1


def test_a_second_label_updates_the_tracking_and_announces_nothing_twice(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-two", "externalNumber": "two"}]})
    stack.seed_return(**spec("two", "two", parcels=1))
    stack.send_label("two-p1")
    wait_announced(stack, "two")
    stack.seed_return(**spec("two", "two", parcels=2, updated_at="2026-11-20T10:30:00.000Z"))
    stack.send_label("two-p2")
    updates = wait_for(
        "the tracking update",
        lambda: [one for one in stack.wms.requests("update_tracking") if "ro-two" in one["path"] and one["effect"]],
    )
    assert len(updates) == 1
    assert len(updates[0]["body"]["parcels"]) == 2
    assert len(announced(stack, "two")) == 1


@pytest.mark.parametrize("parcel", [{"error": "CARRIER_DOWN"}, {"label": False}], ids=["error", "no label"])
def test_a_label_event_without_a_label_is_no_forecast(stack: Stack, parcel: dict[str, Any]) -> None:
    name = "failed" + ("1" if "error" in parcel else "2")
    stack.seed_return(**{**spec(name, name), "parcels": [{"id": f"{name}-p1", **parcel}]})
    stack.send_label(f"{name}-p1")
    told = wait_for("the story", lambda: "return.registered" in (t := stack.cli("trace", f"ro-{name}")) and t)
    assert "return.labelled" not in told
    assert announced(stack, name) == []


def test_a_503_is_tried_again_and_every_try_is_told(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-503", "externalNumber": "o503"}]})
    stack.wms.misbehave("announce_return", "503", times=2)
    stack.seed_return(**spec("o503", "o503"))
    stack.send_label("o503-p1")
    wait_announced(stack, "o503")
    row = wait_delivery(stack, "o503", "done")
    tries = [
        one["outcome"] for one in stack.api(f"deliveries/{row['delivery_id']}")["attempts"] if one["kind"] == "call"
    ]
    assert tries == ["retry", "retry", "delivered"]
    keys = {
        r["headers"]["Idempotency-Key"]
        for r in stack.wms.requests("announce_return")
        if r["body"]["rmaNumber"].startswith("ro-o503")
    }
    assert len(keys) == 1


def test_a_retry_after_is_waited_for(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-429", "externalNumber": "o429"}]})
    stack.wms.misbehave("announce_return", "429", times=1, retry_after=3)
    stack.seed_return(**spec("o429", "o429"))
    stack.send_label("o429-p1")
    wait_announced(stack, "o429")
    first, second = [r for r in stack.wms.requests("announce_return") if r["body"]["rmaNumber"].startswith("ro-o429")]
    assert second["at"] - first["ended_at"] >= 2.9


def test_a_401_pauses_the_connection_until_it_is_resumed(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": f"E-401{n}", "externalNumber": f"o401{n}"} for n in "ab"]})
    stack.wms.misbehave("announce_return", "401", times=None)
    for letter in "ab":
        stack.seed_return(**spec(f"o401{letter}", f"o401{letter}"))
    stack.send_label("o401a-p1")
    wait_for("the pause", lambda: "paused" in stack.cli("doctor", check=False))
    stack.send_label("o401b-p1")
    wait_delivery(stack, "o401b", "ready")
    asked = len(stack.wms.requests("announce_return"))
    stack.wms.behave()
    stack.cli("resume", "wms_eu")
    wait_announced(stack, "o401a")
    wait_announced(stack, "o401b")
    assert len(stack.wms.requests("announce_return")) == asked + 2


def test_what_the_target_refuses_is_dead_and_retry_sends_it_anew(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-dead", "externalNumber": "odead"}]})
    stack.wms.post("/_sim/seed", {"refuse": ["ro-odead/odead"]})
    stack.seed_return(**spec("odead", "odead"))
    stack.send_label("odead-p1")
    row = wait_delivery(stack, "odead", "dead")
    assert row["due_at"] is None and row["fault"] == "data"
    assert row["delivery_id"] in stack.cli("dead")
    stack.wms.post("/_sim/seed", {"accept": ["ro-odead/odead"]})
    stack.cli("retry", row["delivery_id"])
    wait_announced(stack, "odead")
    first, second = [r for r in stack.wms.requests("announce_return") if r["body"]["rmaNumber"].startswith("ro-odead")]
    assert first["headers"]["Idempotency-Key"] != second["headers"]["Idempotency-Key"]


def test_a_spoiled_signature_is_refused_and_leaves_nothing(stack: Stack) -> None:
    stack.seed_return(**spec("spoil", "spoil"))
    assert stack.send_label("spoil-p1", tamper=True) == [401]
    assert stack.send_label("spoil-p1", secret="another") == [401]
    wait_for(
        "the rejections in the log",
        lambda: "bad signature" in {row["cause"] for row in stack.api("rejections", limit=10)["rejections"]},
    )
    assert "ro-spoil" not in stack.cli("trace", "ro-spoil", check=False).split("ro-spoil", 1)[1]


def test_an_order_number_is_asked_for_once_and_kept_with_its_evidence(stack: Stack) -> None:
    stack.erp.post("/_sim/seed", {"orders": [{"number": "E-kept", "externalNumber": "kept"}]})
    for number in ("1", "2"):
        stack.seed_return(**spec(f"kept{number}", "kept"))
        stack.send_label(f"kept{number}-p1")
        wait_announced(stack, f"kept{number}")
    asked = [r for r in stack.erp.requests("find_order") if r["query"].get("externalNumber") == ["kept"]]
    assert len(asked) == 1
    shown = stack.cli("refs", "show", "kept")
    assert "E-kept" in shown and "lookup" in shown
