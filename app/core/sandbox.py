"""Jinja, fenced: expressions read data and call filters of a closed set, and can do nothing else.

No attribute of a Python object is reachable: a dot reads a key of an object, and nothing is ever called. Arithmetic is
exact. What is missing stays a `Missing`, which every use but `default` and `is defined` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.nodes import EvalContext
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.core.exact import Refused, calculate, decimal_of, is_number, kind_of

#: What one rendering may make, in characters, and how long it may take.
MAX_OUTPUT = 1_000_000
MAX_SECONDS = 2.0
RESULT = "_value"
#: The clock is asked once in so many steps; no single step takes long.
_LOOK_EVERY = 16
_PLAIN = frozenset({int, bool, Decimal})


#: The code of an expression depends on its text alone: files repeat expressions, and are checked again and again.
_codes: dict[str, CodeType] = {}
_CODES_MOST = 4_096


class Missing(StrictUndefined):
    """What is not there. Reading on from it stays missing, so that `default` sees through missing parents."""

    __slots__ = ()


class Omit:
    """Leaves a field or a list item out. False, so that conditions may ask for it."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "omit"


OMIT = Omit()


class Budget:
    """What is left of one rendering's size and time. `monotonic` None sets no time limit."""

    __slots__ = ("_ends_at", "_left", "_monotonic", "_sizes", "_steps")

    def __init__(self, monotonic: Callable[[], float] | None) -> None:
        self._left, self._steps, self._monotonic = MAX_OUTPUT, 0, monotonic
        self._ends_at = monotonic() + MAX_SECONDS if monotonic else 0.0
        self._sizes: dict[int, tuple[int, bool]] = {}

    def spend(self, size: int) -> None:
        """Count what was made. Raises `Refused` when the rendering grew too big or took too long."""
        self._left -= size
        if self._left < 0:
            raise Refused(f"the result is larger than {MAX_OUTPUT:,} characters", "send less, or split it")
        self._steps += 1
        if self._monotonic and not self._steps % _LOOK_EVERY and self._monotonic() > self._ends_at:
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


class Scope(Context):
    """The names of one rendering. Made once and shared by all expressions of it; items of a list get one each."""

    budget: Budget
    aliases: Mapping[str, str]  # what a list item's name stands for: {"line": "return.lines[1]"}

    def __init__(
        self, sandbox: Sandbox, names: dict[str, Any], budget: Budget, aliases: Mapping[str, str] | None = None
    ) -> None:
        # Context's own constructor makes an EvalContext each time, which costs more than an expression.
        self.parent = names
        self.vars = {}
        self.environment = sandbox
        self.eval_ctx = sandbox.shared_eval_context
        self.exported_vars = set()
        self.name = None
        self.globals_keys = set()
        self.blocks = {}
        self.budget = budget
        self.aliases = aliases or {}

    def full_name(self, spoken: str) -> str:
        """A look-up with the name of a list's item replaced by what it stands for: "return.lines[1].sku"."""
        for sign in (".", "["):
            name, found, rest = spoken.partition(sign)
            if name in self.aliases:
                return self.aliases[name] + found + rest
        return spoken

    def inner(self, names: Mapping[str, Any], aliases: Mapping[str, str]) -> Scope:
        """This scope with more names."""
        sandbox = self.environment
        assert isinstance(sandbox, Sandbox)
        return Scope(sandbox, {**self.parent, **names}, self.budget, {**self.aliases, **aliases})


class Sandbox(ImmutableSandboxedEnvironment):
    """The Jinja environment of all expressions."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])
    intercepted_unops = frozenset(["+", "-"])

    def __init__(self, filters: Mapping[str, Any], tests: Mapping[str, Any]) -> None:
        # The optimizer would work constants out while compiling, before any limit is in force.
        super().__init__(undefined=Missing, optimized=False, autoescape=False)
        self.filters = dict(filters)
        self.tests = dict(tests)
        self.globals = {}
        self.shared_eval_context = EvalContext(self)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A dot reads a key of an object."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Brackets read a key of an object, an item of a list or a character of a text."""
        if isinstance(obj, Missing):
            return obj
        if isinstance(obj, dict):
            try:
                return obj[argument]
            except (KeyError, TypeError):
                return Missing(f"{argument!r} is missing")
        if isinstance(obj, (list, str)) and isinstance(argument, int):
            try:
                return obj[argument]
            except IndexError:
                return Missing(f"{argument!r} is missing")
        return Missing(f"{argument!r} is missing")

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing is callable."""
        raise Refused("nothing can be called", "use a filter")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Exact arithmetic on numbers; `+` also joins two texts or two lists."""
        if isinstance(left, Missing) or isinstance(right, Missing):
            str(left if isinstance(left, Missing) else right)  # raises, naming what is missing
        return calculate(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """The sign of a number."""
        if isinstance(arg, Missing):
            str(arg)
        if not is_number(arg):
            raise Refused(f"{operator} before {kind_of(arg)} cannot be calculated")
        return calculate("-", 0, decimal_of(arg) if not isinstance(arg, int) else arg) if operator == "-" else arg

    def parse_one(self, text: str) -> nodes.Expr:
        """The syntax tree of one expression. Raises `jinja2.TemplateSyntaxError`."""
        parser = Parser(self, text, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected {parser.stream.current.value!r} behind the expression")
        return tree

    def compile_tree(self, text: str, tree: nodes.Expr) -> Callable[[Scope], Any]:
        """A function that works the expression out in a scope. `text` is what `tree` was made of."""
        code = _codes.get(text)
        if code is None:
            tree.set_environment(self)
            assign = nodes.Assign(nodes.Name(RESULT, "store"), tree, lineno=1)
            code = self.compile(nodes.Template([assign], lineno=1))
            if len(_codes) < _CODES_MOST:
                _codes[text] = code
        root = self.template_class.from_code(self, code, self.make_globals(None)).root_render_func

        def evaluate(scope: Scope) -> Any:
            steps: Iterator[str] = root(scope)
            for _ in steps:
                pass
            return scope.vars[RESULT]

        return evaluate
