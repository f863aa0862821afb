"""The log: what a line looks like, and that no secret is ever in one."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from app.adapters import log


@pytest.fixture(autouse=True)
def _leave_no_trace() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = handlers, level


def _lines(style: Literal["text", "json"] = "text", level: str = "info", secrets: tuple[str, ...] = ()) -> io.StringIO:
    stream = io.StringIO()
    log.configure(style, level=level, secrets=secrets, stream=stream)
    return stream


def test_a_text_line_is_key_and_value() -> None:
    stream = _lines()
    log.get_log("worker").info("delivery.attempted", delivery_id="dlv_1", outcome="retry", ms=12, because="not there")
    line = stream.getvalue()
    assert "level=info event=delivery.attempted" in line
    assert 'delivery_id=dlv_1 outcome=retry ms=12 because="not there"' in line
    assert line.count("\n") == 1


def test_a_json_line_is_one_object() -> None:
    stream = _lines("json")
    log.get_log("web").info("event.received", event_id="evt_1", duplicate=False)
    line = json.loads(stream.getvalue())
    assert line["event"] == "event.received"
    assert (line["event_id"], line["duplicate"], line["part"]) == ("evt_1", False, "web")


@pytest.mark.parametrize(
    "key",
    ["token", "Authorization", "webhook_secret", "password", "request_body", "body", "headers", "payload", "Cookie"],
)
def test_what_could_hold_a_secret_or_a_person_is_kept_back(key: str) -> None:
    stream = _lines()
    log.get_log("web").info("x", **{key: "s3cret-value"})
    assert "s3cret-value" not in stream.getvalue()
    assert "kept back" in stream.getvalue()


def test_a_known_secret_is_blotted_out_wherever_it_turns_up() -> None:
    stream = _lines(secrets=("hunter22", "ab"))
    log.get_log("web").info("call.failed", what="https://x/?key=hunter22 refused", other="about")
    assert "hunter22" not in stream.getvalue()
    # Two signs are no secret that could be found again: blotting them would leave nothing to read.
    assert "other=about" in stream.getvalue()


def test_a_secret_in_an_exception_is_blotted_out() -> None:
    stream = _lines(secrets=("hunter22",))
    try:
        raise ValueError("no access with hunter22")
    except ValueError:
        log.get_log("worker").exception("engine.failed")
    assert "hunter22" not in stream.getvalue()
    assert "Traceback (most recent call last)" in stream.getvalue()


def test_libraries_are_heard_only_when_they_warn_and_without_secrets() -> None:
    stream = _lines(secrets=("hunter22",))
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("refused: %s", "hunter22")
    line = stream.getvalue()
    assert "chatter" not in line
    assert "part=some.library" in line and "[secret]" in line


def test_a_library_speaks_json_when_the_hub_does() -> None:
    stream = _lines("json")
    logging.getLogger("some.library").warning("careful")
    assert json.loads(stream.getvalue())["event"] == "careful"


def test_the_level_keeps_lines_away() -> None:
    stream = _lines(level="warning")
    log.get_log("web").info("not.wanted")
    log.get_log("web").warning("wanted")
    assert "not.wanted" not in stream.getvalue() and "event=wanted" in stream.getvalue()


def test_a_blank_in_a_key_does_not_cost_the_line() -> None:
    stream = _lines()
    log.get_log("web").info("x", **{"two words": 1})
    assert "two_words=1" in stream.getvalue()


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("secret", ['with "quotes"', "back\\slash", "line\nbreak", "a=b\\c d", "umläut€", "hunter22"])
def test_a_secret_is_blotted_out_however_the_line_spells_it(style: Literal["text", "json"], secret: str) -> None:
    stream = _lines(style, secrets=(secret,))
    logger = log.get_log("web")
    logger.info("x", what=f"before {secret} behind", alone=secret, error=ValueError(f"no {secret}"), many=[secret])
    logger.info(f"happened with {secret}", count=1, gone=None)
    text = stream.getvalue()
    for spelt in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], secret.replace("\n", "\\n")):
        assert spelt not in text
    assert text.count("[secret]") == 5
    if style == "json":
        assert [json.loads(line)["part"] for line in text.splitlines()] == ["web", "web"]


def test_a_line_says_when_to_the_microsecond() -> None:
    stream = _lines()
    log.get_log("web").info("x")
    assert re.match(r"at=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z level=info event=x part=web\n$", stream.getvalue())


def test_a_line_that_cannot_be_written_is_lost_and_ends_nobodys_work() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    log.configure(stream=Full())
    log.get_log("web").error("ledger.unavailable")
    logging.getLogger("library").warning("beware")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.text(max_size=3), max_size=2)
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=5), st.text(max_size=12))
def test_a_json_line_is_what_the_library_writes(fields: dict[str, Any], event: str) -> None:
    assume(not fields.keys() & {"event", "at", "level", "part", "exc_info"})
    stream = _lines("json")
    logger = structlog.get_logger()
    logger._proxy_to_logger("info", event, **fields)
    line = stream.getvalue()
    told = json.loads(line)
    kept_back = {key: "[kept back]" for key in told if told[key] == "[kept back]"}
    expected = {"at": told["at"], "level": "info", "event": event, **fields, **kept_back}
    assert line == json.dumps(expected) + "\n"


def test_lines_of_many_threads_in_one_file_stay_whole(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii", errors="backslashreplace") as stream:
        log.configure("json", stream=stream)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: log.get_log("web").info("x", number=number, text="é" * 500), range(400)))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text("ascii").splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(400))
    log.get_log("web").info("the.file.is.closed")  # and ends nobody's work


def test_what_a_test_captures_is_what_was_said() -> None:
    stream = _lines()
    with structlog.testing.capture_logs() as lines:
        structlog.get_logger().info("x", count=1)
    assert lines == [{"event": "x", "count": 1, "log_level": "info"}]
    assert stream.getvalue() == ""


def test_a_level_that_is_not_wanted_makes_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _lines(level="warning")
    monkeypatch.setattr(log._Line, "__call__", lambda *given: pytest.fail("a line was made"))
    log.get_log("web").info("not.wanted", many=1)
