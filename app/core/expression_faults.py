"""Why a rendering failed: the lines at work tell which part of the file it was, the variables of loops which item."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from jinja2 import TemplateError, UndefinedError

from app.core.exact import Refused
from app.core.expression_code import Code
from app.core.expression_nodes import Expression
from app.core.expression_source import Place
from app.core.expression_values import NOT_THERE, Told, loop_of
from app.core.filter_kit import misused
from app.core.inspection import what_is_missing
from app.core.sandbox import OMIT, Sandbox, Scope, find
from app.errors import DataError, UnknownWord

#: What a rendering may fail with.
FAULTS = (
    *(UnknownWord, Refused, Told, TemplateError),
    *(TypeError, ValueError, LookupError, ArithmeticError, RecursionError),
)


def explained(error: Exception, code: Code, names: Mapping[str, Any], sandbox: Sandbox, path: str) -> DataError | None:
    """The error to tell of a failed rendering; None for one that no expression can cause."""
    scope = Scope(sandbox, {**names, "omit": OMIT})
    place, values, way = Place(), dict(names), ""
    for place, values, loop in _at_work(error.__traceback__, code):
        for step in place.steps:
            way += f"[{values['i']}]" if step is None else step
        if loop is not None and place.steps and place.steps[0] is None:
            scope = _within(loop, values, scope)
    there = (path + way).removeprefix(".")
    if isinstance(error, Told):
        return DataError(error.what, path=there, where=str(place.where), todo=error.todo)
    if isinstance(error, Refused) and place.within:
        return DataError(f"{error.what}, within a {place.within}", path=there, where=str(place.where), todo=error.todo)
    if place.part is not None:
        kind, what, todo = _said(error, place, place.part, values, scope, code)
        return kind(what, path=there, where=str(place.part.where), todo=todo)
    return DataError(error.what, path=path, todo=error.todo) if isinstance(error, Refused) else None


def _at_work(traceback: TracebackType | None, code: Code) -> list[tuple[Place, dict[str, Any], Any]]:
    """The functions of the value that were at work, outermost first: place, variables, the `$each` of a loop."""
    found = []
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals is code.globals:
            loop = code.loops.get(frame.f_code.co_name)
            found.append((code.places[traceback.tb_lineno - 1], frame.f_locals, loop))
        traceback = traceback.tb_next
    return found


def _within(loop: Any, values: dict[str, Any], scope: Scope) -> Scope:
    spelt = loop.each.spelt if isinstance(loop.each, Expression) else ""
    names = {loop.name: values["item"], "loop": loop_of(values["i"], values["items"])}
    return scope.inner(names, (loop.name, spelt, values["i"]))


def _said(
    error: Exception, place: Place, part: Expression, values: dict[str, Any], scope: Scope, code: Code
) -> tuple[type[DataError], str, str]:
    if isinstance(error, UnknownWord):
        return UnknownWord, error.what, error.todo
    if place.look_up is not None and isinstance(error, NOT_THERE):
        error = _missing(place.look_up, values, code)
    elif place.call is not None and isinstance(error, TypeError):
        error = misused(error, *place.call)
    if isinstance(error, Refused):
        return DataError, f"{error.what} in {{{{ {part.text} }}}}", error.todo
    if isinstance(error, UndefinedError):
        what = what_is_missing(part.tree, scope) or f"{error} in {{{{ {part.text} }}}}"
        return DataError, what, "correct its source, or give a default: {{ … | default(…) }}"
    return DataError, f"{{{{ {part.text} }}}} cannot be worked out: {error or type(error).__name__}", ""


def _missing(look_up: tuple[str, tuple[Any, ...]], values: dict[str, Any], code: Code) -> Exception:
    start, keys = look_up
    try:
        str(find(values.get(start, code.globals.get(start)), keys))
    except UndefinedError as error:
        return error
    raise AssertionError("what was missing is there")
