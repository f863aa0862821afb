"""The fence around expressions: what they see, what they may make, how long they may take.

No attribute of a Python object is reachable: a dot reads a key of an object, and nothing is ever called. What is
missing stays a `Missing`, which every use but `default` and `is defined` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, TemplateRuntimeError, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from app.core.exact import Refused

if TYPE_CHECKING:
    from app.core.filter_kit import Filter

#: What one rendering may make, in characters, and how long it may take.
MAX_OUTPUT = 1_000_000
MAX_SECONDS = 2.0
#: How deep the parts of one expression may stand in one another: all that goes through them calls itself.
MAX_NESTED = 200
_TOO_DEEP = "it is nested too deeply"
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


class Run:
    """One rendering: its words, and what is left of its size and time. `monotonic` None sets no time limit.

    What is made counts by its length, and every step for one. Generated code keeps `left` and `look_at` in variables
    of its own and asks `look` when the one falls below the other; it hands `left` back to whatever spends by itself.
    """

    __slots__ = ("_ends_at", "_monotonic", "_sizes", "environment", "left", "look_at")

    def __init__(self, environment: Sandbox, monotonic: Callable[[], float] | None) -> None:
        self.environment, self._monotonic = environment, monotonic
        self.left, self.look_at = MAX_OUTPUT, MAX_OUTPUT - _LOOK_EVERY
        # The clock runs from the first look: what needs none is over at once.
        self._ends_at: float | None = None
        self._sizes: dict[int, tuple[int, bool]] | None = None

    def spend(self, size: int) -> None:
        """Count a step and what it made. Raises `Refused` when the rendering grew too big or took too long."""
        self.left = left = self.left - size - 1
        if left < self.look_at:
            self.look(left)

    def look(self, left: int) -> int:
        """Where to look again, when so much is left. Raises `Refused` as `spend` does."""
        if left < 0:
            raise Refused(f"the result is larger than {MAX_OUTPUT:,} characters", "send less, or split it")
        if self._monotonic:
            now = self._monotonic()
            if self._ends_at is None:
                self._ends_at = now + MAX_SECONDS
            elif now > self._ends_at:
                raise Refused(f"rendering took longer than {MAX_SECONDS:g} s", "make the expression simpler")
        self.look_at = look_at = max(0, left - _LOOK_EVERY)
        return look_at

    def size_of(self, value: Any) -> tuple[int, bool]:
        """`measure` of an object or list of the context, done once however often it is passed on."""
        if self._sizes is None:
            self._sizes = {}
        known = self._sizes.get(id(value))
        if known is None:
            known = self._sizes[id(value)] = measure(value)
        return known


def measure(value: Any) -> tuple[int, bool]:
    """About how many characters the value is as JSON, counted no further than the limit; and whether it is JSON."""
    total, plain, waiting = 0, True, [(value,)]
    while waiting and total <= MAX_OUTPUT:
        items: Any = waiting.pop()
        total += len(items)
        for item in items:
            kind = type(item)
            if kind is str:
                total += len(item)
            elif kind is dict:
                waiting.append(item.values())
                for key in item:
                    if type(key) is str:
                        total += len(key)
                    else:
                        plain = False
            elif kind is list:
                waiting.append(item)
            elif kind is tuple:
                waiting.append(item)
                plain = False
            elif item is not None and kind not in _PLAIN:
                plain = False
    return total, plain


class Scope:
    """The names that an expression saw. Only faults ask for it."""

    __slots__ = ("_item", "_outer", "environment", "parent")

    def __init__(
        self,
        sandbox: Sandbox,
        names: Mapping[str, Any],
        outer: Scope | None = None,
        item: tuple[str, str, int] = ("", "", 0),
    ) -> None:
        self.environment, self.parent = sandbox, names
        self._outer, self._item = outer, item

    def inner(self, names: Mapping[str, Any], item: tuple[str, str, int]) -> Scope:
        """This scope with more names. `item` is a list's item: its name, the list as it is spelt, its index."""
        return Scope(self.environment, {**self.parent, **names}, self, item)

    @property
    def aliases(self) -> dict[str, str]:
        """What the names of list items stand for: {"line": "return.lines[1]"}."""
        known = self._outer.aliases if self._outer else {}
        name, spelt, index = self._item
        if spelt:
            end = re.search(r"[.\[]|$", spelt).start()  # type: ignore[union-attr]
            known[name] = f"{known.get(spelt[:end], spelt[:end])}{spelt[end:]}[{index}]"
        return known


# Only its parser is used.
_JINJA = Environment()


class Sandbox:
    """The closed set of filters and tests, by name: `filters` and `tests` guarded, `specs` as they are."""

    def __init__(
        self,
        filters: Mapping[str, Callable[..., Any]],
        tests: Mapping[str, Callable[..., Any]],
        specs: Mapping[str, Filter],
    ) -> None:
        self.filters, self.tests, self.specs = filters, tests, specs

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`getitem`."""
        return getitem(obj, argument)

    def filter(self, name: Any) -> Callable[..., Any]:
        """A filter that an expression names while it runs. Raises Jinja's error when there is none."""
        return _named(self.filters, name, "filter")

    def test(self, name: Any) -> Callable[..., Any]:
        """A test that an expression names while it runs. Raises Jinja's error when there is none."""
        return _named(self.tests, name, "test")


def getitem(obj: Any, argument: Any) -> Any:
    """A dot or brackets: a key of an object, an item of a list or a character of a text; else `Missing`."""
    if isinstance(obj, Missing):
        return obj
    try:
        if isinstance(obj, dict) or (isinstance(obj, (list, str)) and isinstance(argument, int)):
            return obj[argument]
    except (KeyError, TypeError, IndexError):
        pass
    return Missing(f"{argument!r} is missing")


def find(value: Any, keys: Iterable[Any]) -> Any:
    """What several keys lead to, one after the other; `Missing` when they lead nowhere."""
    for key in keys:
        value = getitem(value, key)
    return value


def parse_one(text: str) -> nodes.Expr:
    """The syntax tree of one expression. Raises `jinja2.TemplateSyntaxError`."""
    try:
        parser = Parser(_JINJA, text, state="variable")
        tree = parser.parse_expression()
    except RecursionError:
        raise TemplateSyntaxError(_TOO_DEEP, 1) from None
    except ValueError:
        raise TemplateSyntaxError("a number has too many digits", 1) from None
    if not parser.stream.eos:
        parser.fail(f"unexpected {parser.stream.current.value!r} behind the expression")
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_NESTED):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return tree
    raise TemplateSyntaxError(_TOO_DEEP, 1)


def _named(known: Mapping[str, Callable[..., Any]], name: Any, kind: str) -> Callable[..., Any]:
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        raise TemplateRuntimeError(f"No {kind} named {name!r}.")
    return found
