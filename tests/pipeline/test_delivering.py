"""From a change to exactly one effect at the target, or a clear word that there is none."""

from __future__ import annotations

import pytest

from app.model import Reference, ReferenceKey
from tests.pipeline.kit import LABELLED, MiniHub


def label(hub: MiniHub, *orders: str) -> None:
    """Let a label be printed for a return of these orders, and do all that follows at once."""
    hub.shows(parcels=LABELLED, orders=list(orders) or ["#1"])
    hub.receive(**{"return": "R-1"})
    hub.run()


def know(hub: MiniHub, number: str, to: str) -> None:
    """Set a translation by hand."""
    key = ReferenceKey("order", "store", "erp", number)
    with hub.ledger.write() as tx:
        tx.put_reference(Reference(key, to, "manual", hub.clock.now(), {"by": "test"}))


def announced(hub: MiniHub) -> list[str]:
    """The ERP's numbers under which announcements went out."""
    return [request.body["order"] for request in hub.targets.sent("/announcements") if request.method == "POST"]


def because(hub: MiniHub) -> str:
    """Why the only delivery is where it is."""
    (row,) = hub.ledger.deliveries({}, 10)
    return str(row["because"])


def test_a_label_is_announced_under_the_erps_number(hub: MiniHub) -> None:
    label(hub)
    assert announced(hub) == ["E-1"]
    assert hub.deliveries() == {"announce #1": "done"}


def test_each_part_of_a_split_return_goes_its_own_way(hub: MiniHub) -> None:
    hub.targets.say("/orders?number=%232", {"numbers": []})
    label(hub, "#1", "#2")
    assert hub.deliveries() == {"announce #1": "done", "announce #2": "parked"}


def test_a_parked_announcement_goes_out_once_the_number_is_known(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []})
    label(hub)
    assert announced(hub) == []
    know(hub, "#1", "E-9")
    hub.run()
    assert announced(hub) == ["E-9"]


def test_a_number_that_becomes_known_while_it_is_asked_for_is_not_missed(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []})
    hub.shows(parcels=LABELLED)
    hub.receive(**{"return": "R-1"})
    hub.read()
    hub.deliver(meanwhile=lambda: know(hub, "#1", "E-9"))
    hub.run()
    assert announced(hub) == ["E-9"]


def test_a_parked_announcement_is_asked_for_again_from_time_to_time(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []}, {"numbers": []}, {"numbers": ["E-5"]})
    label(hub)
    hub.later(61)
    assert hub.deliveries() == {"announce #1": "parked"}
    hub.later(61)
    assert announced(hub) == ["E-5"]


def test_two_matches_are_a_conflict_and_no_call(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": ["E-1", "E-2"]})
    label(hub)
    assert hub.deliveries() == {"announce #1": "conflict"}
    assert "backhaul refs set order '#1' CHOICE --from store --to erp" in because(hub)
    know(hub, "#1", "E-2")
    hub.run()
    assert announced(hub) == ["E-2"]


def test_one_look_up_serves_all_later_returns_of_the_order(hub: MiniHub) -> None:
    for number in ("R-1", "R-2", "R-3"):
        hub.shows(id=number, parcels=LABELLED)
        hub.receive(**{"return": number})
        hub.run()
    assert len(hub.targets.sent("/orders")) == 1
    assert announced(hub) == ["E-1"] * 3


def test_a_body_that_does_not_fit_the_operation_never_leaves(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": ["E-much-too-long"]})
    label(hub)
    assert announced(hub) == []
    assert hub.deliveries() == {"announce #1": "dead"}
    assert "body.order" in because(hub)


@pytest.mark.parametrize("answer", ["lost", 500, 502, 504])
def test_a_call_in_doubt_is_looked_for_before_it_is_sent_again(hub: MiniHub, answer: str | int) -> None:
    hub.targets.say("/announcements", answer, {"number": "W-1"})
    hub.targets.say("/announcements/R-1%2F%231", {"found": True})
    label(hub)
    assert hub.deliveries() == {"announce #1": "in_doubt"}
    hub.later(10)
    assert hub.deliveries() == {"announce #1": "done"}
    assert announced(hub) == ["E-1"]


def test_a_call_in_doubt_that_left_no_trace_is_sent_again(hub: MiniHub) -> None:
    hub.targets.say("/announcements", "lost", {"number": "W-1"})
    hub.targets.say("/announcements/R-1%2F%231", 404)
    label(hub)
    hub.later(10)
    assert announced(hub) == ["E-1", "E-1"]
    assert hub.deliveries() == {"announce #1": "done"}


def test_a_probe_that_fails_is_no_answer(hub: MiniHub) -> None:
    hub.targets.say("/announcements", "lost", {"number": "W-1"})
    hub.targets.say("/announcements/R-1%2F%231", 503, {"found": True})
    label(hub)
    hub.later(10)
    assert hub.deliveries() == {"announce #1": "in_doubt"}
    hub.later(120)
    assert hub.deliveries() == {"announce #1": "done"}
    assert announced(hub) == ["E-1"]


def test_without_a_probe_a_call_in_doubt_waits_for_a_person(hub: MiniHub) -> None:
    path = "connectors/acme_wms/connector.yaml"
    text = (hub.folder / path).read_text()
    start, end = text.index("    probe:"), text.index("  look:")
    hub.write({path: text[:start] + text[end:]})
    hub.targets.say("/announcements", "lost", {"number": "W-1"})
    label(hub)
    hub.later(100_000)
    assert hub.deliveries() == {"announce #1": "in_doubt"}
    assert announced(hub) == ["E-1"]
    (row,) = hub.ledger.deliveries({}, 10)
    assert "backhaul resolve" in row["because"]
    hub.ledger.resolve(row["id"], "delivered", "test")
    hub.run()
    assert hub.deliveries() == {"announce #1": "done"}
    assert announced(hub) == ["E-1"]


def test_a_worker_that_died_with_the_request_out_is_followed_by_a_probe(hub: MiniHub) -> None:
    hub.shows(parcels=LABELLED)
    hub.receive(**{"return": "R-1"})
    hub.read()
    (work,) = hub.ledger.claim_deliveries("wms", 10, 60, "dead worker")
    hub.deliverer.deliver(work)
    hub.targets.say("/announcements/R-1%2F%231", {"found": True})
    hub.later(61)
    assert hub.deliveries() == {"announce #1": "done"}
    assert announced(hub) == ["E-1"]


def test_later_changes_of_a_return_wait_for_the_earlier_ones(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []})
    hub.shows(parcels=LABELLED, version=1)
    hub.receive(**{"return": "R-1"})
    hub.run()
    hub.shows(parcels=[*LABELLED, {"id": "p2", "state": "labelled"}], version=2)
    hub.receive(**{"return": "R-1"})
    hub.run()
    assert hub.deliveries() == {"announce #1": "parked", "track #1": "ready"}
    know(hub, "#1", "E-1")
    hub.run()
    assert [request.url.rsplit("/", 1)[1] for request in hub.targets.sent("/announcements")] == [
        "announcements",
        "parcels",
    ]


def test_a_dead_delivery_holds_back_nothing_and_retry_uses_a_new_key(hub: MiniHub) -> None:
    hub.targets.say("/announcements/R-1%2F%231/parcels", 422, {})
    for version, parcels in enumerate([LABELLED, [*LABELLED, {"id": "p2", "state": "labelled"}]]):
        hub.shows(parcels=parcels, version=version)
        hub.receive(**{"return": "R-1"})
        hub.run()
    assert hub.deliveries()["track #1"] == "dead"
    (dead,) = hub.ledger.deliveries({"state": "dead"}, 10)
    hub.ledger.retry([dead["id"]], "test")
    hub.run()
    assert hub.deliveries()["track #1"] == "done"
    first, second = [request.idempotency_key for request in hub.targets.sent("/parcels")]
    assert first != second and second.startswith(first)


def test_every_try_carries_the_same_key(hub: MiniHub) -> None:
    hub.targets.say("/announcements/R-1%2F%231/parcels", 503, "lost", {})
    for version, parcels in enumerate([LABELLED, [*LABELLED, {"id": "p2", "state": "labelled"}]]):
        hub.shows(parcels=parcels, version=version)
        hub.receive(**{"return": "R-1"})
        hub.run()
    hub.later(60)
    hub.later(60)
    assert hub.deliveries()["track #1"] == "done"
    assert len({request.idempotency_key for request in hub.targets.sent("/parcels")}) == 1


def test_a_number_captured_from_an_answer_is_a_reference_from_the_sources_system(hub: MiniHub) -> None:
    label(hub)
    found = hub.ledger.find_reference(ReferenceKey("rma", "store", "wms", "R-1/#1"))
    assert found is not None and (found.to_id, found.origin) == ("W-1", "captured")
    assert hub.ledger.find("W-1") == [("return", "shop", "R-1")]


def test_a_route_that_is_gone_ends_its_delivery_with_the_reason(hub: MiniHub) -> None:
    hub.targets.say("/orders", {"numbers": []})
    label(hub)
    hub.write({"config/routes.yaml": "routes: []\n"})
    know(hub, "#1", "E-1")
    hub.run()
    assert hub.deliveries() == {"announce #1": "dead"}
    assert "no longer in config/routes.yaml" in because(hub)


def test_a_late_worker_writes_nothing_over_a_newer_one(hub: MiniHub) -> None:
    hub.targets.say("/announcements/R-1%2F%231", {"found": False})
    hub.shows(parcels=LABELLED)
    hub.receive(**{"return": "R-1"})
    hub.read()
    (late,) = hub.ledger.claim_deliveries("wms", 10, 60, "late")
    slow = hub.deliverer.deliver(late)
    hub.targets.say("/announcements", 422)
    hub.targets.say("/announcements/R-1%2F%231", {"found": False})
    hub.later(61)
    assert hub.deliveries() == {"announce #1": "dead"}
    hub.deliverer.commit("late", [slow])
    assert hub.deliveries() == {"announce #1": "dead"}
