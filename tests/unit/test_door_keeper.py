"""The doorkeeper: who must leave, who may stay, and that nobody else's connection is touched."""

from __future__ import annotations

import io
import os
import resource
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from app.web import doorkeeper, webhooks
from app.web.doorkeeper import HURRY_S, REQUEST_S, SILENT_S, Seen, Watch, present, show_out
from tests.e2e.stack import wait_for

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel of Linux")


class Door:
    """A watch and its clock."""

    def __init__(self, places: int = 100, threads: int = 40) -> None:
        self.watch, self.now = Watch(places, threads), 1000.0

    def look(self, *guests: Seen, after: float = 1.0, reading: int = 0) -> list[int]:
        self.now += after
        return [seen.handle for seen in self.watch.leaving(self.now, guests, reading)]


def seen(handle: int = 1, received: int = 0, answered: int = 0) -> Seen:
    return Seen(handle, 10_000 + handle, received, answered)


def test_who_sends_the_same_request_on_and_on_must_leave() -> None:
    door, left = Door(), 0
    for drops in range(1, 60):
        if door.look(seen(received=drops)):
            left = drops
            break
    assert REQUEST_S < left <= REQUEST_S + 3


def test_a_drip_that_pauses_between_its_drops_must_leave_too() -> None:
    door = Door()
    looks = [door.look(seen(received=drops), after=15) for drops in range(1, 4)]
    assert looks == [[], [], [1]]


def test_who_waits_for_an_answer_and_who_is_answered_again_and_again_may_stay() -> None:
    door = Door()
    assert not any(door.look(seen(received=500)) for _ in range(int(SILENT_S) - 5))
    door = Door()
    assert not any(door.look(seen(received=500 * turn, answered=200 * turn)) for turn in range(200))


def test_a_second_request_on_a_connection_is_timed_on_its_own() -> None:
    door = Door()
    door.look(seen(received=500))
    door.look(seen(received=500, answered=200), after=60)
    assert door.look(seen(received=501, answered=200)) == []
    assert door.look(seen(received=502, answered=200), after=REQUEST_S - 1) == []
    assert door.look(seen(received=503, answered=200), after=2) == [1]


def test_who_says_nothing_for_long_must_leave() -> None:
    door = Door()
    door.look(seen())
    assert door.look(seen(), after=SILENT_S - 1) == []
    assert door.look(seen(), after=2) == [1]


def test_when_many_threads_wait_for_bodies_whoever_is_slow_must_leave_at_once() -> None:
    door = Door(threads=40)
    slow, idle, answered = seen(1, 80), seen(2), seen(3, 400, 200)
    door.look(slow, idle, answered)
    assert door.look(slow, idle, answered, after=HURRY_S, reading=10) == []
    new = seen(4, 80)
    assert door.look(slow, idle, answered, new, reading=11) == [1]


def test_when_places_grow_few_the_longest_unmoved_go_and_those_at_work_stay() -> None:
    door = Door(places=40)
    idle = [seen(number) for number in range(20)]
    assert door.look(*idle) == []
    later = [seen(number) for number in range(20, 30)]
    assert door.look(*idle, *later, after=5) == []
    # Of 31 places 20 are left, those that moved last.
    moved = [seen(0, 100), *idle[1:]]
    assert door.look(*moved, *later, seen(30, 50), after=3) == list(range(1, 12))


def test_nobody_is_remembered_who_is_gone() -> None:
    door = Door()
    door.look(seen())
    door.look()
    assert door.look(seen(), after=SILENT_S + 1) == []


@linux
def test_the_kernel_tells_what_came_and_what_went_and_only_of_this_door() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_server(("127.0.0.1", 0)) as other:
        port = door.getsockname()[1]
        asking, elsewhere = (socket.create_connection(one.getsockname()) for one in (door, other))
        inside, not_ours = door.accept()[0], other.accept()[0]
        with asking, elsewhere, inside, not_ours, open(os.devnull) as _:
            asking.sendall(b"x" * 10)
            inside.recv(10)
            inside.sendall(b"y" * 7)
            asking.recv(7)
            wait_for("it is so", lambda: [(one.received, one.answered) for one in present(port)] == [(10, 7)])
            (found,) = present(port)
            assert found.handle == inside.fileno()
            # It was looked at, not taken.
            asking.sendall(b"z")
            assert inside.recv(1) == b"z"


@linux
def test_whoever_waits_on_a_connection_that_is_shown_out_is_woken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname()) as asking:
        inside = door.accept()[0]
        got: list[bytes] = []
        waiting = threading.Thread(target=lambda: got.append(inside.recv(1)))
        waiting.start()
        (found,) = present(door.getsockname()[1])
        assert show_out(found)
        waiting.join(5)
        assert got == [b""] and asking.recv(1) == b""
        inside.close()
        assert not show_out(found)


@linux
def test_a_number_that_became_another_file_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not show_out(Seen(ours.fileno(), os.fstat(ours.fileno()).st_ino + 1, 0, 0))
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


@linux
def test_the_keeper_goes_on_when_a_look_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def failing(port: int) -> Any:
        looks.append(port)
        raise OSError("the kernel does not say")

    monkeypatch.setattr(doorkeeper, "present", failing)
    monkeypatch.setattr(doorkeeper, "_LOOK_S", 0.01)
    doorkeeper.keep_door(1, 10, 10, lambda: 0)
    wait_for("it is so", lambda: len(looks) > 2)
    monkeypatch.setattr(doorkeeper, "present", lambda port: [])


def test_a_body_that_is_waited_for_is_counted_and_one_that_is_there_no_more() -> None:
    seen_reading: list[int] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            seen_reading.append(webhooks.reading())
            return super().read(size)

    before = webhooks.reading()
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "wsgi.input": Slow(b"abc")}
    assert webhooks.incoming(environ, "shop").read(100) == b"abc"
    assert seen_reading == [before + 1] and webhooks.reading() == before


@linux
@pytest.mark.parametrize(("most", "places"), [(2048, 2048 - 256), (200, 64)])
def test_there_are_as_many_places_as_files_may_be_open(most: int, places: int) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2048:
        pytest.skip("this machine allows fewer open files")
    told = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, {most}))\n"
        "from app.web.doorkeeper import make_room; print(make_room(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(places), str(most), str(most)]
