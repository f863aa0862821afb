"""`mappings/*.yaml` to `MappingFile`s, with their faults reported."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePosixPath

from app.core.expression_compiler import Names
from app.core.expression_nodes import Expression
from app.core.expressions import Value
from app.core.field_check import field_faults
from app.core.inspection import shape_of
from app.core.mapping import MappingFile, MappingTest, ReferenceUse, Split
from app.core.reading import Node
from app.core.shapes import Shape
from app.model import Json

_EVENT = Shape.keys(("id", "type", "received_at"))
#: What `delivery` holds: its id, and the key of the call that is made, the same on every try.
DELIVERY = Shape.keys(("id", "key"))
#: Where names come from that a mapping may use, by the document it starts from.
KINDS = ("return", "order")


def read_mapping(node: Node, text: str, documents: Mapping[str, Json], fetched: frozenset[str]) -> MappingFile:
    """The mapping. `documents` are the schemas of documents, `fetched` the names of what its connectors fetch."""
    stem = PurePosixPath(node.source.file).stem
    name = node.get("mapping").text(stem)
    if name != stem:
        node.get("mapping").report(f"mapping {name!r} stands in {stem}.yaml", "let both be equal", "name")
    _check_purpose(node)
    kind = name.partition(".")[0]
    # What begins with a document is for routes; `request` is what a bridge was asked.
    hide = [*(other for other in KINDS if other != kind), "request"] if kind in KINDS else []
    shapes = document_shapes(documents, kind)
    split = _split(node.get("split"), shapes, hide)
    part: Names = {split.name: _item_shape(split.each, shapes)} if split else {}
    used = node.get("references")
    shapes = {**shapes, "refs": Shape.keys(key for key, _ in used.items()), "delivery": DELIVERY}
    references = tuple(
        ReferenceUse(
            name=key,
            kind=item.get("kind").text(),
            from_system=item.get("from").text(),
            to_system=item.get("to").text(),
            id=item.get("id").template(shapes, part, hide),
        )
        for key, item in used.items()
    )
    brought: Names = dict.fromkeys(fetched or {"detail"})
    document = node.get("document")
    if document.given:
        check_fields(document, Shape.of(documents[document_kind(name)]), f"the {document_kind(name)} document")
    return MappingFile(
        name=name,
        where=node.where,
        stamp=sha256(text.encode()).hexdigest(),
        references=references,
        split=split,
        args=node.get("args").optional(shapes, part, hide),
        body=node.get("body").optional(shapes, part, hide),
        document=document.optional({"event": _EVENT}, brought),
        tests=tuple(_test(case) for case in node.get("tests").each()),
    )


def document_shapes(documents: Mapping[str, Json], kind: str) -> dict[str, Shape | None]:
    """What `return`, `order` and `change` hold; of a change only what its document's kind tells."""
    shapes: dict[str, Shape | None] = {name: Shape.of(documents[name]) for name in KINDS}
    if kind in KINDS:
        root = documents[kind]
        shapes["change"] = Shape(root["$defs"]["change"], root)
    return shapes


def document_kind(name: str) -> str:
    """The document that a mapping from a vendor's words makes, told by its name: `….to_order`, else a return."""
    return "order" if name.endswith("to_order") else "return"


def _check_purpose(node: Node) -> None:
    to_document = node.get("document").given
    request = [key for key in ("body", "args", "split", "references") if node.get(key).given]
    if to_document and request:
        said = node.get(request[0]).where_key
        node.kit.report(said, f"{request[0]!r} beside 'document'", "a mapping makes a document or a request", "mapping")
    elif not to_document and not node.get("body").given and not node.get("args").given and node.value:
        node.report("the mapping makes nothing", "give it document, body or args", "mapping")


def _split(node: Node, shapes: Names, hide: list[str]) -> Split | None:
    name = node.get("as").text()
    if not node.given:
        return None
    taken = [
        word
        for word in (*KINDS, "change", "source", "raw", "refs", "answers", "settings", "delivery")
        if word not in hide
    ]
    if name in taken:
        node.get("as").report(f"the name {name!r} is taken", "choose another for as", "name")
    each = node.get("each").template(shapes, hide=hide)
    key = node.get("key").template(shapes, {name: _item_shape(each, shapes)}, hide)
    return Split(each, name, key)


def _item_shape(value: Value, shapes: Names) -> Shape | None:
    shape = shape_of(value.root.tree, shapes) if isinstance(value.root, Expression) else None
    return shape.item() if shape else None


def check_fields(node: Node, shape: Shape, what: str) -> None:
    """Report keys of a template that the schema of what it makes does not know, and required ones it lacks."""
    for path, fault, todo in field_faults(node.value, shape, what):
        node.kit.report(node.source.where_key((*node.path, *path)), fault, todo, "field")


def _test(node: Node) -> MappingTest:
    given, expect = node.get("given").value, node.get("expect").value
    return MappingTest(
        name=node.get("name").text(),
        given=given if isinstance(given, dict) else {},
        expect=expect if isinstance(expect, dict) else {},
        where=node.where,
    )
