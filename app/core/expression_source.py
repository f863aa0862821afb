"""Writes the Python functions that a value becomes, and remembers for each line which part of the file it does.

No text of a file ever stands in these lines but as a literal that Python's own `repr` wrote. Everything else, every
filter, number or name of the context, is reached by a name that was made here: t1, n1, c1 ….
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.core.expression_nodes import Each, Expression
from app.core.source import Where

#: A step of the way to a part: ".name" or "[2]" as it is written; None is the number of the loop's item.
Steps = tuple[str | None, ...]
#: How deep blocks may stand in one another; what is deeper becomes a function of its own. Python's limit is 100.
_DEEPEST = 30


@dataclass(frozen=True, slots=True)
class Place:
    """What a line does: which part of the file, and what a failure of just this line means."""

    steps: Steps = ()
    part: Expression | None = None
    where: Where | None = None  # of what is `Told`, and of a text around the value
    within: str = ""  # "text" or "path": the line makes text of the value to stand in one
    look_up: tuple[str, tuple[Any, ...]] | None = None  # the line looks these keys up in this variable
    call: tuple[str, str] | None = None  # the line calls this filter, which is written so


@dataclass(slots=True)
class _Line:
    indent: int
    text: str
    place: Place


class Module:
    """All functions of one value, and what their lines refer to."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.globals: dict[str, Any] = {"__builtins__": {}, **known}
        self.functions: list[Function] = []
        self._names = {id(value): name for name, value in self.globals.items()}
        self._made = 0

    def fresh(self, kind: str) -> str:
        """A name that nothing has."""
        self._made += 1
        return f"{kind}{self._made}"

    def constant(self, value: Any) -> str:
        """How a line writes the value."""
        if value is None or type(value) in (str, bool) or (type(value) is int and abs(value) < 2**60):
            return repr(value)
        return self.refer(value)

    def refer(self, value: Any) -> str:
        """The name by which lines reach the value."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = self.fresh("c")
            self.globals[name] = value
        return name

    def text(self) -> tuple[str, list[Place]]:
        """The whole source, and the place of each line."""
        lines = [line for function in self.functions for line in function.lines()]
        return "\n".join("    " * line.indent + line.text for line in lines), [line.place for line in lines]


@dataclass(slots=True)
class Function:
    """A function that is being written. `loop` is the part that it goes through the items of."""

    module: Module
    name: str
    outer: Function | None = None
    loop: Each | None = None
    place: Place = field(default_factory=Place)  # of the lines that are written now
    given: dict[str, str] = field(default_factory=dict)  # what it is handed by its outer function: there → here
    uses_loop: bool = False
    _names: dict[str, str] = field(default_factory=dict)
    _body: list[_Line] = field(default_factory=list)
    _costs: list[int] = field(default_factory=lambda: [0])

    def __post_init__(self) -> None:
        self.module.functions.append(self)

    def variable(self, name: str) -> str:
        """The variable that holds what a name of the context means here."""
        if self.loop is not None and name in (self.loop.name, "loop"):
            self.uses_loop = self.uses_loop or name == "loop"
            return "item" if name == self.loop.name else "loop"
        if self.outer is not None:
            return self.given.setdefault(self.outer.variable(name), f"p{len(self.given) + 1}")
        return self._names.setdefault(name, f"n{len(self._names) + 1}")

    def is_item(self, name: str) -> bool:
        """Whether the name is that of a loop, so that it surely holds something."""
        if self.loop is not None and name in (self.loop.name, "loop"):
            return True
        return self.outer is not None and self.outer.is_item(name)

    @property
    def deep(self) -> bool:
        """Whether what comes now should become a function of its own."""
        return len(self._costs) > _DEEPEST

    def line(self, text: str, place: Place | None = None) -> None:
        """Write a line."""
        self._body.append(_Line(len(self._costs) + (self.loop is not None), text, place or self.place))

    def assign(self, text: str, place: Place | None = None) -> str:
        """Write a line that keeps what the text gives; the variable."""
        name = self.module.fresh("t")
        self.line(f"{name} = {text}", place)
        return name

    def cost(self, size: int = 1) -> None:
        """Count steps that are done whenever this block is: they are spent at its beginning, all at once."""
        self._costs[-1] += size

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is written meanwhile stands within this `if` or `else`."""
        self.line(head)
        start = len(self._body)
        self._costs.append(0)
        yield
        indent, cost = len(self._costs) + (self.loop is not None), self._costs.pop()
        if cost or len(self._body) == start:
            self._body.insert(start, _Line(indent, f"left -= {cost}", self.place))

    def look(self) -> None:
        """Look whether too much was spent."""
        self.line("if left < look: look = run.look(left)")

    def call(self, text: str, place: Place | None = None) -> str:
        """Write a call of what spends by itself; the variable of its result."""
        self.line("run.left = left")
        made = self.assign(text, place)
        self.line("left = run.left; look = run.look_at")
        return made

    def lines(self) -> Iterator[_Line]:
        """All its lines, once everything is written."""
        plain = Place()
        handed = "".join(f", {name}" for name in self.given.values())
        if self.loop is not None:
            yield _Line(0, f"def {self.name}(run, items{handed}):", plain)
        else:
            yield _Line(0, f"def {self.name}(run{', names' if self.outer is None else ''}{handed}):", plain)
        yield _Line(1, "left = run.left; look = run.look_at", plain)
        if self.outer is None:
            for name, variable in self._names.items():
                yield _Line(1, f"try: {variable} = names[{name!r}]", plain)
                yield _Line(1, f"except KeyError: {variable} = Missing(name={name!r})", plain)
        indent = 1
        if self.loop is not None:
            indent = 2
            yield _Line(1, "made = []", plain)
            yield _Line(1, "for i, item in enumerate(items):", plain)
        yield _Line(indent, f"left -= {self._costs[0]}", plain)
        if self.loop is not None:
            yield _Line(indent, "if left < look: look = run.look(left)", plain)
        if self.uses_loop:
            yield _Line(indent, "loop = loop_of(i, items)", plain)
        yield from self._body
        if self.loop is not None:
            yield _Line(1, "run.left = left", plain)
            yield _Line(1, "return made", plain)
