"""A compiled value as Python functions: one for the value, one for each `$each` in it, made at the first rendering.

`body: {sku: "{{ line.sku }}", price: "{{ line.price | money }}"}` becomes, in short

    def value1(run, names):
        line = names["line"]
        t1 = line["sku"]
        if type(t1) is str: left -= len(t1)
        t2 = line["price"]
        t3 = money(t2)
        if type(t3) is str: left -= len(t3) * 2
        return {"sku": t1, "price": t3}

so that nothing is looked up, wrapped or counted twice while a message is rendered. Where something fails, the number of
the line tells which part of the file it was (`app.core.expression_faults`); a rendering without faults pays nothing
for that. The lines reach nothing but the names in `app.core.expression_values.KNOWN`, the filters, and constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from app.core import expression_nodes as parts
from app.core.expression_nodes import Expression, Node, may_be_left_out
from app.core.expression_source import Function, Module, Place, Steps
from app.core.expression_terms import Term, Terms
from app.core.expression_values import KNOWN
from app.core.sandbox import Run, Sandbox
from app.core.source import Where


@dataclass(frozen=True, slots=True)
class Code:
    """The function of a value, and what its lines do."""

    call: Callable[[Run, Mapping[str, Any]], Any]
    places: tuple[Place, ...]
    loops: Mapping[str, parts.Each]  # by the name of the function that goes through its items
    globals: Mapping[str, Any]

    @classmethod
    def of(cls, root: Node, sandbox: Sandbox) -> Code:
        """The code of a value without faults."""
        module = Module(dict(KNOWN))
        function = Function(module, "value")
        made = _Writer(function, sandbox).value(root, ())
        function.place = Place()
        function.look()
        function.line(f"return {made}")
        text, places = module.text()
        exec(compile(text, "<a value of the site>", "exec", dont_inherit=True), module.globals)
        loops = {one.name: one.loop for one in module.functions if one.loop is not None}
        return cls(module.globals[function.name], tuple(places), loops, module.globals)


class _Writer:
    """Writes the parts of a value into a function."""

    def __init__(self, function: Function, sandbox: Sandbox) -> None:
        self._function, self._sandbox = function, sandbox

    def value(self, node: Node, steps: Steps) -> str:
        """The lines that make the part; the variable or constant that holds it."""
        self._function.place = Place(steps)
        match node:
            case parts.Literal(value):
                self._function.cost(1 + (len(value) if isinstance(value, str) else 0))
                return self._function.module.constant(value)
            case Expression():
                return self._expression(node, steps).code
            case parts.Mixed():
                return self._mixed(node, steps)
            case parts.Segment():
                found = self.value(node.part, steps)
                escape = self._function.module.refer(node.escape)
                return self._function.assign(f"{escape}({found})", Place(steps, where=node.where, within="path"))
            case parts.Object():
                return self._object(node, steps)
            case parts.Items():
                return self._items(node, steps)
            case parts.Chosen():
                found = self._function.assign("OMIT")
                with self._when(node.condition, steps):
                    self._function.line(f"{found} = {self.value(node.do, steps)}")
                return found
            case parts.Each():
                return self._each(node, steps)

    def _expression(self, node: Expression, steps: Steps, *, as_list: bool = False) -> Term:
        """An expression's result as JSON has it; with `as_list` a list of the message is not measured as a whole."""
        function, place = self._function, Place(steps, node)
        term = Terms(function, place, self._sandbox).outermost(node.tree)
        found = term.code
        if isinstance(node.tree, nodes.Const) and isinstance(node.tree.value, str):
            function.cost(1 + len(node.tree.value))
            return term
        function.cost()
        if term.plain:
            return term
        if isinstance(node.tree, nodes.Name):
            found = function.assign(found)
        if as_list and node.spelt:
            function.line(f"if type({found}) is not list: left, {found} = settle_found(run, left, {found})")
            return term._replace(code=found)
        function.line(f"if type({found}) is str: left -= len({found}){' * 2' if term.owed else ''}")
        made = f"left, {found} = made_of(left, {found}); " if term.owed else ""
        settle = "settle_found" if node.spelt else "settle"
        function.line(f"elif type({found}) not in SCALARS: {made}left, {found} = {settle}(run, left, {found})")
        function.look()
        return term._replace(code=found)

    def _mixed(self, node: parts.Mixed, steps: Steps) -> str:
        made = []
        for part in node.parts:
            found = self.value(part, steps)
            if isinstance(part, Expression):
                place = Place(steps, where=node.where, within="text")
                found = self._function.assign(f"{found} if type({found}) is str else text_within({found})", place)
            made.append(found)
        self._function.place = Place(steps)
        return self._function.assign(f"join(({', '.join(made)},))")

    def _object(self, node: parts.Object, steps: Steps) -> str:
        if node.condition is None:
            return self._fields(node, steps)
        found = self._function.assign("OMIT")
        with self._when(node.condition, steps):
            self._function.line(f"{found} = {self._fields(node, steps)}")
        return found

    def _fields(self, node: parts.Object, steps: Steps) -> str:
        constant = self._function.module.constant
        made, sure = "", []
        for key, part in node.fields:
            left_out = may_be_left_out(part)
            found = self.value(part, (*steps, f".{key}"))
            if made == "" and not left_out:
                sure.append(f"{constant(key)}: {found}")
                continue
            self._function.place = Place(steps)
            made = made or self._function.assign(f"{{{', '.join(sure)}}}")
            self._function.line(f"{f'if {found} is not OMIT: ' if left_out else ''}{made}[{constant(key)}] = {found}")
        self._function.place = Place(steps)
        return made or self._function.assign(f"{{{', '.join(sure)}}}")

    def _items(self, node: parts.Items, steps: Steps) -> str:
        found = [(self.value(part, (*steps, f"[{index}]")), part) for index, part in enumerate(node.nodes)]
        self._function.place = Place(steps)
        if not any(may_be_left_out(part) for _, part in found):
            return self._function.assign(f"[{', '.join(code for code, _ in found)}]")
        made = self._function.assign("[]")
        for code, part in found:
            unless = f"if {code} is not OMIT: " if may_be_left_out(part) else ""
            self._function.line(f"{unless}{made}.append({code})")
        return made

    @contextmanager
    def _when(self, condition: Node, steps: Steps) -> Any:
        """What is written meanwhile is done when the condition holds."""
        there = (*steps, ".$if")
        if isinstance(condition, Expression):
            term = self._expression(condition, there)
        else:
            term = Term(self.value(condition, there))
        if not term.plain:
            where = condition.where if isinstance(condition, Expression | parts.Mixed) else Where("", 1)
            self._function.line(f"if type({term.code}) is str: no_condition({term.code})", Place(steps, where=where))
        self._function.place = Place(steps)
        with self._function.block(f"if {term.code}:"):
            yield

    def _each(self, node: parts.Each, steps: Steps) -> str:
        outer, there = self._function, (*steps, ".$each")
        if isinstance(node.each, Expression):
            items = self._expression(node.each, there, as_list=True).code
        else:
            items = self.value(node.each, there)
        outer.line(f"if type({items}) is not list: no_list({items})", Place(there, where=node.where))
        inner = Function(outer.module, outer.module.fresh("each"), outer, node)
        writer, here = _Writer(inner, self._sandbox), (None,)
        if node.condition is not None:
            with writer._when(node.condition, here):
                writer.append(node.do, here)
        else:
            writer.append(node.do, here)
        handed = "".join(f", {name}" for name in inner.given)
        return outer.call(f"{inner.name}(run, {items}{handed})", Place(steps))

    def append(self, node: Node, steps: Steps) -> None:
        """The lines that make an item and add it to the list."""
        found = self.value(node, steps)
        unless = f"if {found} is not OMIT: " if may_be_left_out(node) else ""
        self._function.line(f"{unless}made.append({found})", Place(steps))
