"""What the platform tells of item return jobs: repeated, out of order, half, unknown, and always answered with 200."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from connectors.fulfillmenttools.samples import build_job
from tests.connectors.fulfillmenttools_kit import SECRETS, Hub, chain, fixture, renamed, running_hub, snapshots
from tests.connectors.fulfillmenttools_site import CONNECTIONS, ROUTES
from tests.support import HandClock
from tests.unit.door_kit import opened

ORDER_1234 = "460c860c-8dd0-4935-ad66-b38ae24149b8"
ORDER_2222 = "d2c0f718-88da-4067-949b-f2dc95d66057"
ORDER_3333 = "0f27dc34-1a5d-450d-8736-ad6b426ae360"
LINE_3333 = "0e3db3de-100b-49dc-b63d-c4a9e99ba5f5/7e08e8d3-3e56-4cb4-8ccd-7314172b96e0"
MUG = build_job({"order": "ORDER-5001", "articles": [{"sku": "MUG"}], "returns": [{"lines": [{"sku": "MUG"}]}]})


@pytest.fixture
def hub(tmp_path: Path, migrated_sqlite: Path, clock: HandClock) -> Iterator[Hub]:
    with opened(migrated_sqlite, tmp_path, clock) as ledger, running_hub(ledger, clock) as made:
        yield made


# --- once, whatever is repeated ------------------------------------------------------------------


def test_1_the_same_event_three_times_at_once_is_one_set_of_changes_and_three_answers_of_200(hub: Hub) -> None:
    event = fixture("ITEM_RETURN_JOB_UPDATED__order_1234_v2_first_return")
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: hub.post(event), range(3))) == [200, 200, 200]
    hub.run()
    assert len(hub.events()) == 1
    assert hub.facts(ORDER_1234) == ["return.registered", "line.received", "line.accepted", "return.decided"]
    assert len(hub.effects(ORDER_1234)) == 2


def test_1_the_same_body_under_a_new_event_id_is_still_one_set_of_changes(hub: Hub) -> None:
    event = fixture("ITEM_RETURN_JOB_UPDATED__order_1234_v2_first_return")
    hub.tell(event, {**event, "eventId": "5993095975110686"}, {**event, "eventId": "another"})
    assert [row["state"] for row in hub.events()] == ["done"] * 3
    assert len(hub.facts(ORDER_1234)) == 4
    assert len(hub.effects(ORDER_1234)) == 2


def test_2_version_3_before_2_before_1_knows_both_returns_and_the_late_ones_change_nothing(hub: Hub) -> None:
    created, first, second = chain("order_1234")
    hub.tell(second)
    told, noted = hub.facts(ORDER_1234), hub.effects(ORDER_1234)
    assert [line["sku"] for line in hub.document(ORDER_1234)["lines"]] == ["TG560052", "NT420074"]
    hub.tell(first, created)
    assert (hub.facts(ORDER_1234), hub.effects(ORDER_1234)) == (told, noted)
    assert [row["state"] for row in hub.events()] == ["done"] * 3
    assert hub.document(ORDER_1234)["version"] == 3


def test_3_a_first_sight_at_version_6_with_a_closed_refund_tells_all_in_order(hub: Hub) -> None:
    hub.tell(fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund"))
    assert hub.facts(ORDER_3333) == [
        *("return.registered", "line.received", "line.accepted"),
        *("refund.started", "refund.closed", "return.decided"),
    ]
    assert "percent" not in hub.document(ORDER_3333)["lines"][0]["refund"]
    assert hub.effects(ORDER_3333).count(f"refund.started {LINE_3333}") == 1


def test_4_the_same_item_return_id_in_two_jobs_is_two_returns_with_facts_of_their_own(hub: Hub) -> None:
    hub.tell(chain("order_1234")[1], fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund"))
    shared = "0e3db3de-100b-49dc-b63d-c4a9e99ba5f5"
    for job in (ORDER_1234, ORDER_3333):
        (line,) = hub.document(job)["lines"]
        assert line["key"].startswith(f"{shared}/")
        assert hub.effects(job).count(f"line.accepted {line['key']}") == 1


def test_two_jobs_with_the_same_short_id_stay_two_stories(hub: Hub) -> None:
    event = fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund")
    other = renamed([event], "another-job")[0]
    other["payload"] |= {"tenantOrderId": "ORDER-9", "processRef": "another-process"}
    hub.tell(event, other)
    assert "number" not in hub.document(ORDER_3333)
    assert hub.facts("another-job") == hub.facts(ORDER_3333)


# --- decisions -----------------------------------------------------------------------------------


def test_5_a_finished_return_with_a_waiting_line_pays_nothing_and_a_late_acceptance_counts_once(hub: Hub) -> None:
    waiting, rejected = chain("order_2222")
    hub.tell(waiting)
    assert hub.effects(ORDER_2222) == ["return.registered"]
    hub.tell(rejected)
    (line,) = hub.document(ORDER_2222)["lines"]
    assert line["quantity"] == {"announced": 1, "delivered": 1, "received": 1, "accepted": 0, "rejected": 1}
    assert not [effect for effect in hub.effects(ORDER_2222) if "accepted" in effect or "refund" in effect]
    accepted = copy.deepcopy(rejected)
    accepted["payload"]["version"], accepted["eventId"] = 8, "accepted-after-all"
    accepted["payload"]["itemReturns"][0]["returnedLineItems"][0]["status"] = "ACCEPTED"
    hub.tell(accepted, {**accepted, "eventId": "again"})
    assert hub.effects(ORDER_2222).count(f"line.accepted {line['key']}") == 1


def test_6_a_rejection_that_overtakes_the_acceptance_pays_nothing(hub: Hub) -> None:
    steps = ((2, {"status": "WAITING_FOR_INPUT"}), (3, {"status": "ACCEPTED"}), (4, {"status": "REJECTED"}))
    waiting, accepted, rejected = snapshots(MUG, *steps)
    hub.tell(waiting, rejected, accepted)
    assert not [effect for effect in hub.effects(MUG["id"]) if "accepted" in effect or "refund" in effect]
    assert hub.document(MUG["id"])["lines"][0]["state"] == "rejected"


def test_6_a_rejection_after_the_refund_was_carried_out_raises_a_task_and_undoes_nothing(hub: Hub) -> None:
    refund = {"status": "CLOSED", "percent": 100}
    accepted, rejected = snapshots(MUG, (3, {"status": "ACCEPTED", "refund": refund}), (4, {"status": "REJECTED"}))
    hub.tell(accepted)
    before = hub.effects(MUG["id"])
    hub.tell(rejected)
    assert [effect for effect in hub.effects(MUG["id"]) if "accepted" in effect or "refund" in effect] == before[1:]
    assert "line.reversed" in hub.facts(MUG["id"])
    assert len(hub.ledger.tasks({}, 100)) == 1


def test_6_confirmed_calls_are_not_made_when_the_decision_was_taken_back_meanwhile(hub: Hub) -> None:
    hub.use(
        "routes:\n  - {route: pay, change: line.accepted, source: fft, confirm: true,"
        " calls: [{to: book.note, mapping: return.to_acme_book}]}\n"
    )
    (accepted,) = snapshots(MUG, (3, {"status": "ACCEPTED"}))
    now = copy.deepcopy(accepted["payload"])
    now["version"] = 4
    now["itemReturns"][0]["returnedLineItems"][0]["status"] = "REJECTED"
    hub.jobs.seed({"jobs": [now]})
    hub.tell(accepted)
    assert hub.effects(MUG["id"]) == []
    assert [row["state"] for row in hub.deliveries()] == ["skipped"]


def test_7_the_same_version_with_another_body_is_decided_by_reading_the_job(hub: Hub) -> None:
    (accepted,) = snapshots(MUG, (3, {"status": "ACCEPTED"}))
    (rejected,) = snapshots(MUG, (3, {"status": "REJECTED"}))
    hub.jobs.seed({"jobs": [accepted["payload"]]})
    hub.tell(accepted, {**rejected, "eventId": "liar"})
    hub.later()
    assert hub.document(MUG["id"])["lines"][0]["state"] == "accepted"
    assert not [effect for effect in hub.effects(MUG["id"]) if "rejected" in effect]
    assert hub.calls() == ["get_job"]


def test_8_an_item_return_that_vanishes_after_its_refund_raises_a_task(hub: Hub) -> None:
    hub.tell(fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund"))
    before = hub.effects(ORDER_3333)
    gone = fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund")
    gone["eventId"], gone["payload"]["version"], gone["payload"]["itemReturns"] = "gone", 9, []
    hub.tell(gone)
    assert "line.removed" in hub.facts(ORDER_3333)
    assert hub.effects(ORDER_3333) == before
    assert hub.ledger.tasks({}, 100)


@pytest.mark.parametrize("at_once", [True, False])
def test_8_lines_that_replace_refunded_ones_are_not_refunded_again(hub: Hub, at_once: bool) -> None:
    hub.tell(fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund"))
    before = hub.effects(ORDER_3333)
    gone, replaced = (fixture("ITEM_RETURN_JOB_UPDATED__order_3333_v6_refund") for _ in range(2))
    gone["eventId"], gone["payload"]["version"], gone["payload"]["itemReturns"] = "gone", 8, []
    replaced["eventId"], replaced["payload"]["version"] = "replaced", 9
    replaced["payload"]["itemReturns"][0]["returnedLineItems"][0]["id"] = "another-id"
    hub.tell(*([replaced] if at_once else [gone, replaced]))
    assert hub.effects(ORDER_3333) == before
    kinds = [task["kind"] for task in hub.ledger.tasks({}, 100)]
    assert "reversal" in kinds and kinds.count("law") == 3


def test_8_a_second_unit_of_an_article_is_paid_for_like_the_first(hub: Hub) -> None:
    line = {"sku": "MUG", "status": "ACCEPTED"}
    spec = {"order": "ORDER-5002", "articles": [{"sku": "MUG", "delivered": 2}], "returns": [{"lines": [line]}]}
    first, second = (
        build_job(spec),
        build_job({**spec, "version": 2, "returns": [{"lines": [line]}, {"lines": [line]}]}),
    )
    events = [
        {"event": "ITEM_RETURN_JOB_UPDATED", "payload": job, "eventId": str(job["version"])} for job in (first, second)
    ]
    hub.tell(*events)
    assert len([effect for effect in hub.effects(first["id"]) if "line.accepted" in effect]) == 2
    assert hub.ledger.tasks({}, 100) == []


def test_an_anonymised_job_is_no_removal_of_anything(hub: Hub) -> None:
    event = fixture("ITEM_RETURN_JOB_UPDATED__not_returnable_line_and_percent")
    hub.tell(event)
    job, before = event["payload"]["id"], hub.facts(event["payload"]["id"])
    hub.tell({**fixture("ITEM_RETURN_JOB_UPDATED__anonymized"), "eventId": "anonymised"})
    assert hub.facts(job) == before
    assert "customer" not in hub.document(job)


# --- what nobody knows ---------------------------------------------------------------------------


def test_9_an_unknown_word_parks_its_event_and_later_events_of_the_job_go_on(hub: Hub) -> None:
    held, accepted = snapshots(MUG, (2, {"status": "ON_HOLD"}), (5, {"status": "ACCEPTED"}))
    hub.tell(held)
    (parked,) = hub.events()
    assert parked["state"] == "parked" and "'ON_HOLD'" in parked["because"]
    hub.tell(accepted)
    assert hub.document(MUG["id"])["lines"][0]["state"] == "accepted"
    table = Path(__file__).parents[2] / "mappings/tables/fulfillmenttools_line_state.csv"
    known = table.read_text(encoding="utf-8") + "ON_HOLD,in_review\n"
    hub.use(ROUTES, **{"mappings/tables/fulfillmenttools_line_state.csv": known})
    hub.ledger.retry([parked["id"]], "test")
    hub.run()
    assert {row["state"] for row in hub.events()} == {"done"}
    assert hub.document(MUG["id"])["version"] == 5


@pytest.mark.parametrize("word", ["OBSOLETE", "CANCELED"])
def test_9_an_item_return_that_counts_no_more_counts_for_nothing(hub: Hub, word: str) -> None:
    (event,) = snapshots(MUG, (2, {"status": "ACCEPTED"}))
    event["payload"]["itemReturns"][0]["status"] = word
    hub.tell(event)
    assert hub.document(MUG["id"])["lines"][0]["state"] == "cancelled"
    assert hub.effects(MUG["id"]) == ["return.registered"]


def test_9_missing_addresses_and_unknown_keys_are_no_fault(hub: Hub) -> None:
    (event,) = snapshots(MUG, (2, {"status": "ACCEPTED", "newField": {"a": [1]}}))
    del event["payload"]["consumerAddresses"]
    event["payload"]["somethingNew"] = [1, 2]
    event["more"] = True
    hub.tell(event)
    assert [row["state"] for row in hub.events()] == ["done"]


# --- the door ------------------------------------------------------------------------------------


def test_10_the_answer_is_exactly_200_whatever_came(hub: Hub) -> None:
    messages: list[Any] = [
        fixture("ITEM_RETURN_JOB_CREATED__order_1234_v1"),
        {"event": "RETURN_CREATED", "payload": {}, "eventId": "legacy"},
        {"event": "SOMETHING_NEW", "eventId": "new"},
        {"eventId": "no type"},
        b"not json at all",
        b"[]",
    ]
    assert [hub.post(message) for message in messages] == [200] * len(messages)
    hub.run()
    states = sorted(row["state"] for row in hub.events())
    assert states == ["done", "unknown", "unknown", "unreadable", "unreadable", "unreadable"]


def test_10_a_write_that_failed_is_never_answered_with_200(hub: Hub) -> None:
    hub.ledger.gone = True
    assert hub.post(fixture("ITEM_RETURN_JOB_CREATED__order_1234_v1")) == 503
    hub.ledger.gone = False
    hub.tell(fixture("ITEM_RETURN_JOB_CREATED__order_1234_v1"))
    assert hub.facts(ORDER_1234) == ["return.registered"]


@pytest.mark.parametrize(("secret", "status"), [(SECRETS[0], 200), (SECRETS[1], 200), ("Bearer x", 401), ("", 401)])
def test_each_of_several_secrets_is_accepted_and_nothing_else(hub: Hub, secret: str, status: int) -> None:
    assert hub.post(fixture("ITEM_RETURN_JOB_CREATED__order_1234_v1"), secret=secret) == status
    assert len(hub.events()) == (status == 200)


def test_the_secret_may_come_in_a_header_of_another_name(hub: Hub) -> None:
    named = CONNECTIONS.replace("      webhook_secrets", "      webhook_header: X-Backhaul\n      webhook_secrets")
    hub.use(ROUTES, **{"config/connections.yaml": named})
    event = fixture("ITEM_RETURN_JOB_CREATED__order_1234_v1")
    assert hub.post(event) == 401
    assert hub.post(event, **{"X-Backhaul": SECRETS[1]}) == 200


def test_a_secret_is_nowhere_in_what_was_kept(hub: Hub) -> None:
    hub.tell(fixture("ITEM_RETURN_JOB_CREATED__order_1234_v1"))
    (row,) = hub.events()
    assert SECRETS[0] not in str(hub.ledger.event(row["id"]))
