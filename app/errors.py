"""The few exceptions of the hub. What a target answers is a value (`model.Outcome`), not an exception."""

from __future__ import annotations

from collections.abc import Sequence

from app.model import Fault, Problem


class ConfigError(Exception):
    """The merchant's files or the environment are wrong: nothing may start.

    Stands apart from `HubError`, so that no handler of a failed delivery can swallow it.
    Carries every fault found, not the first one.
    """

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        if isinstance(problems, str):
            problems = [Problem(file="", line=0, column=0, what=problems, todo="")]
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class HubError(Exception):
    """Something in the hub's work failed in a way that the hub itself can name."""


class DataError(HubError):
    """One message, document or body cannot be worked with as it is.

    `path` is where in the document or body (`body.lines[1].sku`), `where` is `file:line` of the
    expression that met it, `todo` what a person can do.
    """

    fault: Fault = "data"

    def __init__(self, what: str, *, path: str = "", where: str = "", todo: str = "") -> None:
        self.what, self.path, self.where, self.todo = what, path, where, todo
        text = f"{path}: {what}" if path else what
        if where:
            text += f" ({where})"
        if todo:
            text += f"; {todo}"
        super().__init__(text)


class UnknownWord(DataError):
    """A table has no entry for a vendor's word: the work is parked for review, never guessed."""


class LedgerUnavailable(HubError):
    """The ledger cannot be read or written now (locked, full, gone): nothing was accepted."""


class Outdated(HubError):
    """What a transaction foresaw has changed before it began: nothing was written, it has to be made anew."""


class QueueUnavailable(HubError):
    """Redis cannot be reached now; the ledger still holds what is to be done."""
