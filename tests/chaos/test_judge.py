"""The judge sees each kind of violation, and nothing where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chaos.judge import judge, overlaps
from chaos.plan import Effect, Message, Recorded, SourcePlan, Try, Violation, effect

HEADERS: dict[str, str] = {}


def request(number: int, object_id: str, quantity: int = 1, rank: int = 0, **more: Any) -> Recorded:
    """A request that put so many pieces of an object somewhere."""
    made = {
        "simulator": "store",
        "number": number,
        "at": float(number),
        "ended_at": number + 0.1,
        "operation": "put",
        "path": f"/{object_id}",
        "headers": {"Idempotency-Key": f"dlv_{object_id}.{rank}"},
        "body": {"object": object_id, "quantity": quantity, "rank": rank},
        "status": 200,
        "effect": f"put {quantity} of {object_id}",
    }
    return Recorded(**{**made, **more})


def read(recorded: Recorded) -> Effect | None:
    if recorded.operation != "put":
        return None
    return effect("put", recorded.body["object"], str(recorded.body["quantity"]), str(recorded.body["rank"]))


def plan_of(*wanted: tuple[str, int, int]) -> SourcePlan:
    """A plan of one message for each (object, quantity, rank) that is to be put."""
    plan = SourcePlan("puts", effect_of=read)
    plan.rank_of = lambda recorded: (recorded.body["object"], recorded.body["rank"])
    for place, (object_id, quantity, rank) in enumerate(wanted):
        key = effect("put", object_id, str(quantity), str(rank))
        plan.messages.append(Message("shop", object_id, f"e{place}", 0.0, b"", lambda now: HEADERS))
        plan.expected[key] += 1
        plan.needs[key] = frozenset({f"e{place}"})
    return plan


def answers(plan: SourcePlan, *statuses: int) -> list[Try]:
    """One try of each message, answered with these statuses (200 for the rest)."""
    told = [*statuses, *[200] * len(plan.messages)]
    return [Try(one.source, one.object_id, one.event_id, 0.0, 0.01, told[n]) for n, one in enumerate(plan.messages)]


def kinds(plan: SourcePlan, tries: Sequence[Try], *recorded: Recorded, **more: Any) -> list[str]:
    return [one.kind for one in found(plan, tries, *recorded, **more)]


def found(plan: SourcePlan, tries: Sequence[Try], *recorded: Recorded, **more: Any) -> list[Violation]:
    return judge([plan], tries, recorded, timeout_s=3.0, **more).violations


TWO = (("A", 1, 0), ("B", 2, 0))


def test_nothing_is_wrong_when_every_effect_is_there_once() -> None:
    plan = plan_of(*TWO)
    verdict = judge([plan], answers(plan), [request(1, "A"), request(2, "B", 2)], timeout_s=3.0)
    assert verdict.violations == []
    assert (verdict.answered["puts"], verdict.demanded["puts"], verdict.found["puts"]) == (2, 2, 2)


def test_a_lost_effect_is_seen_with_its_event() -> None:
    plan = plan_of(*TWO)
    (lost,) = found(plan, answers(plan), request(1, "A"))
    assert (lost.kind, lost.object_id, lost.event_id) == ("lost", "B", "e1")


def test_an_effect_is_not_demanded_of_an_event_that_was_never_taken() -> None:
    plan = plan_of(*TWO)
    verdict = judge([plan], answers(plan, 200, 503), [request(1, "A")], timeout_s=3.0)
    assert verdict.violations == []
    assert verdict.unanswered == Counter({"puts": 1})


def test_but_it_may_be_there_for_the_answer_can_have_been_lost() -> None:
    plan = plan_of(*TWO)
    assert kinds(plan, answers(plan, 200, 0), request(1, "A"), request(2, "B", 2)) == []


def test_an_event_that_was_taken_at_last_is_demanded() -> None:
    plan = plan_of(("A", 1, 0))
    tries = [*answers(plan, 503), *answers(plan, 200)]
    assert kinds(plan, tries) == ["lost"]


def test_a_double_effect_is_seen() -> None:
    plan = plan_of(*TWO)
    again = request(3, "A", headers={"Idempotency-Key": "dlv_other.0"})
    (twice,) = found(plan, answers(plan), request(1, "A"), request(2, "B", 2), again)
    assert (twice.kind, twice.object_id) == ("twice", "A")
    assert "dlv_A.0" in twice.what and "dlv_other.0" in twice.what


def test_a_request_without_effect_is_no_second_effect() -> None:
    plan = plan_of(("A", 1, 0))
    assert kinds(plan, answers(plan), request(1, "A"), request(2, "A", effect="")) == []


def test_a_double_effect_is_seen_though_its_event_was_never_taken() -> None:
    plan = plan_of(("A", 1, 0))
    assert kinds(plan, answers(plan, 0), request(1, "A"), request(2, "A")) == ["twice"]


def test_a_wrong_quantity_is_told_as_such_and_not_as_a_loss() -> None:
    plan = plan_of(*TWO)
    (wrong,) = found(plan, answers(plan), request(1, "A"), request(2, "B", 3))
    assert (wrong.kind, wrong.object_id, wrong.event_id) == ("wrong", "B", "e1")


def test_the_right_effect_and_a_wrong_one_of_the_same_object_are_wrong() -> None:
    plan = plan_of(*TWO)
    assert kinds(plan, answers(plan), request(1, "A"), request(2, "B", 2), request(3, "B", 3)) == ["wrong"]


def test_an_effect_that_nobody_asked_for_is_seen() -> None:
    plan = plan_of(("A", 1, 0))
    (strange,) = found(plan, answers(plan), request(1, "A"), request(2, "C"))
    assert (strange.kind, strange.object_id) == ("uncalled", "C")


def test_an_effect_that_no_source_knows_is_seen_too() -> None:
    plan = plan_of(("A", 1, 0))
    (strange,) = found(plan, answers(plan), request(1, "A"), request(2, "A", operation="burn"))
    assert (strange.kind, strange.simulator) == ("uncalled", "store")


def test_older_after_newer_is_seen() -> None:
    plan = plan_of(("A", 1, 1), ("A", 2, 2))
    assert kinds(plan, answers(plan), request(1, "A", 1, 1), request(2, "A", 2, 2)) == []
    (order,) = found(plan, answers(plan), request(1, "A", 2, 2), request(2, "A", 1, 1))
    assert (order.kind, order.object_id) == ("order", "A")


def test_the_order_of_arrival_counts_and_not_of_the_list() -> None:
    plan = plan_of(("A", 1, 1), ("A", 2, 2))
    assert kinds(plan, answers(plan), request(2, "A", 2, 2), request(1, "A", 1, 1)) == []


def test_what_a_source_says_of_its_outcomes_is_a_violation() -> None:
    plan = plan_of(("A", 1, 0))
    plan.check = lambda recorded, answered: [Violation("outcome", f"{len(recorded)} {sorted(answered)}")]
    (outcome,) = found(plan, answers(plan), request(1, "A"))
    assert outcome.what == "1 ['e0']"


def test_an_answer_to_a_message_of_no_plan_is_seen() -> None:
    plan = plan_of(("A", 1, 0))
    tries = [*answers(plan), Try("shop", "Z", "e9", 0.0, 0.1, 200)]
    (strange,) = found(plan, tries, request(1, "A"))
    assert (strange.kind, strange.event_id) == ("event", "e9")


# --- two workers on one delivery ------------------------------------------------------------------


def overlapping(first: dict[str, Any], second: dict[str, Any], kills: Sequence[float] = ()) -> list[str]:
    made = [request(1, "A", **first), request(2, "A", **second)]
    return [one.kind for one in overlaps(made, timeout_s=3.0, kills=kills)]


def test_two_requests_at_once_with_one_key_are_two_workers() -> None:
    assert overlapping({"at": 10.0, "ended_at": 11.0}, {"at": 10.5, "ended_at": 10.6}) == ["overlap"]
    assert overlapping({"at": 10.0, "ended_at": 11.0}, {"at": 11.5, "ended_at": 11.6}) == []


def test_other_keys_other_systems_and_no_key_are_not() -> None:
    first = {"at": 10.0, "ended_at": 11.0}
    for other in ({"headers": {"Idempotency-Key": "dlv_B.0"}}, {"simulator": "shop"}, {"headers": {}}):
        assert overlapping(first, {"at": 10.5, "ended_at": 10.6, **other}) == []


def test_a_request_that_is_still_held_when_the_hub_has_given_up_is_not() -> None:
    for ended_at in (70.0, 0.0):
        held = {"at": 10.0, "ended_at": ended_at, "misbehaved": "timeout"}
        assert overlapping(held, {"at": 12.9, "ended_at": 13.0}) == ["overlap"]
        assert overlapping(held, {"at": 13.1, "ended_at": 13.2}) == []


def test_the_request_of_a_killed_worker_is_over_when_it_was_killed() -> None:
    held = {"at": 10.0, "ended_at": 12.0, "misbehaved": "slow"}
    assert overlapping(held, {"at": 11.0, "ended_at": 11.1}, kills=[10.5]) == []
    assert overlapping(held, {"at": 11.0, "ended_at": 11.1}, kills=[9.0, 11.5]) == ["overlap"]


def test_a_third_that_overlaps_the_first_only_is_seen() -> None:
    made = [
        request(1, "A", at=10.0, ended_at=12.5),
        request(2, "A", at=10.5, ended_at=10.6),
        request(3, "A", at=12.0, ended_at=12.1),
    ]
    assert len(overlaps(made, timeout_s=3.0)) == 2


def test_a_call_that_takes_down_one_worker_after_the_other_is_seen() -> None:
    plan, dead = plan_of(), {"misbehaved": "kill_caller", "effect": "", "status": 0}
    five = [request(number, "A", **dead) for number in range(1, 6)]
    assert kinds(plan, [], *five) == []
    assert kinds(plan, [], *five, request(6, "B", **dead)) == []
    assert kinds(plan, [], *five, request(6, "A", effect="", status=503), request(7, "A", **dead)) == []
    assert kinds(plan, [], *five, request(6, "A", **dead)) == ["deadly"]
