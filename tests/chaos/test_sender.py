"""The sender: again until 2xx, every answer kept, one object's messages begun in order, systems changed first."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chaos.plan import Ask, Message
from chaos.sender import Sender


class Hub:
    """Takes messages; `answers` says with which status, by body and by how often that came (from 1)."""

    def __init__(self, answers: Callable[[str, int], int]) -> None:
        self.came: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self._answers, self._lock = answers, threading.Lock()
        self._often: dict[str, int] = defaultdict(int)

    def take(self, body: str, headers: dict[str, str]) -> int:
        """The status of one message."""
        with self._lock:
            self.came.append(body)
            self.headers.append(headers)
            self._often[body] += 1
            return self._answers(body, self._often[body])


@contextmanager
def hub(answers: Callable[[str, int], int] = lambda body, often: 200) -> Iterator[Hub]:
    made = Hub(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status = made.take(f"{self.path.rpartition('/')[2]}:{body}", dict(self.headers))
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def message(name: str, object_id: str = "R-1", at_s: float = 0.0, copies: int = 1, *asks: Ask) -> Message:
    return Message("shop", object_id, name, at_s, name.encode(), lambda now: {"X-At": now.isoformat()}, asks, copies)


def send(made: Hub, *messages: Message, ask: Callable[[Ask], None] = lambda ask: None, until_s: float = 20.0) -> Sender:
    sender = Sender(made.url, messages, ask, until_s=until_s, threads=4)
    sender.start()
    assert sender.wait(30)
    return sender


def test_a_message_is_sent_again_until_it_is_taken_and_every_try_is_kept() -> None:
    with hub(lambda body, often: [503, 0, 202][often - 1]) as made:
        log = send(made, message("a")).log
    assert [one.status for one in log] == [503, 0, 202]
    assert [one.taken for one in log] == [False, False, True]
    assert log[1].error
    assert {(one.source, one.event_id, one.object_id) for one in log} == {("shop", "a", "R-1")}


def test_each_try_is_signed_for_its_own_time() -> None:
    with hub(lambda body, often: 200 if often == 2 else 500) as made:
        send(made, message("a"))
    assert len({headers["X-At"] for headers in made.headers}) == 2


def test_copies_are_sent_after_it_was_taken_and_only_once_each() -> None:
    with hub(lambda body, often: [500, 200, 500, 200][often - 1]) as made:
        sender = send(made, message("a", "R-1", 0.0, 3))
    assert [(one.status, one.copy) for one in sender.log] == [(500, False), (200, False), (500, True), (200, True)]
    assert sender.progress.taken == 1


def test_an_object_s_messages_are_begun_in_order_and_others_do_not_wait() -> None:
    names = [f"m{number}" for number in range(20)]
    with hub(lambda body, often: 503 if body == "shop:m0" and often < 3 else 200) as made:
        send(made, *[message(name, "R-1", number / 1000) for number, name in enumerate(names)], message("other", "R-2"))
    first = list(dict.fromkeys(made.came))
    assert [body for body in first if body != "shop:other"] == [f"shop:{name}" for name in names]
    # What was refused is sent again when newer ones have come: nobody waits for it.
    assert made.came.index("shop:m19") < len(made.came) - 1 - made.came[::-1].index("shop:m0")


def test_a_system_changes_once_before_the_first_try_also_when_it_is_away_for_a_while() -> None:
    changed: list[str] = []
    tries = iter([True, True, False])

    def ask(wanted: Ask) -> None:
        assert not any("a" in body for body in made.came)
        if wanted.path == "/2" and next(tries):
            raise ConnectionError("it is away")
        changed.append(wanted.path)

    with hub(lambda body, often: 200 if often > 1 else 503) as made:
        send(made, message("a", "R-1", 0.0, 1, Ask("erp", "/1", {}), Ask("erp", "/2", {})), ask=ask)
    assert changed == ["/1", "/2"]
    assert made.came == ["shop:a", "shop:a"]


def test_what_is_never_taken_ends_with_the_run() -> None:
    with hub(lambda body, often: 503) as made:
        sender = send(made, message("a"), until_s=0.7)
    assert sender.progress.taken == 0
    assert 2 <= len(sender.log) <= 4
