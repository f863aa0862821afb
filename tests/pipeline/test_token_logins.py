"""Connections that have to log in: one login for all, renewed in time, and no secret left anywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import redis

from app.adapters.ledger import Ledger
from app.adapters.system import SystemIds
from app.adapters.token_store import TokenStore
from app.model import Outcome
from app.pipeline.call import Blocked, Called
from tests.pipeline.token_kit import PASSWORD, House, Worker, standing
from tests.support import HandClock

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def place() -> Iterator[tuple[House, str, str]]:
    with standing() as found:
        yield found


@pytest.fixture
def house(place: tuple[House, str, str]) -> House:
    return place[0]


@pytest.fixture
def worker(place: tuple[House, str, str], tmp_path: Path, ledger: Ledger, clock: HandClock) -> Worker:
    """A process alone, without Redis."""
    return Worker(tmp_path, place[1:], ledger, clock)


@pytest.fixture
def store(redis_url: str) -> Iterator[TokenStore]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    made = TokenStore(redis_url)
    yield made
    made.close()


def seen(called: Any) -> str:
    assert isinstance(called, Called), called
    assert called.response is not None
    assert called.outcome.result == "delivered", called.outcome
    return f"tok-{called.response.body['seen']}"


def test_a_call_carries_the_token_of_one_login_for_all_calls(house: House, worker: Worker) -> None:
    for _ in range(3):
        worker.call()
    assert house.used == ["Bearer tok-0001"] * 3
    assert [path for path, _, _ in house.asked] == ["/login"]
    assert json.loads(house.asked[0][2]) == {"user": "shop@acme.example", "password": PASSWORD}


@pytest.mark.parametrize("lasts", ["3600", 3600, "3600.5"])
def test_a_token_is_renewed_before_it_ends(house: House, worker: Worker, clock: HandClock, lasts: Any) -> None:
    house.lasts = lasts
    worker.call()
    clock.move(3530)
    worker.call()
    assert house.count("/refresh") == 0
    clock.move(15)  # less than a minute is left
    worker.call()
    assert house.count("/refresh") == 1
    assert house.used[-1] == "Bearer tok-0002"
    form = parse_qs(house.asked[-1][2])
    assert house.asked[-1][1] == "application/x-www-form-urlencoded"
    assert form == {"grant_type": ["refresh_token"], "refresh_token": ["ref-0001"]}


def test_a_renewal_uses_what_the_last_renewal_gave(house: House, worker: Worker, clock: HandClock) -> None:
    for _ in range(3):
        worker.call()
        clock.move(3550)
    assert [parse_qs(body)["refresh_token"][0] for path, _, body in house.asked if path == "/refresh"] == [
        "ref-0001",
        "ref-0002",
    ]


def test_a_refused_renewal_becomes_a_login(house: House, worker: Worker, clock: HandClock) -> None:
    worker.call()
    house.says["/refresh"].append((400, {"error": {"message": "TOKEN_EXPIRED"}}))
    clock.move(3550)
    worker.call()
    assert (house.count("/refresh"), house.count("/login")) == (1, 2)


def test_while_a_renewal_fails_the_old_token_is_used_to_its_end(house: House, worker: Worker, clock: HandClock) -> None:
    worker.call()
    house.says["/refresh"].extend([(503, {})] * 5)
    clock.move(3550)
    assert seen(worker.call()) == "tok-0001"
    assert seen(worker.call()) == "tok-0001"
    assert house.count("/refresh") == 1, "a renewal that failed a moment ago is not tried with each call"
    clock.move(3)
    worker.call()
    assert house.count("/refresh") == 2
    clock.move(60)
    assert isinstance(worker.call(), Blocked)


def test_a_refused_token_is_replaced_by_one_new_login(house: House, worker: Worker) -> None:
    worker.call()
    house.refuses.add("tok-0001")
    assert seen(worker.call("make")) == "tok-0002"
    assert house.used == ["Bearer tok-0001", "Bearer tok-0001", "Bearer tok-0002"]
    assert (house.count("/login"), house.count("/refresh")) == (2, 0)


def test_a_second_refusal_pauses_the_connection(house: House, worker: Worker, ledger: Ledger) -> None:
    house.refuses_all = True
    called = worker.call("make")
    assert isinstance(called, Called)
    assert called.outcome.pause and called.outcome.status == 401
    assert ledger.lane_state("acme_eu").paused
    assert isinstance(worker.call("make"), Blocked)
    assert (len(house.used), house.count("/login")) == (2, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 302])
def test_a_refused_login_pauses_the_connection_with_the_vendors_words(
    house: House, worker: Worker, ledger: Ledger, status: int
) -> None:
    house.says["/login"].append((status, {"error": {"message": f"INVALID {PASSWORD} of shop@acme.example"}}))
    blocked = worker.call()
    assert isinstance(blocked, Blocked)
    assert blocked.until is None
    state = ledger.lane_state("acme_eu")
    assert state.paused
    assert f"login refused, {status}: INVALID *** of ***" in state.because
    assert isinstance(worker.call(), Blocked)
    assert (house.count("/login"), house.used) == (1, [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"idToken": None, "refreshToken": "r", "expiresIn": "60"}, "the answer holds no token"),
        ({"refreshToken": "r", "expiresIn": "60"}, "idToken"),
        ({"idToken": "t", "refreshToken": "r", "expiresIn": "soon"}, "is no number of seconds"),
        ({"idToken": "t\n", "refreshToken": "r", "expiresIn": "60"}, "the answer holds no token"),
    ],
)
def test_an_answer_without_a_token_pauses_it_too(
    house: House, worker: Worker, ledger: Ledger, answer: Any, told: str
) -> None:
    house.says["/login"].append((200, answer))
    assert isinstance(worker.call(), Blocked)
    assert ledger.lane_state("acme_eu").paused
    assert told in ledger.lane_state("acme_eu").because


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_login_that_fails_for_the_moment_blocks_until_later(
    house: House, worker: Worker, ledger: Ledger, clock: HandClock, status: int
) -> None:
    house.says["/login"].append((status, {"message": "busy"}))
    blocked = worker.call()
    assert isinstance(blocked, Blocked)
    assert blocked.until is not None and blocked.until > clock.now()
    assert not ledger.lane_state("acme_eu").paused
    clock.move(6)
    assert seen(worker.call()) == "tok-0001"


@pytest.mark.parametrize("asked", [7.0, 1e6, 1e300])
def test_a_login_is_put_off_for_no_more_than_a_day(worker: Worker, clock: HandClock, asked: float) -> None:
    until = worker.caller._later(Outcome("retry", "busy", "remote", 429, asked))
    assert until == clock.now() + timedelta(seconds=min(asked, 86_400))


def test_nobody_at_the_logins_door_blocks_until_later(
    place: tuple[House, str, str], tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    worker = Worker(tmp_path, (place[1], "http://127.0.0.1:1"), ledger, clock)
    blocked = worker.call()
    assert isinstance(blocked, Blocked)
    assert "login failed: no connection" in blocked.because
    assert not ledger.lane_state("acme_eu").paused


def test_logins_that_keep_failing_open_the_breaker(
    place: tuple[House, str, str], tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    worker = Worker(tmp_path, (place[1], "http://127.0.0.1:1"), ledger, clock)
    for _ in range(5):
        worker.call()
        clock.move(6)
    assert ledger.lane_state("acme_eu").opened_times == 1


def test_all_workers_share_one_login(
    place: tuple[House, str, str], store: TokenStore, tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    workers = [Worker(tmp_path / str(number), place[1:], ledger, clock, store) for number in range(4)]
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda number: seen(workers[number % 4].call()), range(96)))
    assert set(found) == {"tok-0001"}
    assert place[0].count("/login") == 1


def test_a_token_refused_to_all_at_once_is_replaced_once(
    place: tuple[House, str, str], store: TokenStore, tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    house = place[0]
    workers = [Worker(tmp_path / str(number), place[1:], ledger, clock, store) for number in range(4)]
    for one in workers:
        one.call()
    house.refuses.add("tok-0001")
    with ThreadPoolExecutor(24) as pool:
        found = set(pool.map(lambda number: seen(workers[number % 4].call("make")), range(48)))
    assert found == {"tok-0002"}
    assert house.count("/login") == 2


def test_who_waited_for_a_login_that_was_refused_makes_none_of_its_own(
    place: tuple[House, str, str], store: TokenStore, tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    house = place[0]
    house.says["/login"].extend([(400, {"message": "no"})] * 50)
    workers = [Worker(tmp_path / str(number), place[1:], ledger, clock, store) for number in range(4)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: workers[number % 4].call(), range(16)))
    assert all(isinstance(one, Blocked) for one in found)
    assert house.count("/login") == 1


def test_the_lock_of_a_worker_that_died_ends_by_itself(
    place: tuple[House, str, str], store: TokenStore, tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    from app.pipeline import tokens_login

    worker = Worker(tmp_path, place[1:], ledger, clock, store)
    key = tokens_login._key(worker.site.connections["acme_eu"])
    assert store.lock(key, "the dead one", 0.3)
    assert seen(worker.call()) == "tok-0001"
    assert store.lock(key, "somebody else", 1), "its own lock was given back"


def test_without_redis_each_process_logs_in_for_itself(
    place: tuple[House, str, str], tmp_path: Path, ledger: Ledger, clock: HandClock
) -> None:
    gone = TokenStore(f"unix://{tmp_path}/nobody.sock")
    workers = [Worker(tmp_path / str(number), place[1:], ledger, clock, gone) for number in range(2)]
    assert [seen(one.call()) for one in workers for _ in range(2)] == ["tok-0001", "tok-0001", "tok-0002", "tok-0002"]
    assert place[0].count("/login") == 2
    gone.close()


def test_another_password_is_another_login(
    place: tuple[House, str, str],
    store: TokenStore,
    tmp_path: Path,
    ledger: Ledger,
    clock: HandClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Worker(tmp_path / "a", place[1:], ledger, clock, store).call()
    monkeypatch.setattr("tests.pipeline.token_kit.PASSWORD", "the new one")
    Worker(tmp_path / "b", place[1:], ledger, clock, store).call()
    assert place[0].count("/login") == 2


def test_a_token_that_a_target_repeats_is_hidden_in_what_is_kept(house: House, worker: Worker) -> None:
    house.says["/things"].append((200, {"message": "you sent tok-0001", "tok-0001": ["x tok-0001"]}))
    called = worker.call()
    assert isinstance(called, Called)
    kept = called.attempt(SystemIds(), "call", 1)
    assert "tok-0001" not in repr(kept), kept
    assert kept.response["body"] == {"message": "you sent ***", "***": ["x ***"]}
    assert {"tok-0001", "ref-0001"} <= set(worker.hidden), "the log knows what to hide"


def test_no_login_is_made_for_a_connection_that_is_paused(house: House, worker: Worker, ledger: Ledger) -> None:
    ledger.pause("acme_eu", "by hand", "test")
    assert isinstance(worker.call(), Blocked)
    assert house.asked == []


def test_calls_go_on_with_the_old_token_while_another_thread_renews_it(
    house: House, worker: Worker, clock: HandClock
) -> None:
    worker.call()
    clock.move(3550)
    house.held.clear()
    renewing = threading.Thread(target=worker.call)
    renewing.start()
    try:
        for _ in range(1000):
            if house.count("/refresh"):
                break
            renewing.join(0.01)
        house_used = len(house.used)
        other = threading.Thread(target=worker.call)
        other.start()
        for _ in range(1000):
            if len(house.used) > house_used:
                break
            other.join(0.01)
        assert house.used[-1] == "Bearer tok-0001"
    finally:
        house.held.set()
        renewing.join(10)
        other.join(10)
