"""Turns filter inputs into SQL conditions: a table of columns and comparators, values always parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schema.declare.columns import COLUMNS
from schema.declare.source import BLOCKS
from schema.ids import ids_of
from schema.plan.statement import Scope, Statement, dig, window_ends
from service.errors import BadArgument

Path = tuple[Any, ...]
DEPTH_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparator input over one expression."""

    expr: str
    cast: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean: true and false each choose a condition; null chooses neither."""

    when_true: str
    when_false: str


@dataclass(frozen=True, slots=True)
class Ids:
    """A comparator over the two columns that an opaque id of a type names."""

    type_name: str
    product: str
    column: str


@dataclass(frozen=True, slots=True)
class Between:
    """A window over a moment; `also` must hold beside it."""

    expr: str
    also: str = "true"


@dataclass(frozen=True, slots=True)
class Text:
    """A condition with one parameter, `:value`."""

    condition: str
    cast: str
    value: Callable[[Any], object] = lambda given: given
    request: bool = False


Field = Compare | Flag | Ids | Between | Text

_SYMBOLS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _names(values: list[Any]) -> list[str]:
    return [str(each.value) for each in values]


def _columns(names: list[str]) -> list[str]:
    return [COLUMNS.get(name, name) for name in names]


FILTERS: Final[dict[str, dict[str, Field]]] = {
    "ItemFilter": {
        "sleekplanId": Compare("item.item_id", "text"),
        "title": Compare("item.title", "text"),
        "status": Compare("item.status", "text"),
        "statusRole": Text("item.status = any(:value)", "text[]", _names, request=True),
        "type": Compare("item.type", "text"),
        "effort": Compare("item.effort", "int"),
        "scoring": Compare("item.scoring", "float8"),
        "trend": Compare("item.trend", "float8"),
        "votesUp": Compare("item.votes_up", "int"),
        "votesDown": Compare("item.votes_down", "int"),
        "votesNet": Compare("item.votes_net", "int"),
        "commentCount": Compare("item.comments", "int"),
        "subscriberCount": Compare("item.subscribers", "int"),
        "createdAt": Compare("item.created_at", "timestamptz"),
        "updatedAt": Compare("item.updated_at", "timestamptz"),
        "statusSince": Compare("item.status_since", "timestamptz"),
        "lastActivityAt": Compare("item.last_activity_at", "timestamptz"),
        "inStatusLongerThan": Text("item.status_since < :at - :value", "interval"),
        "authorId": Ids("User", "item.product_id", "item.author_id"),
        "deleted": Flag("item.deleted", "not item.deleted"),
        "deletedIn": Between("item.deleted_at", "item.deleted"),
    },
    "UserFilter": {
        "sleekplanId": Compare("usr.user_id", "text"),
        "name": Compare("usr.name", "text"),
        "teamMember": Flag(
            "coalesce(usr.admin_id, '0') not in ('0', '')", "coalesce(usr.admin_id, '0') in ('0', '')"
        ),
        "segment": Text("usr.segments @> array[:value]", "text"),
        "firstSeenAt": Compare("usr.first_seen_at", "timestamptz"),
        "lastActiveAt": Compare("usr.last_active_at", "timestamptz"),
        "silentSince": Text("usr.last_active_at < :at - :value", "interval"),
        "deleted": Flag("usr.deleted", "not usr.deleted"),
    },
    "VoteFilter": {
        "itemId": Ids("Item", "vote.product_id", "vote.item_id"),
        "userId": Ids("User", "vote.product_id", "vote.user_id"),
        "value": Compare("vote.value", "int"),
        "castAt": Compare("vote.cast_at", "timestamptz"),
        "withdrawn": Flag("vote.withdrawn", "not vote.withdrawn"),
    },
    "CommentFilter": {
        "itemId": Ids("Item", "comment.product_id", "comment.item_id"),
        "authorId": Ids("User", "comment.product_id", "comment.author_id"),
        "text": Compare("comment.body", "text"),
        "likes": Compare("comment.likes", "int"),
        "createdAt": Compare("comment.created_at", "timestamptz"),
        "deleted": Flag("comment.deleted", "not comment.deleted"),
    },
    "SubscriptionFilter": {
        "itemId": Ids("Item", "subscription.product_id", "subscription.item_id"),
        "userId": Ids("User", "subscription.product_id", "subscription.user_id"),
        "since": Compare("subscription.since", "timestamptz"),
        "active": Flag("subscription.active", "not subscription.active"),
    },
    "ChangelogFilter": {
        "title": Compare("entry.title", "text"),
        "type": Compare("entry.type", "text"),
        "itemId": Ids("Item", "entry.product_id", "entry.item_id"),
        "draft": Flag("entry.draft", "entry.draft is not true"),
        "publishedAt": Compare("entry.published_at", "timestamptz"),
        "deleted": Flag("entry.deleted", "not entry.deleted"),
    },
    "SatisfactionFilter": {
        "userId": Ids("User", "answer.product_id", "answer.user_id"),
        "group": Compare("answer.grp", "text"),
        "value": Compare("answer.score", "int"),
        "answeredAt": Compare("answer.answered_at", "timestamptz"),
    },
    "EventFilter": {
        "types": Text("event.type = any(:value)", "text[]", _names),
        "actions": Text("event.action = any(:value)", "text[]"),
        "entity": Compare("event.entity", "text"),
        "itemId": Ids("Item", "event.product_id", "event.item_id"),
        "userId": Ids("User", "event.product_id", "event.user_id"),
        "origins": Text("event.origin = any(:value)", "text[]", _names),
        "occurred": Between("event.occurred_at"),
        "recorded": Between("event.recorded_at"),
        "position": Compare("event.position", "bigint"),
        "changedFields": Text("event.changed_fields && :value", "text[]", _columns),
    },
}

_DEFAULTS: Final = {
    "ItemFilter": ("deleted", "not item.deleted", {"deletedIn"}),
    "UserFilter": ("deleted", "not usr.deleted", set[str]()),
    "VoteFilter": ("withdrawn", "not vote.withdrawn", set[str]()),
    "CommentFilter": ("deleted", "not comment.deleted", set[str]()),
    "SubscriptionFilter": ("active", "subscription.active", set[str]()),
    "ChangelogFilter": ("deleted", "not entry.deleted", set[str]()),
}
"""What holds at the top of a filter that does not name the field: what is gone is left out."""


def conditions(
    builder: Statement, name: str, given: Mapping[str, Any], place: int, scope: Scope, *, root: bool
) -> list[str]:
    """Return the conditions of a filter, all of which must hold."""
    del root
    found = _Conditions(builder, name, place, scope).all(given, ("filter",))
    if name in _DEFAULTS:
        field, condition, implied = _DEFAULTS[name]
        if field not in given and not implied & given.keys():
            found.append(condition)
    return found


class _Conditions:
    def __init__(self, builder: Statement, name: str, place: int, scope: Scope) -> None:
        self._builder, self._name, self._place, self._scope = builder, name, place, scope
        self._fields = FILTERS[name]

    def all(self, given: Mapping[str, Any], path: Path) -> list[str]:
        if len(path) > 2 * DEPTH_MAX:
            raise BadArgument("filter", "and/or/not", f"is nested deeper than {DEPTH_MAX}; flatten it")
        found: list[str] = []
        for key, value in given.items():
            if value is None:
                continue
            at = (*path, key)
            if key == "and":
                found += [_every(self.all(each, (*at, i))) for i, each in enumerate(value)]
            elif key == "or":
                found.append(_any([_every(self.all(each, (*at, i))) for i, each in enumerate(value)]))
            elif key == "not":
                found.append(f"({_every(self.all(value, at))}) is not true")
            elif key == "search":
                found.append(self._search(at))
            elif key == "activeIn":
                found.append(self._active_in(value, at))
            else:
                found += self._field(self._fields[key], value, at)
        return found

    def _value(self, cast: str, path: Path, convert: Callable[[Any], object] = lambda given: given) -> str:
        return self._builder.argument(self._place, cast, lambda args: convert(dig(args, path)))

    def _field(self, field: Field, value: Any, path: Path) -> list[str]:
        match field:
            case Compare():
                return [
                    self._compare(field, operator, each, (*path, operator))
                    for operator, each in value.items()
                    if each is not None
                ]
            case Flag():
                return [field.when_true if value else field.when_false]
            case Between():
                return [field.also, self._between(field.expr, value, path)]
            case Ids():
                return self._ids(field, value, path)
            case Text():
                return [self._text(field, path)]

    def _compare(self, field: Compare, operator: str, value: Any, path: Path) -> str:
        expr = field.expr
        match operator:
            case "isNull":
                return f"{expr} is {'null' if value else 'not null'}"
            case "in":
                return f"{expr} = any({self._value(field.cast + '[]', path)})"
            case "notIn":
                return f"{expr} <> all({self._value(field.cast + '[]', path)})"
            case "contains":
                return f"{expr} ilike {self._value('text', path, lambda text: f'%{_literal(text)}%')}"
            case "startsWith":
                return f"{expr} ilike {self._value('text', path, lambda text: f'{_literal(text)}%')}"
            case "within":
                return self._between(expr, value, path)
            case "eq":
                return f"{expr} = {self._value(field.cast, path)}"
            case "ne":
                return f"{expr} is distinct from {self._value(field.cast, path)}"
        return f"{expr} {_SYMBOLS[operator]} {self._value(field.cast, path)}"

    def _between(self, expr: str, given: Mapping[str, Any], path: Path) -> str:
        start, end = window_ends(self._builder, self._place, path, given, self._scope.moment)
        return f"{expr} >= {start} and {expr} < {end}"

    def _ids(self, field: Ids, value: Any, path: Path) -> list[str]:
        is_input = isinstance(value, Mapping)
        found = []
        for operator, each in value.items() if is_input else [("eq", value)]:
            if each is None:
                continue
            inner = (*path, operator) if is_input else path
            if operator == "isNull":
                found.append(f"{field.column} is {'null' if each else 'not null'}")
                continue

            def parts(given: Any, part: int, type_name: str = field.type_name) -> list[object]:
                return [
                    ids_of(each, type_name)[part] for each in (given if isinstance(given, list) else [given])
                ]

            products = self._value("bigint[]", inner, lambda given: parts(given, 0))
            ids = self._value("text[]", inner, lambda given: parts(given, 1))
            if operator == "eq":
                found.append(f"{field.product} = ({products})[1] and {field.column} = ({ids})[1]")
            else:
                found.append(
                    f"({field.product}, {field.column}) in (select wanted.product_id, wanted.id"
                    f" from unnest({products}, {ids}) as wanted(product_id, id))"
                )
        return found

    def _text(self, field: Text, path: Path) -> str:
        value = self._roles(path) if field.request else self._value(field.cast, path, field.value)
        return self._builder.fill(field.condition.replace(":value", value), self._scope)

    def _roles(self, path: Path) -> str:
        """The keys of the statuses that have one of the roles asked for, by the configured labels."""
        place = self._place

        def keys(request: Any) -> list[str]:
            roles = {role.value for role in dig(request.args[place], path)}
            return [
                label.key
                for label in request.labels.values()
                if label.kind == "status" and label.role in roles
            ]

        return self._builder.bind("text[]", keys)

    def _search(self, path: Path) -> str:
        return search_condition(self._builder, self._value("text", path), self._scope)

    def _active_in(self, given: Mapping[str, Any], path: Path) -> str:
        between = self._between("fact.occurred_at", given, path)
        known = self._builder.fill(":known(fact)", self._scope)
        return (
            "exists (select 1 from {event_facts} as fact where fact.product_id = usr.product_id"
            f" and fact.user_id = usr.user_id and {known} and {between})"
        )


def search_condition(builder: Statement, words: str, scope: Scope) -> str:
    """Return the condition that an item matches a search, in its texts or a comment's."""
    return _search_block(builder, "search.matches", words, scope)


def search_rank(builder: Statement, words: str, scope: Scope) -> str:
    """Return how well an item matches a search: its title before its description before its comments."""
    return _search_block(builder, "search.rank", words, scope)


def _search_block(builder: Statement, block: str, words: str, scope: Scope) -> str:
    text = BLOCKS[block if scope.moment.now else f"{block}_then"]
    return builder.fill(text, Scope(scope.moment, {"query": f"websearch_to_tsquery('simple', {words})"}))


def _literal(text: str) -> str:
    """Escape what `like` would read as a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _every(conditions: list[str]) -> str:
    return "(" + " and ".join(f"({each})" for each in conditions) + ")" if conditions else "true"


def _any(conditions: list[str]) -> str:
    return "(" + " or ".join(conditions) + ")" if conditions else "false"
