"""Holds the names in a template against what the document selects, before anything happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from service.reactions.document import LEAF, Shape
from service.reactions.templates import environment

if TYPE_CHECKING:
    from jinja2 import nodes

_SAME_ELEMENTS: Final = frozenset(
    ("list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr", "default", "d")
)
_ONE_ELEMENT: Final = frozenset(("first", "last", "random", "min", "max"))


def template_faults(text: str, shape: Mapping[str, Shape]) -> Iterator[tuple[int, str]]:
    """Say what is wrong with a template, with the line in it: that it is none, or names what is not there."""
    try:
        jinja = environment()
    except ValueError as error:
        yield 0, str(error)
        return
    from jinja2 import TemplateSyntaxError

    try:
        tree = jinja.parse(text)
        jinja.from_string(text)  # finds filters that there are not
    except TemplateSyntaxError as error:
        yield error.lineno, f"is no template: {error.message}"
        return
    names = _NamesUsed()
    names.visit(tree, {**dict.fromkeys(jinja.globals), **shape})
    yield from names.faults


def expression_faults(text: str, shape: Mapping[str, Shape]) -> Iterator[tuple[int, str]]:
    """Say what is wrong with an expression."""
    return template_faults("{{ (" + text + ") }}", shape)


class _NamesUsed:
    """Walks a template with what is known of each name: its shape."""

    def __init__(self) -> None:
        self.faults: list[tuple[int, str]] = []

    def visit(self, node: nodes.Node, scope: dict[str, Shape]) -> Shape:
        """Look at a node and all below it; return the shape of its value. Assignments change the scope."""
        walk = getattr(self, f"_{type(node).__name__.lower()}", None)
        if walk is not None:
            return walk(node, scope)
        self._each(node.iter_child_nodes(), scope)
        return None

    def _each(self, found: Iterable[nodes.Node | None], scope: dict[str, Shape]) -> None:
        for node in found:
            if node is not None:
                self.visit(node, scope)

    def _name(self, node: nodes.Name, scope: dict[str, Shape]) -> Shape:
        if node.name not in scope:
            self._say(node, node.name, [name for name, shape in scope.items() if shape is not None])
        return scope.get(node.name)

    def _getattr(self, node: nodes.Getattr, scope: dict[str, Shape]) -> Shape:
        return self._member(node, self.visit(node.node, scope), node.attr)

    def _getitem(self, node: nodes.Getitem, scope: dict[str, Shape]) -> Shape:
        shape = self.visit(node.node, scope)
        self.visit(node.arg, scope)
        named = getattr(node.arg, "value", None)
        if isinstance(named, str):
            return self._member(node, shape, named)
        if type(node.arg).__name__ == "Slice":
            return shape
        return shape[0] if isinstance(shape, list) else None

    def _member(self, node: nodes.Node, shape: Shape, name: str) -> Shape:
        if isinstance(shape, dict) and name not in shape:
            self._say(node, name, shape)
        elif (shape == LEAF and not hasattr(str, name)) or (
            isinstance(shape, list) and not hasattr(list, name)
        ):
            self._say(node, name, ())
        return shape.get(name) if isinstance(shape, dict) else None

    def _filter(self, node: nodes.Filter, scope: dict[str, Shape]) -> Shape:
        shape = None if node.node is None else self.visit(node.node, scope)
        self._each([*node.args, *(each.value for each in node.kwargs)], scope)
        if node.name in _SAME_ELEMENTS:
            return shape
        return shape[0] if node.name in _ONE_ELEMENT and isinstance(shape, list) else None

    def _for(self, node: nodes.For, scope: dict[str, Shape]) -> None:
        elements = self.visit(node.iter, scope)
        inner = {**scope, "loop": None}
        _bind(node.target, elements[0] if isinstance(elements, list) else None, inner)
        self._each([node.test, *node.body], inner)
        self._each(node.else_, dict(scope))

    def _assign(self, node: nodes.Assign, scope: dict[str, Shape]) -> None:
        _bind(node.target, self.visit(node.node, scope), scope)

    def _assignblock(self, node: nodes.AssignBlock, scope: dict[str, Shape]) -> None:
        self._each(node.body, dict(scope))
        _bind(node.target, None, scope)

    def _with(self, node: nodes.With, scope: dict[str, Shape]) -> None:
        inner = dict(scope)
        for target, value in zip(node.targets, node.values, strict=True):
            _bind(target, self.visit(value, scope), inner)
        self._each(node.body, inner)

    def _macro(self, node: nodes.Macro, scope: dict[str, Shape]) -> None:
        scope[node.name] = None
        inner = {
            **scope,
            **{arg.name: None for arg in node.args},
            "caller": None,
            "varargs": None,
            "kwargs": None,
        }
        self._each([*node.defaults, *node.body], inner)

    def _callblock(self, node: nodes.CallBlock, scope: dict[str, Shape]) -> None:
        self._each([node.call], scope)
        self._each(node.body, {**scope, **{arg.name: None for arg in node.args}})

    def _say(self, node: nodes.Node, name: str, there: Iterable[str]) -> None:
        known = ", ".join(there)
        said = f"names {name!r}, which the document does not select"
        self.faults.append((node.lineno, f"{said}; there is {known}" if known else said))


def _bind(target: nodes.Node, shape: Shape, scope: dict[str, Shape]) -> None:
    """Let a name, or each of several, stand for a value from here on."""
    name: Any = getattr(target, "name", None)
    if isinstance(name, str):
        scope[name] = shape
    for each in getattr(target, "items", ()):
        _bind(each, None, scope)
