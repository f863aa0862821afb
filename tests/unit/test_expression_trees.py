"""Whole trees of generated mappings against a second, slow reading of the language: equal values, equal errors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.expressions import Environment, Where
from app.errors import DataError

WHERE = Where("mappings/x.yaml", 7)
ENVIRONMENT = Environment()
OMITTED = object()
KEYS = st.sampled_from(["a", "b", "c", "items"])
STEPS = KEYS | st.integers(0, 2)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(-99, 99, places=2)
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=30
)


class Told(Exception):
    """What must be said: where in what is made, and what."""

    def __init__(self, place: str, what: str) -> None:
        self.place, self.what = place, what


# A plan is what the test draws. `write` makes the YAML of it, `expect` what that must come to.


@st.composite
def plans(draw: st.DrawFn, names: tuple[str, ...] = ("x", "y"), depth: int = 0) -> Any:
    kinds = ["plain", "field", "field", "default", "omit", "mixed"]
    kind = draw(st.sampled_from(kinds if depth > 2 else [*kinds, "object", "list", "if", "each"]))
    inner = plans(names, depth + 1)
    if kind == "plain":
        return kind, draw(SCALARS.filter(lambda value: not isinstance(value, str)))
    if kind == "object":
        return kind, draw(st.dictionaries(KEYS, inner, max_size=3))
    if kind == "list":
        return kind, draw(st.lists(inner, max_size=3))
    look_up = (draw(st.sampled_from(names)), *draw(st.lists(STEPS, max_size=3)))
    if kind == "if":
        return kind, look_up, draw(inner)
    if kind == "each":
        return kind, look_up, f"i{depth}", draw(plans((*names, f"i{depth}", f"i{depth}"), depth + 1))
    return kind, look_up


def write(plan: Any) -> Any:
    kind, given = plan[0], plan[1]
    if kind == "plain":
        return given
    if kind == "object":
        return {key: write(part) for key, part in given.items()}
    if kind == "list":
        return [write(part) for part in given]
    spelt = spell(given)
    if kind == "if":
        return {"$if": f"{{{{ {spelt} is defined }}}}", "$do": write(plan[2])}
    if kind == "each":
        return {"$each": f"{{{{ {spelt} }}}}", "$as": plan[2], "$do": write(plan[3])}
    return {
        "field": f"{{{{ {spelt} }}}}",
        "default": f"{{{{ {spelt} | default('-') }}}}",
        "omit": f"{{{{ {spelt} | default(omit) }}}}",
        "mixed": f"<{{{{ {spelt} }}}}>",
    }[kind]


def spell(look_up: tuple[Any, ...]) -> str:
    name, *steps = look_up
    return name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def expect(plan: Any, names: dict[str, Any], known: dict[str, str], place: str) -> Any:
    kind, given = plan[0], plan[1]
    if kind == "plain":
        return given
    if kind == "object":
        made = {key: expect(part, names, known, f"{place}.{key}") for key, part in given.items()}
        return {key: value for key, value in made.items() if value is not OMITTED}
    if kind == "list":
        found = [expect(part, names, known, f"{place}[{index}]") for index, part in enumerate(given)]
        return [value for value in found if value is not OMITTED]
    value, fault = look(given, names, known)
    if kind == "if":
        return OMITTED if fault else expect(plan[2], names, known, place)
    if kind in ("default", "omit"):
        return ("-" if kind == "default" else OMITTED) if fault or value is None else value
    if fault:
        raise Told(f"{place}.$each" if kind == "each" else place, fault)
    if kind == "field":
        return value
    if kind == "each":
        return expect_each(plan, value, names, known, place)
    if value is None or isinstance(value, (list, dict)):
        raise Told(place, "cannot be written as text")
    return f"<{str(value).lower() if isinstance(value, bool) else value}>"


def expect_each(plan: Any, items: Any, names: dict[str, Any], known: dict[str, str], place: str) -> Any:
    _, look_up, name, do = plan
    if not isinstance(items, list):
        raise Told(f"{place}.$each", "is no list")
    made = []
    for index, item in enumerate(items):
        inner = {**known, name: f"{spell((known[look_up[0]], *look_up[1:]))}[{index}]"}
        made.append(expect(do, {**names, name: item}, inner, f"{place}[{index}]"))
    return [value for value in made if value is not OMITTED]


def look(look_up: tuple[Any, ...], names: dict[str, Any], known: dict[str, str]) -> tuple[Any, str]:
    """What is there, and what is wrong when nothing is."""
    value, way = names[look_up[0]], known[look_up[0]]
    for step in look_up[1:]:
        if value is None:
            return None, f"{way} is null"
        way = spell((way, step))
        holder = dict if isinstance(step, str) else (list, str)
        if not isinstance(value, holder) or (step not in value if isinstance(step, str) else step >= len(value)):
            return None, f"{way} is missing"
        value = value[step]
    return value, ""


# No limit of time: what else the machine does decides how long an example takes.
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans(), DATA, DATA)
def test_a_tree_gives_what_the_slow_reading_gives_or_the_same_error(plan: Any, x: Any, y: Any) -> None:
    names = {"x": x, "y": y}
    value = ENVIRONMENT.compile_value(write(plan), where=WHERE, names=["x", "y"])
    try:
        expected = expect(plan, names, {"x": "x", "y": "y"}, "body")
    except Told as told:
        try:
            made = value.render(names, "body")
        except DataError as error:
            assert (error.path, error.where) == (told.place, str(WHERE))
            assert told.what in error.what
        else:
            raise AssertionError(f"gave {made!r}, must say {told.what!r}") from None
    else:
        made = value.render(names, "body")
        assert same(made, None if expected is OMITTED else expected)


def same(made: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return made.keys() == expected.keys() and all(same(made[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(made) == len(expected) and all(map(same, made, expected))
    return type(made) is type(expected) and made == expected and str(made) == str(expected)


def test_a_list_of_arguments_can_be_handed_on() -> None:
    node = {"a": "{{ 'a-b' | replace(*['-', '+']) }}", "b": "{{ [2, 1] | sort(**{'reverse': true}) }}"}
    value = ENVIRONMENT.compile_value(node, where=WHERE, names=())
    assert value.render({}) == {"a": "a+b", "b": [2, 1]}


def test_an_operand_behind_one_that_decides_is_not_worked_out() -> None:
    node = {"a": "{{ false and 1 / 0 }}", "b": "{{ 2 < 1 < 1 / 0 }}", "c": "{{ 1 if true else 1 / 0 }}"}
    value = ENVIRONMENT.compile_value(node, where=WHERE, names=())
    assert value.render({}) == {"a": False, "b": False, "c": 1}


def test_what_a_rendering_makes_of_a_list_it_goes_through_is_limited_not_the_list() -> None:
    node = {"$each": "{{ x }}", "$as": "a", "$do": "{{ a.n }}"}
    value = ENVIRONMENT.compile_value(node, where=WHERE, names=["x"])
    long = [{"n": Decimal(number), "text": "a" * 400_000} for number in range(5)]
    assert value.render({"x": long}) == [Decimal(number) for number in range(5)]
