"""The door of the real web process: what nobody should send is refused, and those who hold it up are shown out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.door_kit import PATH, Crowd, Web, head, message, p95_ms, raise_file_limit, running_web
from tests.e2e.stack import wait_for

END = b"\r\n"
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = "Content-Length: 3"
#: What a request is like, its bytes, and the statuses that may answer it; 0: closed without a word, or, of what is too
#: long to be read to its end, with one that the closing overtook.
REQUESTS = [
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    ("words", b"GIVE ME EVERYTHING\r\n\r\n", {400}),
    ("HTTP/0.9", b"GET /\r\n\r\n", {400}),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {0, 400, 505}),
    ("an unknown method", f"BREW {PATH} HTTP/1.1\r\nHost: hub\r\n\r\n".encode(), {405}),
    ("CONNECT", b"CONNECT hub:1 HTTP/1.1\r\nHost: hub\r\n\r\n", {404, 405}),
    ("an endless path", head(LENGTH, path="/webhooks/" + "a" * 15_000) + END + b"abc", {404, 414}),
    ("a path beyond all bounds", head(LENGTH, path="/webhooks/" + "a" * 100_000) + END + b"abc", {0, 414, 431}),
    ("a NUL in the path", head(LENGTH, path="/webhooks/%00%ff") + END + b"abc", {404}),
    ("dots in the path", head(LENGTH, path="/webhooks/../../etc/passwd") + END + b"abc", {404, 405}),
    ("200 headers", head(*(f"X-{n}: a" for n in range(200)), LENGTH) + END + b"abc", {431}),
    ("100,000 headers", head(*(f"X-{n}: a" for n in range(100_000)), LENGTH) + END + b"abc", {0, 431}),
    ("a header of 20 kB", head("X-A: " + "a" * 20_000, LENGTH) + END + b"abc", {0, 431}),
    ("a header of 5 MB", head("X-A: " + "a" * 5_000_000, LENGTH) + END + b"abc", {0, 431}),
    ("a NUL in a header", head("X-A: a\x00b", LENGTH) + END + b"abc", {400}),
    ("a bare line feed in a header", head("X-A: a\nX-B : b", LENGTH) + END + b"abc", {400}),
    ("a folded header", head("X-A: a\r\n b", LENGTH) + END + b"abc", {400}),
    ("a space before the colon", head("Content-Length : 3") + END + b"abc", {400}),
    ("a header that is no text", head("X-A: \xff\xfe", LENGTH) + END + b"abc", {401}),
    ("a negative length", head("Content-Length: -1") + END + b"abc", {400}),
    ("a length with a sign", head("Content-Length: +3") + END + b"abc", {400}),
    ("a length in words", head("Content-Length: three") + END + b"abc", {400}),
    ("a length beyond 64 bits", head("Content-Length: " + "9" * 30) + END + b"abc", {400}),
    ("a length of a terabyte", head("Content-Length: 1000000000000") + END + b"abc", {413}),
    ("two lengths", head(LENGTH, "Content-Length: 4") + END + b"abcd", {400}),
    ("a length and chunks", head(LENGTH, CHUNKED) + END + b"3\r\nabc\r\n0\r\n\r\n", {400, 401}),
    ("an unknown transfer encoding", head("Transfer-Encoding: gzip") + END + b"abc", {400, 501}),
    ("chunked, misspelt", head("Transfer-Encoding: xchunked") + END + b"abc", {400, 501}),
    ("a chunk of no size", head(CHUNKED) + END + b"zz\r\nabc\r\n0\r\n\r\n", {400, 401}),
    ("a chunk of a negative size", head(CHUNKED) + END + b"-3\r\nabc\r\n0\r\n\r\n", {400, 401}),
    ("a chunk beyond 64 bits", head(CHUNKED) + END + b"f" * 20 + b"\r\nabc\r\n0\r\n\r\n", {0, 400, 401}),
    ("an endless size of a chunk", head(CHUNKED) + END + b"3;" + b"x" * 100_000 + b"\r\nabc\r\n", {0, 400, 401}),
    ("endless trailers", head(CHUNKED) + END + b"0\r\n" + b"X-A: a\r\n" * 50_000 + END, {0, 400, 401}),
    ("more chunks than may be", head(CHUNKED) + END + (b"10000\r\n" + b" " * 65_536 + END) * 40, {0, 413}),
    ("garbage after the body", head(LENGTH) + END + b"abc\x00\x01\x02 GARBAGE\r\n\r\n", {401}),
    ("100 requests at once", (head(LENGTH) + END + b"abc") * 100, {401}),
    ("the promise of a large body", head("Expect: 100-continue", "Content-Length: 30000000") + END, {413}),
    ("another protocol wanted", head("Connection: upgrade", "Upgrade: h2c", LENGTH) + END + b"abc", {401}),
    (
        "another host in the request line",
        f"POST http://evil{PATH} HTTP/1.1\r\n{LENGTH}\r\n\r\nabc".encode(),
        {401, 400},
    ),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process that the tests share, on each kind of ledger."""
    url = str(request.getfixturevalue("postgres").create("door")) if request.param == "postgresql" else ""
    with running_web(tmp_path_factory.mktemp("door"), url) as running:
        yield running


def status(answer: bytes) -> int:
    """The status of an answer; 0 when there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


@pytest.mark.parametrize(("sent", "allowed"), [one[1:] for one in REQUESTS], ids=[one[0] for one in REQUESTS])
def test_a_bad_request_is_refused_and_good_ones_go_on(web: Web, sent: bytes, allowed: set[int]) -> None:
    answer = web.raw(sent)
    assert status(answer) in allowed, answer[:300]
    assert b"Traceback" not in answer
    assert web.deliver() == 1


def test_a_body_shorter_than_its_length_is_no_message(web: Web) -> None:
    body, headers = message()
    signed = head(*(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body) + 5}")
    answer = web.raw(signed + END + body, half_close=True)
    assert status(answer) == 400 and b"cut off" in answer
    # The very same message, whole, is no duplicate of that.
    assert web.send(body, headers)[0] == 200


def test_what_follows_a_body_is_never_taken_for_a_part_of_it(web: Web) -> None:
    body, headers = message()
    signed = head(*(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body)}")
    assert status(web.raw(signed + END + body + b'{"more": 1}')) == 200


def test_nothing_of_all_that_broke_the_hub(web: Web) -> None:
    # The last one here: what the others did is in the log by now.
    assert "web.failed" not in web.log() and "Traceback" not in web.log() and "panicked" not in web.log()


def test_a_rate_holds_at_the_real_door(tmp_path: Path) -> None:
    with running_web(tmp_path, limits="inbound: {rate: 6/m, burst: 3}, ") as web:
        answers = [web.send(*message()) for _ in range(5)]
        assert [code for code, _ in answers] == [200, 200, 200, 429, 429]
        assert all(1 <= int(headers["retry-after"]) <= 10 for _, headers in answers[3:])
        counted = 'backhaul_rejected_total{cause="too many",connection="wms"} 2.0'
        wait_for("the refusals are counted", lambda: counted in web.get("/metrics")[1])


def test_slow_bodies_take_no_thread_from_good_messages(tmp_path: Path) -> None:
    # Nearly twice as many as there are threads that work, and not yet a crowd.
    with running_web(tmp_path) as web:
        slow = [web.connect() for _ in range(60)]
        for one in slow:
            one.sendall(head("Content-Length: 2") + END + b"{")
        assert [web.deliver() for _ in range(5)] == [1] * 5
        for one in slow:
            one.sendall(b"}")
        # Nobody had to leave for that: each gets its answer.
        assert {status(one.recv(4096)) for one in slow} == {401}
        assert "door.dropped" not in web.log()
        for one in slow:
            one.close()


#: What a crowd does, how many, what each begins with and what it adds every second.
CROWDS = [
    ("slow bodies", 200, head("Content-Length: 1000") + END + b"{", b" "),
    ("slow headers", 1_000, head("X-Slow: 1"), b"X-A: a\r\n"),
    ("endless chunks", 200, head(CHUNKED) + END, b"1\r\n \r\n"),
    ("full headers without an end", 1_000, head("X-A: " + "a" * 15_000), b"a"),
    ("idle connections", 10_000, b"", b""),
]


@pytest.mark.slow
@pytest.mark.parametrize(("what", "many", "first", "drop"), CROWDS, ids=[one[0] for one in CROWDS])
def test_good_messages_are_answered_as_ever_while_others_hold_the_door_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, many: int, first: bytes, drop: bytes
) -> None:
    many = min(many, raise_file_limit(many + 200) - 200)
    with running_web(tmp_path) as web:
        p95_ms(web, 50)
        before, held = p95_ms(web), web.resident_mb()
        crowd = Crowd(web, many, first, drop)
        try:
            during = max(p95_ms(web), p95_ms(web))
            grown = web.resident_mb() - held
        finally:
            crowd.close()
        with capsys.disabled():
            print(f"\n{many:,} {what}: p95 {before:.1f} -> {during:.1f} ms, memory +{grown:.0f} MB")
        assert during <= 5 * before + 50
        assert grown <= 100


@pytest.mark.slow
def test_slow_bodies_that_take_every_thread_are_shown_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = min(2_000, raise_file_limit(2_200) - 200)
    with running_web(tmp_path) as web:
        held = web.resident_mb()
        crowd = [web.connect() for _ in range(many)]
        for one in crowd:
            one.sendall(head("Content-Length: 1000") + END + b"{")
        started = time.monotonic()
        web.deliver()
        took = time.monotonic() - started
        with capsys.disabled():
            print(f"\n{many:,} slow bodies at once: deaf for {took:.1f} s, memory +{web.resident_mb() - held:.0f} MB")
        assert took < 30
        assert web.resident_mb() - held <= 100
        wait_for("they are shown out", lambda: "door.dropped" in web.log())
        for one in crowd:
            one.close()
        assert web.deliver() == 1


@pytest.mark.slow
def test_a_single_drip_is_shown_out_in_the_end_and_a_slow_good_message_is_taken(tmp_path: Path) -> None:
    with running_web(tmp_path) as web:
        drip, slow = web.connect(), web.connect()
        body, headers = message()
        drip.sendall(head("Content-Length: 1000") + END)
        slow.sendall(head(*(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body)}"))
        slow.sendall(END + body[:10])
        drip.settimeout(0.25)
        started = time.monotonic()
        closed = False
        while not closed and time.monotonic() - started < 60:
            try:
                drip.sendall(b" ")
                closed = drip.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                closed = True
            if slow is not None and time.monotonic() - started > 10:
                slow.sendall(body[10:])
                assert status(slow.recv(4096)) == 200
                slow.close()
                slow = None
        assert closed and slow is None
        assert 15 < time.monotonic() - started < 40


@pytest.mark.slow
@pytest.mark.parametrize("first", [b"", head("X-Slow: 1"), head(LENGTH) + END + b"abc"], ids=["nothing", "half", "one"])
def test_a_connection_that_lies_idle_or_halfway_through_its_headers_is_closed(tmp_path: Path, first: bytes) -> None:
    with running_web(tmp_path) as web, web.connect() as idle:
        idle.sendall(first)
        started = time.monotonic()
        idle.settimeout(25)
        while idle.recv(4096):
            # The answer to what it asked.
            started = time.monotonic()
        assert 5 < time.monotonic() - started < 20
