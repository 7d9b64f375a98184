"""Lets schemathesis ask for what there is: it invents ids, pages and zones of its own, which are refused.

It knows types, not meanings: that `first` goes up to 500 and not with `last`, that `productId` is a number in
an ID. Its operations stay as they are; these values become such as a client would send, so that every answer
must be data. Loaded by SCHEMATHESIS_HOOKS; the service's address is in RECOUNT_URL. See docs/graphql.md.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import graphql
import schemathesis  # type: ignore[import-not-found]
from hypothesis import strategies as st

SIZE_MAX: Final = 4
ZONES: Final = ("UTC", "Europe/Zurich", "America/Lima", "Asia/Kathmandu")
FIELDS: Final = ("title", "description", "status", "type", "effort", "tags")
KEYS: Final = ("open", "planned", "done")
COUNTED: Final = {"first", "last", "top"}
IDS: Final = {
    "item": "Item",
    "user": "User",
    "changelogEntry": "ChangelogEntry",
    "itemId": "Item",
    "userId": "User",
    "authorId": "User",
}
"""Which type an id is of, by the argument or field that it is given to."""

WHAT_THERE_IS: Final = """{
  projections { head }
  items(first: 20) { nodes { id productId } }
  users(first: 20) { nodes { id } }
  changelogEntries(first: 20) { nodes { id } }
  comments(first: 5) { nodes { id } }
  events(first: 5) { nodes { id } }
}"""


def _asked(query: str) -> Any:
    request = urllib.request.Request(
        os.environ["RECOUNT_URL"],
        json.dumps({"query": query}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _ids(found: dict[str, Any]) -> dict[str, list[str]]:
    by_type = {"Item": "items", "User": "users", "ChangelogEntry": "changelogEntries"}
    by_type |= {"Comment": "comments", "Event": "events"}
    return {type_: [node["id"] for node in found[name]["nodes"]] for type_, name in by_type.items()}


_ANSWER: Final = _asked(WHAT_THERE_IS)
_FOUND: Final = _ANSWER["data"]
_CURSOR: Final = _ANSWER["extensions"]["cursor"]
_IDS: Final = _ids(_FOUND)
_PRODUCT: Final = _FOUND["items"]["nodes"][0]["productId"]
_HEAD: Final = max([row["head"] for row in _FOUND["projections"]], default=1)

Node = Any

# Of the last weeks: steps of an hour since long ago are refused for the time that they take.
_NOW: Final = datetime.now(UTC).replace(microsecond=0)
_MOMENTS: Final = [f"{_NOW - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in range(0, 24 * 21, 7)]
_LENGTHS: Final = ["PT1H", "PT36H", "P1D", "P7D", "P2W", "P1M"]
for _name, _strategy in {
    "DateTime": st.sampled_from(_MOMENTS).map(schemathesis.graphql.nodes.String),
    "Duration": st.sampled_from(_LENGTHS).map(schemathesis.graphql.nodes.String),
    "Position": st.integers(0, _HEAD).map(schemathesis.graphql.nodes.Int),
}.items():
    schemathesis.graphql.scalar(_name, _strategy)


def _one_of(values: Sequence[str], like: Node) -> Node:
    """Return one of the values, the same for the same value of schemathesis'."""
    return graphql.StringValueNode(value=values[len(getattr(like, "value", "")) % len(values)])


def _each(node: Node, replace: Callable[[Node], Node]) -> Node:
    if isinstance(node, graphql.ListValueNode):
        return graphql.ListValueNode(values=tuple(replace(each) for each in node.values))
    return node if isinstance(node, graphql.NullValueNode) else replace(node)


def _number(node: Node, most: int) -> Node:
    if not isinstance(node, graphql.IntValueNode | graphql.StringValueNode):
        return node
    digits = "".join(each for each in node.value if each.isascii() and each.isdigit()) or "0"
    return graphql.IntValueNode(value=str(int(digits[-9:]) % (most + 1)))


def _value(name: str, field: str, node: Node) -> Node:
    """Return an argument's value, or one in its place that means something."""
    if name in COUNTED and isinstance(node, graphql.IntValueNode):
        return _number(node, SIZE_MAX)
    if name in {"position", "minPosition", "gteqPosition"} and not isinstance(node, graphql.ObjectValueNode):
        return _number(node, _HEAD)
    if name == "cursor" and isinstance(node, graphql.StringValueNode):
        return graphql.StringValueNode(value=_CURSOR)
    if name == "productId":
        return _each(node, lambda _: graphql.StringValueNode(value=_PRODUCT))
    if name == "timeZone":
        return _each(node, lambda each: _one_of(ZONES, each))
    if name in {"field", "fields"} and not isinstance(node, graphql.EnumValueNode):
        return _each(node, lambda each: _one_of(FIELDS, each))
    if name == "statusEntered":
        return _each(node, lambda each: _one_of(KEYS, each))
    if name in {"id", "ids"}:
        ids = _IDS[IDS[field]] if field in IDS else [each for ids in _IDS.values() for each in ids]
        return _each(node, lambda each: _one_of(ids, each))
    if name in IDS and isinstance(node, graphql.StringValueNode | graphql.IntValueNode):
        return _one_of(_IDS[IDS[name]], node)
    if name in IDS and isinstance(node, graphql.ObjectValueNode):
        return _members(node, lambda member: _each(member.value, lambda each: _one_of(_IDS[IDS[name]], each)))
    return node


def _members(node: Node, value: Callable[[Node], Node]) -> Node:
    fields = tuple(
        member
        if isinstance(member.value, graphql.BooleanValueNode)
        else graphql.ObjectFieldNode(name=member.name, value=value(member))
        for member in node.fields
    )
    return graphql.ObjectValueNode(fields=fields)


def _given(nodes: Sequence[Node]) -> set[str]:
    return {node.name.value for node in nodes if not isinstance(node.value, graphql.NullValueNode)}


_LAST_MONTH: Final = graphql.parse_value('{last: "P1M"}')
_ROOT: Final = ("definitions", 0, "selection_set", "selections", 0)


class _Meaningful(graphql.Visitor):
    """Exchanges values that no client would send, and leaves out what cannot be combined."""

    def leave_field(self, node: graphql.FieldNode, _key: Any, _parent: Any, path: Any, _: Any) -> Any:
        arguments = node.arguments or ()
        args = {each.name.value: each for each in arguments}
        # Cursors belong to one list in one order: only a page that was answered has them.
        without = {"after", "before"}
        given = _given(arguments)
        if "first" in given:
            without.add("last")
        if len(path) == len(_ROOT) and node.name.value in {"item", "user", "changelogEntry"}:
            args["id"] = _argument("id", graphql.StringValueNode(value=""))
            without |= {"sleekplanId", "productId"}
        if node.name.value == "votesSince" and not given & {"time", "statusEntered"}:
            args["time"] = _argument("time", graphql.StringValueNode(value=_MOMENTS[-1]))
        window = args["window"].value if "window" in args else None
        if isinstance(window, graphql.ObjectValueNode) and not _given(window.fields) & {"from", "last"}:
            args["window"] = _argument("window", _LAST_MONTH)
        if "bucket" in given and "window" not in given:
            # All time has more hours than a series may have steps, which is refused by name.
            args["window"] = _argument("window", _LAST_MONTH)
        without |= _needless(node.name.value, args)
        found = [
            _argument(name, _value(name, node.name.value, each.value))
            for name, each in args.items()
            if name not in without
        ]
        return graphql.FieldNode(
            alias=node.alias,
            name=node.name,
            arguments=tuple(found),
            directives=node.directives,
            selection_set=node.selection_set,
        )

    def leave_string_value(self, node: graphql.StringValueNode, *_: Any) -> Any:
        # NUL is refused by name: Postgres knows no text that holds it.
        return graphql.StringValueNode(value=node.value.replace("\0", ""), block=node.block)

    def leave_object_value(self, node: graphql.ObjectValueNode, *_: Any) -> Any:
        given = _given(node.fields)
        without = {"last"} if given & {"from", "to"} else set()
        fields = tuple(
            graphql.ObjectFieldNode(name=each.name, value=_value(each.name.value, "", each.value))
            for each in node.fields
            if each.name.value not in without
        )
        return graphql.ObjectValueNode(fields=fields)


def _argument(name: str, value: Node) -> graphql.ArgumentNode:
    return graphql.ArgumentNode(name=graphql.NameNode(value=name), value=value)


def _needless(field: str, args: dict[str, graphql.ArgumentNode]) -> set[str]:
    """Return the orders that need another argument, where that is missing."""
    order = graphql.print_ast(args["orderBy"]) if "orderBy" in args else ""
    searched = "filter" in args and "search:" in graphql.print_ast(args["filter"])
    lacking = ("RELEVANCE" in order and not searched) or (
        "VOTES_IN_WINDOW" in order and "window" not in _given(list(args.values()))
    )
    return {"orderBy"} if lacking else set()


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_body(context: Any, body: Any) -> Any:
    """Return an operation with values that mean something."""
    return graphql.visit(body, _Meaningful())
