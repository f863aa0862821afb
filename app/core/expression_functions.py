"""An expression's syntax tree as nested functions of the scope, made once, when its file is read.

Nothing of an expression ever becomes Python code, and no function here reads an attribute or calls a value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from jinja2 import nodes

from app.core.exact import Refused, calculate, decimal_of, is_number, kind_of
from app.core.sandbox import OMIT, Missing, Sandbox, Scope, refuse_missing

Function = Callable[[Scope], Any]


def function_of(tree: nodes.Node, sandbox: Sandbox) -> Function:
    """A function that works a tree without faults out in a scope."""
    return _MAKERS[type(tree)](tree, sandbox)


def _functions(trees: list[nodes.Expr], sandbox: Sandbox) -> list[Function]:
    return [function_of(tree, sandbox) for tree in trees]


def _is_constant(tree: nodes.Expr) -> bool:
    return isinstance(tree, nodes.Const) or (isinstance(tree, nodes.Name) and tree.name == "omit")


def _constant(tree: nodes.Const, _: Sandbox) -> Function:
    value = tree.value
    return lambda scope: value


def _name(tree: nodes.Name, _: Sandbox) -> Function:
    name = tree.name
    if name == "omit":
        return lambda scope: OMIT
    return lambda scope: scope.parent[name] if name in scope.parent else Missing(name=name)


# --- look-ups ------------------------------------------------------------------------------------


def _field(tree: nodes.Getattr | nodes.Getitem, sandbox: Sandbox) -> Function:
    keys: list[Any] = []
    root: nodes.Expr = tree
    while isinstance(root, nodes.Getattr) or (isinstance(root, nodes.Getitem) and isinstance(root.arg, nodes.Const)):
        keys.insert(0, root.attr if isinstance(root, nodes.Getattr) else cast(nodes.Const, root.arg).value)
        root = root.node
    if isinstance(root, nodes.Name):
        return _chain(root.name, tuple(keys), function_of(root, sandbox), sandbox)
    if keys:
        return _chain_of(function_of(root, sandbox), tuple(keys), sandbox)
    assert isinstance(root, nodes.Getitem)
    value, key = function_of(root.node, sandbox), function_of(root.arg, sandbox)
    if isinstance(root.arg, nodes.Slice):
        return lambda scope: value(scope)[key(scope)]
    return lambda scope: sandbox.getitem(value(scope), key(scope))


def _chain(name: str, keys: tuple[Any, ...], root: Function, sandbox: Sandbox) -> Function:
    careful = _chain_of(root, keys, sandbox)

    def look_up(scope: Scope) -> Any:
        # Nearly always everything is there. What a name holds is JSON, in which brackets can do no harm.
        try:
            value = scope.parent[name]
            for key in keys:
                value = value[key]
            return value
        except (KeyError, TypeError, IndexError):
            return careful(scope)

    return look_up


def _chain_of(root: Function, keys: tuple[Any, ...], sandbox: Sandbox) -> Function:
    def look_up(scope: Scope) -> Any:
        value = root(scope)
        for key in keys:
            value = sandbox.getitem(value, key)
        return value

    return look_up


def _slice(tree: nodes.Slice, sandbox: Sandbox) -> Function:
    ends = [function_of(end, sandbox) if end else (lambda scope: None) for end in (tree.start, tree.stop, tree.step)]
    return lambda scope: slice(*[end(scope) for end in ends])


# --- lists and objects ---------------------------------------------------------------------------


def _list(tree: nodes.List, sandbox: Sandbox) -> Function:
    items = _functions(tree.items, sandbox)
    return lambda scope: [item(scope) for item in items]


def _tuple(tree: nodes.Tuple, sandbox: Sandbox) -> Function:
    items = _functions(tree.items, sandbox)
    return lambda scope: tuple([item(scope) for item in items])


def _dict(tree: nodes.Dict, sandbox: Sandbox) -> Function:
    pairs = [(function_of(pair.key, sandbox), function_of(pair.value, sandbox)) for pair in tree.items]
    return lambda scope: {key(scope): value(scope) for key, value in pairs}


# --- filters and tests ---------------------------------------------------------------------------


def _filter(tree: nodes.Filter, sandbox: Sandbox) -> Function:
    return _applied(sandbox.filters[tree.name], tree, sandbox)


def _test(tree: nodes.Test, sandbox: Sandbox) -> Function:
    return _applied(sandbox.tests[tree.name], tree, sandbox)


def _applied(call: Callable[..., Any], tree: nodes.Filter | nodes.Test, sandbox: Sandbox) -> Function:
    assert tree.node is not None
    value = function_of(tree.node, sandbox)
    if not (tree.kwargs or tree.dyn_args or tree.dyn_kwargs) and all(map(_is_constant, tree.args)):
        constants = [function_of(arg, sandbox)(_NO_SCOPE) for arg in tree.args]
        return lambda scope: call(scope, value(scope), *constants)
    args = _functions(tree.args, sandbox)
    named = [(str(pair.key), function_of(pair.value, sandbox)) for pair in tree.kwargs]
    more: Function = function_of(tree.dyn_args, sandbox) if tree.dyn_args else lambda scope: ()
    more_named: Function = function_of(tree.dyn_kwargs, sandbox) if tree.dyn_kwargs else lambda scope: {}

    def apply(scope: Scope) -> Any:
        found, given = value(scope), [arg(scope) for arg in args]
        by_name: dict[str, Any] = {key: function(scope) for key, function in named}
        return call(scope, found, *given, *more(scope), **by_name, **more_named(scope))

    return apply


# --- choosing and comparing ----------------------------------------------------------------------


def _choice(tree: nodes.CondExpr, sandbox: Sandbox) -> Function:
    assert tree.expr2 is not None
    test, yes, no = _functions([tree.test, tree.expr1, tree.expr2], sandbox)
    return lambda scope: yes(scope) if test(scope) else no(scope)


def _and(tree: nodes.And, sandbox: Sandbox) -> Function:
    left, right = _functions([tree.left, tree.right], sandbox)
    return lambda scope: left(scope) and right(scope)


def _or(tree: nodes.Or, sandbox: Sandbox) -> Function:
    left, right = _functions([tree.left, tree.right], sandbox)
    return lambda scope: left(scope) or right(scope)


def _not(tree: nodes.Not, sandbox: Sandbox) -> Function:
    value = function_of(tree.node, sandbox)
    return lambda scope: not value(scope)


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


def _compare(tree: nodes.Compare, sandbox: Sandbox) -> Function:
    first = function_of(tree.expr, sandbox)
    rest = [(_COMPARISONS[operand.op], function_of(operand.expr, sandbox)) for operand in tree.ops]

    def compare(scope: Scope) -> Any:
        left, found = first(scope), True
        for holds, operand in rest:
            right = operand(scope)
            found = holds(left, right)
            if not found:
                break
            left = right
        return found

    return compare


# --- arithmetic ----------------------------------------------------------------------------------


def _binary(tree: nodes.BinExpr, sandbox: Sandbox) -> Function:
    sign = tree.operator
    first, second = _functions([tree.left, tree.right], sandbox)

    def work_out(scope: Scope) -> Any:
        left, right = first(scope), second(scope)
        refuse_missing(left)
        refuse_missing(right)
        return calculate(sign, left, right)

    return work_out


def _signed(tree: nodes.UnaryExpr, sandbox: Sandbox) -> Function:
    sign, inner = tree.operator, function_of(tree.node, sandbox)

    def work_out(scope: Scope) -> Any:
        value = inner(scope)
        refuse_missing(value)
        if not is_number(value):
            raise Refused(f"{sign} before {kind_of(value)} cannot be calculated")
        if sign == "+":
            return value
        return calculate("-", 0, value if isinstance(value, int) else decimal_of(value))

    return work_out


_NO_SCOPE = cast(Scope, None)  # what is constant looks into none
_MAKERS: dict[type[nodes.Node], Callable[[Any, Sandbox], Function]] = {
    nodes.Const: _constant,
    nodes.Name: _name,
    nodes.Getattr: _field,
    nodes.Getitem: _field,
    nodes.Slice: _slice,
    nodes.List: _list,
    nodes.Tuple: _tuple,
    nodes.Dict: _dict,
    nodes.Filter: _filter,
    nodes.Test: _test,
    nodes.CondExpr: _choice,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.Compare: _compare,
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod), _binary),
    **dict.fromkeys((nodes.Neg, nodes.Pos), _signed),
}
