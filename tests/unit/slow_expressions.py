"""A second, slow reading of expressions: the tree is walked anew each time, as plainly as the language is told."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from app.core.exact import Refused, calculate, decimal_of, is_number
from app.core.expression_values import plain_json
from app.core.inspection import GLUE
from app.core.sandbox import OMIT, Missing, Run, Sandbox, getitem, refuse_missing

SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    **{"eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "gteq": operator.ge},
    **{"lt": operator.lt, "lteq": operator.le},
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


def read(tree: nodes.Expr, names: dict[str, Any], sandbox: Sandbox) -> Any:
    """What an expression gives, as JSON has it. Raises whatever is wrong with it."""
    return plain_json(_Reading(names, sandbox).value(tree))


class _Reading:
    def __init__(self, names: dict[str, Any], sandbox: Sandbox) -> None:
        self._names, self._sandbox, self._run = names, sandbox, Run(sandbox, None)

    def value(self, tree: Any) -> Any:
        value = self.value
        match tree:
            case nodes.Const():
                return tree.value
            case nodes.Name():
                return OMIT if tree.name == "omit" else self._names.get(tree.name, Missing(name=tree.name))
            case nodes.Getattr():
                return getitem(value(tree.node), tree.attr)
            case nodes.Getitem(arg=nodes.Slice() as part):
                held = value(tree.node)
                return held[slice(*[value(end) if end else None for end in (part.start, part.stop, part.step)])]
            case nodes.Getitem():
                return getitem(value(tree.node), value(tree.arg))
            case nodes.List():
                return [value(item) for item in tree.items]
            case nodes.Tuple():
                return tuple(value(item) for item in tree.items)
            case nodes.Dict():
                return {value(pair.key): value(pair.value) for pair in tree.items}
            case nodes.Filter():
                # `~` is `join` without a separator.
                return self._applied(self._sandbox.filters["join" if tree.name == GLUE else tree.name], tree)
            case nodes.Test():
                return self._applied(self._sandbox.tests[tree.name], tree)
            case nodes.CondExpr():
                return value(tree.expr1) if value(tree.test) else value(tree.expr2)
            case nodes.And():
                return value(tree.left) and value(tree.right)
            case nodes.Or():
                return value(tree.left) or value(tree.right)
            case nodes.Not():
                return not value(tree.node)
            case nodes.Compare():
                return self._compared(value(tree.expr), tree.ops)
            case nodes.BinExpr():
                return self._calculated(tree.operator, value(tree.left), value(tree.right))
            case nodes.UnaryExpr():
                return self._signed(tree.operator, value(tree.node))
        raise AssertionError(tree)

    def _applied(self, call: Callable[..., Any], tree: nodes.Filter | nodes.Test) -> Any:
        assert tree.node is not None
        found, given = self.value(tree.node), [self.value(arg) for arg in tree.args]
        return call(self._run, found, *given, **{pair.key: self.value(pair.value) for pair in tree.kwargs})

    def _compared(self, left: Any, operands: list[nodes.Operand]) -> Any:
        for operand in operands:
            right = self.value(operand.expr)
            if not SIGNS[operand.op](left, right):
                return False
            left = right
        return True

    def _calculated(self, sign: str, left: Any, right: Any) -> Any:
        refuse_missing(left)
        refuse_missing(right)
        return calculate(sign, left, right)

    def _signed(self, sign: str, value: Any) -> Any:
        refuse_missing(value)
        if not is_number(value):
            raise Refused("no number")
        return value if sign == "+" else calculate("-", 0, value if isinstance(value, int) else decimal_of(value))
