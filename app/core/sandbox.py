"""The fence around expressions: what they see, what they may make, how long they may take.

No attribute of a Python object is reachable: a dot reads a key of an object, and nothing is ever called. What is
missing stays a `Missing`, which every use but `default` and `is defined` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateRuntimeError, nodes
from jinja2.parser import Parser

from app.core.exact import Refused

#: What one rendering may make, in characters, and how long it may take.
MAX_OUTPUT = 1_000_000
MAX_SECONDS = 2.0
#: The clock is asked each time so much was made, or so many steps were done; no single step takes long.
_LOOK_EVERY = 256
_PLAIN = frozenset({int, bool, Decimal})


class Missing(StrictUndefined):
    """What is not there. Reading on from it stays missing, so that `default` sees through missing parents."""

    __slots__ = ()


def refuse_missing(value: Any) -> None:
    """Raises Jinja's error, naming what is missing, when the value is not there."""
    if type(value) is Missing:
        str(value)


class Omit:
    """Leaves a field or a list item out. False, so that conditions may ask for it."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "omit"


OMIT = Omit()


class Budget:
    """What is left of one rendering's size and time. `monotonic` None sets no time limit."""

    __slots__ = ("_ends_at", "_left", "_look_at", "_monotonic", "_sizes")

    def __init__(self, monotonic: Callable[[], float] | None) -> None:
        self._left, self._look_at, self._monotonic = MAX_OUTPUT, MAX_OUTPUT - _LOOK_EVERY, monotonic
        self._ends_at = monotonic() + MAX_SECONDS if monotonic else 0.0
        self._sizes: dict[int, tuple[int, bool]] = {}

    def spend(self, size: int) -> None:
        """Count a step and what it made. Raises `Refused` when the rendering grew too big or took too long."""
        self._left = left = self._left - size - 1
        if left < self._look_at:
            self._look()

    def _look(self) -> None:
        if self._left < 0:
            raise Refused(f"the result is larger than {MAX_OUTPUT:,} characters", "send less, or split it")
        self._look_at = max(0, self._left - _LOOK_EVERY)
        if self._monotonic and self._monotonic() > self._ends_at:
            raise Refused(f"rendering took longer than {MAX_SECONDS:g} s", "make the expression simpler")

    def spend_on(self, value: Any) -> bool:
        """Count an object or list of the context that is passed on whole; measured once however often it is used.

        False when it holds what JSON does not have, so that it must be made plain first.
        """
        known = self._sizes.get(id(value))
        if known is None:
            known = self._sizes[id(value)] = measure(value)
        size, plain = known
        if plain:
            self.spend(size)
        return plain

    def spend_on_new(self, value: Any) -> bool:
        """`spend_on` for an object or list that was made just now, and may be gone before the next one is made."""
        size, plain = measure(value)
        if plain:
            self.spend(size)
        return plain


def measure(value: Any) -> tuple[int, bool]:
    """About how many characters the value is as JSON, counted no further than the limit; and whether it is JSON."""
    total, plain, waiting = 0, True, [value]
    while waiting and total <= MAX_OUTPUT:
        item = waiting.pop()
        kind = type(item)
        total += 1
        if kind is str:
            total += len(item)
        elif kind is dict:
            for key in item:
                if type(key) is str:
                    total += len(key)
                else:
                    plain = False
            waiting.extend(item.values())
        elif kind is list:
            waiting.extend(item)
        elif item is not None and kind not in _PLAIN:
            plain = False
    return total, plain


class Scope:
    """The names of one rendering. Made once and shared by all expressions of it; items of a list get one each."""

    __slots__ = ("_item", "_outer", "budget", "environment", "parent")

    def __init__(
        self,
        sandbox: Sandbox,
        names: Mapping[str, Any],
        budget: Budget,
        outer: Scope | None = None,
        item: tuple[str, str, int] = ("", "", 0),
    ) -> None:
        self.environment, self.parent, self.budget = sandbox, names, budget
        self._outer, self._item = outer, item

    def inner(self, names: Mapping[str, Any], item: tuple[str, str, int]) -> Scope:
        """This scope with more names. `item` is a list's item: its name, the list as it is spelt, its index."""
        return Scope(self.environment, {**self.parent, **names}, self.budget, self, item)

    @property
    def aliases(self) -> dict[str, str]:
        """What the names of list items stand for: {"line": "return.lines[1]"}. Only faults ask for it."""
        known = self._outer.aliases if self._outer else {}
        name, spelt, index = self._item
        if spelt:
            end = re.search(r"[.\[]|$", spelt).start()  # type: ignore[union-attr]
            known[name] = f"{known.get(spelt[:end], spelt[:end])}{spelt[end:]}[{index}]"
        return known


# Only its parser is used.
_JINJA = Environment()


class Sandbox:
    """The closed set of filters and tests, by name."""

    def __init__(self, filters: Mapping[str, Callable[..., Any]], tests: Mapping[str, Callable[..., Any]]) -> None:
        self.filters, self.tests = filters, tests

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A dot or brackets: a key of an object, an item of a list or a character of a text; else `Missing`."""
        if isinstance(obj, Missing):
            return obj
        try:
            if isinstance(obj, dict) or (isinstance(obj, (list, str)) and isinstance(argument, int)):
                return obj[argument]
        except (KeyError, TypeError, IndexError):
            pass
        return Missing(f"{argument!r} is missing")

    def filter(self, name: Any) -> Callable[..., Any]:
        """A filter that an expression names while it runs. Raises Jinja's error when there is none."""
        return _named(self.filters, name, "filter")

    def test(self, name: Any) -> Callable[..., Any]:
        """A test that an expression names while it runs. Raises Jinja's error when there is none."""
        return _named(self.tests, name, "test")


def parse_one(text: str) -> nodes.Expr:
    """The syntax tree of one expression. Raises `jinja2.TemplateSyntaxError`."""
    parser = Parser(_JINJA, text, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"unexpected {parser.stream.current.value!r} behind the expression")
    return tree


def _named(known: Mapping[str, Callable[..., Any]], name: Any, kind: str) -> Callable[..., Any]:
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        raise TemplateRuntimeError(f"No {kind} named {name!r}.")
    return found
