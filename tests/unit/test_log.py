"""The log: what a line looks like, and that no secret is ever in one."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

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
