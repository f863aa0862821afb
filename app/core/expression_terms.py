"""An expression's syntax tree as lines of a Python function: each step is a line, its result a variable.

`strict` tells that whoever uses the result refuses what is missing at once: then a look-up may simply fail, and only
the failure asks what was missing. Elsewhere a look-up that leads nowhere gives a `Missing`, which is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from jinja2 import nodes

from app.core.expression_source import Function, Place
from app.core.inspection import GLUE
from app.core.sandbox import Sandbox


class Term(NamedTuple):
    """The result of a step: a variable, or a constant as it is written."""

    code: str
    sure: bool = False  # never `Missing`
    plain: bool = False  # a scalar, and no text
    owed: bool = False  # a filter made it, and its size is not spent yet


class Terms:
    """Writes the steps of one expression into a function."""

    def __init__(self, function: Function, place: Place, sandbox: Sandbox) -> None:
        self._function, self._place, self._sandbox = function, place, sandbox
        function.place = place

    def term(self, tree: nodes.Node, strict: bool = False) -> Term:
        """The steps of a tree without faults, and its result."""
        if self._function.deep and not isinstance(tree, nodes.Const | nodes.Name):
            return self._outlined(tree)
        return _WRITERS[type(tree)](self, tree, strict)

    def outermost(self, tree: nodes.Node) -> Term:
        """The whole expression: a filter's result need not be counted before the expression's own."""
        if isinstance(tree, nodes.Filter) and not self._function.deep:
            return self._filter(tree, True)
        return self.term(tree, True)

    def _outlined(self, tree: nodes.Node) -> Term:
        outer = self._function
        inner = Function(outer.module, outer.module.fresh("part"), outer, place=self._place)
        found = Terms(inner, self._place, self._sandbox).term(tree)
        inner.line("run.left = left")
        inner.line(f"return {found.code}")
        handed = "".join(f", {name}" for name in inner.given)
        return Term(outer.call(f"{inner.name}(run{handed})"), found.sure, found.plain)

    def _terms(self, trees: Sequence[nodes.Node], strict: bool = False) -> list[Term]:
        """Several results, in order. One may fail early only where no other could have failed before or behind it."""
        found: list[Term] = []
        for number, tree in enumerate(trees):
            early = strict and all(term.sure for term in found) and all(map(_is_simple, trees[number + 1 :]))
            found.append(self.term(tree, early))
        return found

    def _refuse(self, *terms: Term) -> None:
        for term in terms:
            if not term.sure:
                self._function.line(f"if type({term.code}) is Missing: refuse_missing({term.code})")

    def _constant(self, tree: nodes.Const, strict: bool) -> Term:
        return Term(self._function.module.constant(tree.value), True, not isinstance(tree.value, str))

    def _name(self, tree: nodes.Name, strict: bool) -> Term:
        if tree.name == "omit":
            return Term("OMIT", True)
        return Term(self._function.variable(tree.name), self._function.is_item(tree.name))

    # --- look-ups --------------------------------------------------------------------------------

    def _field(self, tree: nodes.Getattr | nodes.Getitem, strict: bool) -> Term:
        root, keys = chain(tree)
        constant = self._function.module.constant
        if isinstance(root, nodes.Name):
            # What a name holds is JSON, in which brackets can do no harm.
            start = self._name(root, strict).code
            steps = "".join(f"[{constant(key)}]" for key in keys)
            at = Place(self._place.steps, self._place.part, look_up=(start, keys))
            if strict:
                return Term(self._function.assign(f"{start}{steps}", at), True)
            found = self._function.module.fresh("t")
            self._function.line(f"try: {found} = {start}{steps}")
            self._function.line(f"except NOT_THERE: {found} = find({start}, {self._function.module.refer(keys)})")
            return Term(found)
        assert root is not None
        if keys:
            found = self._function.assign(self.term(root).code)
            for text in map(constant, keys):
                quick = f"{found}[{text}] if type({found}) is dict and {text} in {found}"
                found = self._function.assign(f"{quick} else getitem({found}, {text})")
            return Term(found)
        assert isinstance(root, nodes.Getitem)
        if isinstance(root.arg, nodes.Slice):
            ends: list[nodes.Node] = [
                end or nodes.Const(None) for end in (root.arg.start, root.arg.stop, root.arg.step)
            ]
            value, *found_ends = self._terms([root.node, *ends])
            sliced = self._function.assign(value.code)
            return self._spent(Term(self._function.assign(f"{sliced}[{':'.join(end.code for end in found_ends)}]")))
        value, key = self._terms([root.node, root.arg])
        return Term(self._function.assign(f"getitem({value.code}, {key.code})"))

    # --- lists and objects -----------------------------------------------------------------------

    def _list(self, tree: nodes.List, strict: bool) -> Term:
        items = ", ".join(term.code for term in self._terms(tree.items))
        return Term(self._function.assign(f"[{items}]"), True)

    def _tuple(self, tree: nodes.Tuple, strict: bool) -> Term:
        items = "".join(f"{term.code}, " for term in self._terms(tree.items))
        return Term(self._function.assign(f"({items})"), True)

    def _dict(self, tree: nodes.Dict, strict: bool) -> Term:
        found = self._function.assign("{}")
        for pair in tree.items:
            key, value = self._terms([pair.key, pair.value])
            self._function.line(f"{found}[{key.code}] = {value.code}")
        return Term(found, True)

    # --- filters and tests -----------------------------------------------------------------------

    def _filter(self, tree: nodes.Filter, owing: bool) -> Term:
        assert tree.node is not None
        made = self._default(tree) or self._join(tree) or self._called(tree)
        if made is None:
            return self._guarded(tree, self._sandbox.filters[tree.name])
        self._function.cost()
        return made._replace(owed=True) if owing else self._spent(made)

    def _spent(self, made: Term) -> Term:
        """A text or list that was made on the way: what many steps make together is limited, not only the result."""
        self._function.line(f"if type({made.code}) is str: left -= len({made.code})")
        self._function.line(f"elif type({made.code}) not in SCALARS: left, {made.code} = made_of(left, {made.code})")
        self._function.look()
        return made

    def _default(self, tree: nodes.Filter) -> Term | None:
        args = tree.args
        if tree.name != "default" or _is_open(tree) or len(args) > 2 or not all(map(_is_constant, args[1:])):
            return None
        root, keys = chain(tree.node)
        if isinstance(root, nodes.Name) and keys and isinstance(keys[-1], str):
            # Here null and missing are alike, and a key that is often missing must not cost a failure.
            start, found = self._name(root, False).code, self._function.module.fresh("t")
            *way, last = map(self._function.module.constant, keys)
            steps = "".join(f"[{key}]" for key in way)
            self._function.line(f"try: {found} = {start}{steps}.get({last})")
            self._function.line(f"except NOT_THERE: {found} = None")
            missing = f"{found} is None"
        else:
            found = self._function.assign(self.term(cast(nodes.Node, tree.node)).code)
            missing = f"{found} is None or type({found}) is Missing"
        default = self.term(args[0]) if args else Term("''", True)
        empty = len(args) == 2 and bool(cast(nodes.Const, args[1]).value)
        self._function.line(f"if {missing}{f' or not {found}' if empty else ''}: {found} = {default.code}")
        return Term(found, default.sure)

    def _join(self, tree: nodes.Filter) -> Term | None:
        if tree.name != GLUE:
            return None
        parts = self._terms(cast(nodes.List, tree.node).items, True)
        return Term(self._function.assign(f"glued({', '.join(part.code for part in parts)})"), True)

    def _called(self, tree: nodes.Filter) -> Term | None:
        spec = self._sandbox.specs[tree.name]
        if spec.with_scope or _is_open(tree):
            return None
        given = self._terms([cast(nodes.Node, tree.node), *tree.args], not spec.takes_missing)
        if not spec.takes_missing:
            self._refuse(*given)
        place = Place(self._place.steps, self._place.part, call=(spec.name, spec.usage))
        call = f"{self._function.module.refer(spec.call)}({', '.join(term.code for term in given)})"
        return Term(self._function.assign(call, place))

    def _guarded(self, tree: nodes.Filter | nodes.Test, call: Callable[..., Any]) -> Term:
        """The call of what refuses and spends by itself."""
        return Term(self._function.call(self._written(tree, call)))

    def _test(self, tree: nodes.Test, strict: bool) -> Term:
        self._function.cost()
        if tree.name in ("defined", "undefined") and not tree.args and not _is_open(tree):
            sign = "is not" if tree.name == "defined" else "is"
            found = self.term(tree.node).code
            return Term(self._function.assign(f"type({found}) {sign} Missing"), True, True)
        return Term(self._function.assign(self._written(tree, self._sandbox.tests[tree.name])), True)

    def _written(self, tree: nodes.Filter | nodes.Test, call: Callable[..., Any]) -> str:
        trees = [cast(nodes.Node, tree.node), *tree.args, *(pair.value for pair in tree.kwargs)]
        trees += [more for more in (tree.dyn_args, tree.dyn_kwargs) if more is not None]
        given = [term.code for term in self._terms(trees)]
        value, args = given[0], given[1 : 1 + len(tree.args)]
        named = [
            f"{str(pair.key)!r}: {code}" for pair, code in zip(tree.kwargs, given[1 + len(tree.args) :], strict=False)
        ]
        more = [f"*{given[-1 - bool(tree.dyn_kwargs)]}"] if tree.dyn_args else []
        more += [f"**{{{', '.join(named)}}}"] if named else []
        more += [f"**{given[-1]}"] if tree.dyn_kwargs else []
        return f"{self._function.module.refer(call)}({', '.join(['run', value, *args, *more])})"

    # --- choosing and comparing ------------------------------------------------------------------

    def _choice(self, tree: nodes.CondExpr, strict: bool) -> Term:
        assert tree.expr2 is not None
        test, found = self.term(tree.test, True).code, self._function.module.fresh("t")
        ends = []
        for head, end in ((f"if {test}:", tree.expr1), ("else:", tree.expr2)):
            with self._function.block(head):
                ends.append(self.term(end, strict))
                self._function.line(f"{found} = {ends[-1].code}")
        return Term(found, all(end.sure for end in ends), all(end.plain for end in ends))

    def _and_or(self, tree: nodes.And | nodes.Or, strict: bool) -> Term:
        left = self.term(tree.left, True)
        found = self._function.assign(left.code)
        with self._function.block(f"if {found}:" if isinstance(tree, nodes.And) else f"if not {found}:"):
            right = self.term(tree.right, strict)
            self._function.line(f"{found} = {right.code}")
        return Term(found, right.sure, left.plain and right.plain)

    def _not(self, tree: nodes.Not, strict: bool) -> Term:
        return Term(self._function.assign(f"not {self.term(tree.node, True).code}"), True, True)

    def _compare(self, tree: nodes.Compare, strict: bool) -> Term:
        failing = all(operand.op not in ("in", "notin") for operand in tree.ops)
        first, second = tree.expr, tree.ops[0]
        left, right = self._terms([first, second.expr], failing)
        found = self._function.assign(f"{left.code} {_SIGNS[second.op]} {right.code}")
        self._compare_more(found, right.code, tree.ops[1:], failing)
        return Term(found, True, True)

    def _compare_more(self, found: str, left: str, more: list[nodes.Operand], strict: bool) -> None:
        if more:
            with self._function.block(f"if {found}:"):
                right = self.term(more[0].expr, strict).code
                self._function.line(f"{found} = {left} {_SIGNS[more[0].op]} {right}")
                self._compare_more(found, right, more[1:], strict)

    # --- arithmetic ------------------------------------------------------------------------------

    def _binary(self, tree: nodes.BinExpr, strict: bool) -> Term:
        left, right = self._terms([tree.left, tree.right], True)
        self._refuse(left, right)
        made = Term(self._function.assign(f"calculate({tree.operator!r}, {left.code}, {right.code})"), True)
        return self._spent(made) if isinstance(tree, nodes.Add) else made

    def _signed(self, tree: nodes.UnaryExpr, strict: bool) -> Term:
        value = self.term(tree.node, True)
        self._refuse(value)
        return Term(self._function.assign(f"signed({tree.operator!r}, {value.code})"), True)

    def _strictly(self, tree: nodes.Filter, strict: bool) -> Term:
        return self._filter(tree, False)


def chain(tree: nodes.Node | None) -> tuple[nodes.Node | None, tuple[Any, ...]]:
    """What a look-up starts from, and the constant keys that follow."""
    keys: list[Any] = []
    while isinstance(tree, nodes.Getattr) or (isinstance(tree, nodes.Getitem) and isinstance(tree.arg, nodes.Const)):
        keys.append(tree.attr if isinstance(tree, nodes.Getattr) else cast(nodes.Const, tree.arg).value)
        tree = tree.node
    return tree, tuple(reversed(keys))


def _is_constant(tree: nodes.Node) -> bool:
    return isinstance(tree, nodes.Const)


def _is_simple(tree: nodes.Node) -> bool:
    """Whether nothing but a missing part can be wrong with it."""
    return isinstance(chain(tree)[0], nodes.Const | nodes.Name)


def _is_open(tree: nodes.Filter | nodes.Test) -> bool:
    return bool(tree.kwargs or tree.dyn_args or tree.dyn_kwargs)


_SIGNS = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in", "notin": "not in"}
_WRITERS: dict[type[nodes.Node], Callable[[Terms, Any, bool], Term]] = {
    nodes.Const: Terms._constant,
    nodes.Name: Terms._name,
    nodes.Getattr: Terms._field,
    nodes.Getitem: Terms._field,
    nodes.List: Terms._list,
    nodes.Tuple: Terms._tuple,
    nodes.Dict: Terms._dict,
    nodes.Filter: Terms._strictly,
    nodes.Test: Terms._test,
    nodes.CondExpr: Terms._choice,
    nodes.And: Terms._and_or,
    nodes.Or: Terms._and_or,
    nodes.Not: Terms._not,
    nodes.Compare: Terms._compare,
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod), Terms._binary),
    **dict.fromkeys((nodes.Neg, nodes.Pos), Terms._signed),
}
