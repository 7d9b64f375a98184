"""Takes plain operations from their kept plan to the response's data, past graphql-core's walk."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
)
from graphql.execution.values import VariableValues, get_variable_values

from schema.answer.answer import Read, read_roots
from schema.answer.compiler import (
    NotCompiled,
    Projector,
    Scene,
    compile_completer,
    compile_projector,
    scene_of,
)
from schema.context import Context
from schema.declare.request import Env
from schema.plan.kept import Planner
from schema.plan.planner import Plan
from schema.plan.selection import Selected

if TYPE_CHECKING:
    from schema.answer.execute import Document, Request

PREPARED_MAX: Final = 64
PROJECTORS_MAX: Final = 64
"""So many sets of variables, and so many selections, are kept for one document."""

_NO_ENV: Final = Env({}, (), 0, None)


@dataclass(slots=True)
class Root:
    """A root field with its arguments coerced, and all that making its projector needs."""

    key: str
    definition: GraphQLField
    selected: Selected
    nodes: list[FieldNode]
    projectors: dict[int, tuple[Plan, Projector]] = field(default_factory=dict)


@dataclass(slots=True)
class Prepared:
    """An operation with one set of variables: its root fields, `__typename` standing for itself."""

    scene: Scene
    roots: list[Root]
    entries: list[tuple[str, Root | str]]


@dataclass(slots=True)
class Kept:
    """What is kept beside a document: operations by name and variables; None for what does not compile."""

    prepared: OrderedDict[tuple[str | None, bytes], Prepared | None] = field(default_factory=OrderedDict)
    projectors: OrderedDict[object, tuple[Plan, Projector]] = field(default_factory=OrderedDict)
    choosing: frozenset[str] | None = None


class Frame:
    """Makes the data of a subscription's message of the object that the message is about."""

    def __init__(self, path: FastPath, key: str, complete: Projector) -> None:
        self._path, self._key, self._complete = path, key, complete

    def __call__(self, value: object) -> dict[str, Any] | None:
        """Return the message's `data`; None when the reference executor is to make it."""
        try:
            data = {self._key: self._complete(value, _NO_ENV)}
        except Exception as error:
            self._path.left[type(error).__name__] += 1
            return None
        self._path.taken += 1
        return data


class FastPath:
    """Answers what it knows with certainty, and counts what it left to the reference executor, and why."""

    def __init__(self, schema: GraphQLSchema, planner: Planner) -> None:
        self._schema = schema
        self._planner = planner
        self.taken = 0
        self.left: Counter[str] = Counter()

    async def data(
        self, document: Document, request: Request, context: Context
    ) -> tuple[dict[str, Any] | None, Mapping[str, Read | Exception] | None]:
        """Return the response's `data`, or None where the reference executor is to make the answer.

        What was read by then comes with it, so that nothing is read again.
        """
        kept: Kept = document.kept
        prepared = self._prepared(kept, document, request)
        if prepared is None:
            self.left["selection"] += 1
            return None, None
        found = await read_roots(self._planner, [root.selected for root in prepared.roots], context)
        try:
            data = {
                key: entry if entry.__class__ is str else self._project(kept, prepared, entry, found)  # type: ignore[arg-type]
                for key, entry in prepared.entries
            }
        except NotCompiled:
            self.left["selection"] += 1
        except Exception as error:
            # Whatever it was, the reference executor meets it again and tells it properly.
            self.left[type(error).__name__] += 1
        else:
            self.taken += 1
            return data, found
        return None, found

    def frame(self, document: Document, request: Request) -> Frame | None:
        """Return what makes a subscription's messages; None where the reference executor does."""
        try:
            operation = document.operation(request.operation_name)
            subscription = self._schema.subscription_type
            if operation.operation is not OperationType.SUBSCRIPTION or subscription is None:
                raise NotCompiled("no subscription")
            scene = self._scene(document, operation, request)
            [(key, nodes)] = scene.reader.collect(subscription, [operation]).items()
            definition = subscription.fields[nodes[0].name.value]
            selected = scene.reader.field(definition, key, nodes)
            return Frame(self, key, compile_completer(scene, definition, selected, nodes))
        except Exception:
            self.left["selection"] += 1
            return None

    def _project(
        self, kept: Kept, prepared: Prepared, root: Root, found: Mapping[str, Read | Exception]
    ) -> Any:
        read = found[root.key]
        if isinstance(read, Exception):
            raise read
        known = root.projectors.get(id(read.plan))
        if known is None:
            known = root.projectors[id(read.plan)] = self._projector(kept, prepared, root, read.plan)
        return known[1](read.value(), read.env)

    def _projector(self, kept: Kept, prepared: Prepared, root: Root, plan: Plan) -> tuple[Plan, Projector]:
        """Return a plan's projector: the same for all variables that neither skip nor include differently."""
        key = (id(plan), root.key, prepared.scene.reader.chosen(kept.choosing or ()))
        known = kept.projectors.get(key)
        if known is None:
            projector = compile_projector(
                prepared.scene, root.definition, root.selected, root.nodes, plan.decode
            )
            known = kept.projectors[key] = (plan, projector)
            if len(kept.projectors) > PROJECTORS_MAX:
                kept.projectors.popitem(last=False)
        return known

    def _prepared(self, kept: Kept, document: Document, request: Request) -> Prepared | None:
        try:
            key = (request.operation_name, orjson.dumps(request.variables) if request.variables else b"")
        except (TypeError, ValueError):
            return None
        if key in kept.prepared:
            kept.prepared.move_to_end(key)
            return kept.prepared[key]
        if kept.choosing is None:
            variables = any(each.variable_definitions for each in document.operations.values())
            kept.choosing = frozenset(_directive_variables(document.node) if variables else ())
        try:
            prepared: Prepared | None = self._prepare(document, request)
        except Exception:
            prepared = None
        kept.prepared[key] = prepared
        if len(kept.prepared) > PREPARED_MAX:
            kept.prepared.popitem(last=False)
        return prepared

    def _prepare(self, document: Document, request: Request) -> Prepared:
        operation = document.operation(request.operation_name)
        query = self._schema.query_type
        if operation.operation is not OperationType.QUERY or query is None:
            raise NotCompiled("only queries")
        scene = self._scene(document, operation, request)
        entries: list[tuple[str, Root | str]] = []
        for key, nodes in scene.reader.collect(query, [operation]).items():
            name = nodes[0].name.value
            if name == "__typename":
                entries.append((key, query.name))
                continue
            definition = query.fields.get(name)
            if definition is None or self._planner.types.source(query.name, name) is None:
                raise NotCompiled(f"{name} is no field that one statement answers")
            entries.append((key, Root(key, definition, scene.reader.field(definition, key, nodes), nodes)))
        roots = [entry for _, entry in entries if isinstance(entry, Root)]
        if not roots:
            raise NotCompiled("nothing to read")
        return Prepared(scene, roots, entries)

    def _scene(self, document: Document, operation: OperationDefinitionNode, request: Request) -> Scene:
        if operation.directives:
            raise NotCompiled("directives on an operation")
        variables = get_variable_values(
            self._schema, operation.variable_definitions or (), dict(request.variables)
        )
        if not isinstance(variables, VariableValues):
            raise NotCompiled("the variables are refused")
        fragments = {
            node.name.value: node
            for node in document.node.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        return scene_of(self._schema, self._planner.types, fragments, variables.coerced)


def _directive_variables(document: DocumentNode) -> Iterator[str]:
    """Yield the variables that decide what is skipped or included."""
    pending: list[tuple[Node, bool]] = [(document, False)]
    while pending:
        node, inside = pending.pop()
        if isinstance(node, VariableNode) and inside:
            yield node.name.value
        inside = inside or isinstance(node, DirectiveNode)
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                pending.append((value, inside))
            elif isinstance(value, Sequence) and not isinstance(value, str):
                pending.extend((each, inside) for each in value if isinstance(each, Node))
