"""Prepares what a rule follows, or asks: the schema says whether it can be answered, and who may read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from graphql import OperationType, get_named_type, get_nullable_type, is_list_type, located_error

from schema.answer.documents import Document, Request
from schema.answer.execute import Operations
from schema.answer.reader import check
from schema.context import Caller, Context, Services
from schema.errors import Refused
from schema.live.sources import Source, source_of
from schema.plan.selection import Selected, Selection

Shape = Any
"""What is known of a value in an answer: its members by name, of a list `[shape]` of its elements, LEAF for
what has no members; None where nothing is known."""
LEAF: Final = "leaf"


@dataclass(frozen=True, slots=True)
class Followed:
    """A document that can be followed; `several` says that one event may give more than one message."""

    document: Document
    request: Request
    caller: Caller
    shape: Mapping[str, Shape]
    several: bool = False


async def followed_by(
    operations: Operations, text: str, variables: Mapping[str, Any], scopes: Iterable[str]
) -> Followed:
    """Return a rule's document, ready to be followed. Raises Refused, with every error and its place."""
    document = await operations.documents.prepare(text)
    if document.operation(None).operation is not OperationType.SUBSCRIPTION:
        raise Refused.because("a rule follows a subscription", "NO_SUBSCRIPTION")
    request, caller = Request(text, variables), Caller(frozenset(scopes))
    # What a source reads is no matter here, only what it may.
    context = Context(cast(Services, None), caller)
    selection = operations.asked(document, request).selection
    source = source_of(operations.planner, selection, context)
    if not isinstance(source, Source):
        raise Refused.because("a rule follows events, item, items or thresholds", "NO_EVENTS")
    if source.after is not None:
        raise Refused.because("`after` is kept for the rule; leave it out", "BAD_USER_INPUT")
    return Followed(document, request, caller, _shape_of_all(selection), source.gives_several)


async def asked_by(
    operations: Operations, text: str, variables: Mapping[str, Any], scopes: Iterable[str]
) -> Followed:
    """Return the document of a rule that asks at set times. Raises Refused, as above."""
    document = await operations.documents.prepare(text)
    if document.operation(None).operation is not OperationType.QUERY:
        raise Refused.because("a rule with `every` asks a query", "NO_QUERY")
    caller = Caller(frozenset(scopes))
    context = Context(cast(Services, None), caller)
    now = datetime.now(UTC)
    request = Request(text, {**variables, **span(document, now, now)})
    selection = operations.asked(document, request).selection
    if selection.refused:
        raise Refused([*selection.refused.values()])
    for root in selection.planned:
        try:
            check(operations.planner, root, context)
        except Exception as error:
            raise Refused([located_error(error, selection.nodes[root.key], [root.key])]) from error
    return Followed(document, Request(text, variables), caller, _shape_of_all(selection))


def span(document: Document, start: datetime, end: datetime) -> dict[str, str]:
    """Return the variables `from` and `to` for those of the two that a document declares."""
    declared = {each.variable.name.value for each in document.operation(None).variable_definitions or ()}
    return {name: moment.isoformat() for name, moment in (("from", start), ("to", end)) if name in declared}


def _shape_of_all(selection: Selection) -> dict[str, Shape]:
    return {root.key: _shape_of(root) for root in selection.roots}


def _shape_of(selected: Selected) -> Shape:
    below = {each.key: _shape_of(each) for children in selected.below.values() for each in children}
    leaf = None if get_named_type(selected.definition.type).name == "JSON" else LEAF
    shape = below or leaf
    return [shape] if is_list_type(get_nullable_type(selected.definition.type)) else shape
