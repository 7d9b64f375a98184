"""The schema `board`: what GraphQL answers, as views and functions for whoever asks in SQL.

Each view is made of the fields of a type, by the expressions and descriptions that these are declared with:
there is nothing to keep in step. A column is called as its field, in snake_case; an object is its id
(`author_id`), an object without an id its parts (`votes_up`). What takes arguments, and what Python makes,
is left out. The tables are named as `projections.shown` has them, so that a rebuild changes nothing here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg
from graphql import GraphQLField, GraphQLObjectType, get_named_type

from projections.catalogue import fill
from projections.shown import forget_others, is_complete, shown_names, wait_briefly
from projections.steps import AnyConnection
from schema.build import build_schema
from schema.declare.blocks import put
from schema.declare.fields import without_zone_undone
from schema.declare.source import Inline, Leaf, One, spec_of
from schema.objects.event import SHOWN
from schema.objects.history import REVISIONS, every_status_period
from schema.objects.values import json_value, status_of
from schema.objects.vote import direction_of
from schema.plan.selection import Selected
from schema.plan.statement import Moment, Scope, Statement, columns_of, position_at, time_at
from service.sql_files import load

_SQL: Final = load(__file__, "views.sql")
_UPPER: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NEWEST: Final = "9223372036854775807"
Columns = Mapping[str, str]
"""The columns that a view has, with their types, in their order."""
_NONE: Final[Columns] = {}

_VIEW_OF: Final = {
    "Item": "items",
    "User": "users",
    "Comment": "comments",
    "ChangelogEntry": "changelog",
    "SatisfactionAnswer": "satisfaction",
}
"""Where an object is found whose id is in a column."""
_RENAMED: Final = {
    ("StatusPeriod", "from"): "from_status",
    ("StatusPeriod", "to"): "to_status",
    ("SatisfactionAnswer", "group"): "survey_group",
}
"""Names that SQL reserves."""
_OTHERWISE: Final = {
    ("Item", "timeInStatus"): ":at - item.status_since",
    ("Item", "owner"): "nullif(item.owner_id, '')",
    ("StatusPeriod", "lasted"): "coalesce(period.left_at, :at) - period.entered_at",
    ("Event", "rawPayload"): _SQL["raw_payload"],
    ("Event", "changedFields"): put(
        _SQL["changed_fields"],
        shown=" ".join(f"when '{name}' then '{shown}'" for name, shown in SHOWN.items()),
    ),
}
"""Fields that Python makes something of which SQL can say as well."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view."""

    name: str
    sql: str
    description: str


@dataclass(frozen=True, slots=True)
class View:
    """A view: the rows of a type, or of a block of SQL, and what it has beside the type's fields."""

    name: str
    description: str
    type_name: str = ""
    alias: str = ""
    rows: str = ""
    first: tuple[Column, ...] = ()
    personal: bool = False
    where: str = ""
    leaves_out: bool = False

    def columns(self, there: Columns = _NONE) -> list[Column]:
        """The columns: those that are `there` in their places, then the product and the object's own id.

        One that is there and has no field any more stays, without a value: whoever asks for it goes on.
        """
        known = {name: Column(name, f"null::{type_}", "Told no longer.") for name, type_ in there.items()}
        fields = {column.name: column for column in _columns_of(self.type_name, self.alias, self.personal)}
        own = {column.name: column for column in self.first}
        names = dict.fromkeys((*there, "product_id", _key_of(self.type_name), *own, *fields))
        known |= fields | own
        return [known[name] for name in names if name in known]

    def select(self, moment: Moment, statement: Statement, there: Columns) -> str:
        """The view's statement as of a moment, with `{name}` for its tables."""
        scope = Scope(moment)
        columns = [(each.name, statement.fill(each.sql, scope)) for each in self.columns(there)]
        where = statement.fill(self.where, scope)
        rows = f"({statement.fill(self.rows, scope)}) as {self.alias}" if self.rows else ""
        if not rows:
            used = columns_of(self.alias, where, *(sql for _, sql in columns))
            rows = statement.source(self.type_name, moment, used)
        listed = ",\n       ".join(f"{sql} as {name}" for name, sql in columns)
        made = f"with {', '.join(statement.ctes)}\n" if statement.ctes else ""
        return statement.but_private(
            f"{made}select {listed}\n  from {rows}" + (f"\n where {where}" if where else "")
        )


def _key_of(type_name: str) -> str:
    return f"{_snake(type_name)}_id"


def _snake(name: str) -> str:
    return _UPPER.sub("_", name).lower()


def _columns_of(type_name: str, alias: str, personal: bool) -> Iterator[Column]:
    """The columns that follow from a type's fields."""
    type_ = build_schema()._schema.type_map.get(type_name)
    if not isinstance(type_, GraphQLObjectType):
        return
    for name, definition in type_.fields.items():
        told = " ".join((definition.description or "").split())
        column = _RENAMED.get((type_name, name), _snake(name))
        if name == "sleekplanId":
            column = _key_of(type_name)
        match spec_of(definition):
            case Leaf(scope=None | "personal" | "raw" as scope) as leaf:
                sql = _OTHERWISE.get((type_name, name)) or _plain(leaf)
                if sql is not None and (scope is None or personal):
                    yield Column(column, sql, told.split(" Needs the scope")[0].rstrip())
            case One(type_name=of, column=key) if key and of in _VIEW_OF:
                sql = _OTHERWISE.get((type_name, name), f"{alias}.{key}")
                yield Column(f"{column}_id", sql, f"{told} Its `{_key_of(of)}` in `{_VIEW_OF[of]}`.")
            case Inline(fields=parts):
                yield from _parts(column, told, definition, parts)


def _parts(name: str, told: str, definition: GraphQLField, parts: Mapping[str, str]) -> Iterator[Column]:
    type_ = get_named_type(definition.type)
    assert isinstance(type_, GraphQLObjectType)
    for part, sql in parts.items():
        yield Column(f"{name}_{_snake(part)}", sql, f"{told} {type_.fields[part].description}")


def _plain(leaf: Leaf) -> str | None:
    """The expression of a field whose value is the answer's; None of one that Python makes."""
    if len(leaf.exprs) != 1 or leaf.convert not in (None, status_of, json_value) or ":ranks" in leaf.exprs[0]:
        return None
    expr = without_zone_undone(leaf.exprs[0])
    return expr.removesuffix("::text") if leaf.convert is json_value else expr


# What there is

_PRODUCT: Final = "Sleekplan's product."
_ITEM: Final = "The item. Its `item_id` in `items`."
_VOTER: Final = (
    "Who voted: the `user_id`, or, where nobody was told, the position of the event that told of the vote. "
    "A vote is one by product, item and voter."
)
_NO_NOTES: Final = "Private notes of the team are not among them, nor is anything that tells of one."


def _of(alias: str, **described: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"{alias}.{name}", told) for name, told in described.items())


_ITEMS: Final = View(
    "items",
    "Feedback items, each as it is now. Deleted ones are among them: `where not deleted`.",
    "Item",
    "item",
)
VIEWS: Final = (
    View(
        "read_at",
        "The position of the log to which all views are counted in, as a transaction sees them.",
        alias="read",
        rows=_SQL["read_at"],
        first=_of("read", position="The position of the newest event that is counted in."),
    ),
    _ITEMS,
    View(
        "item_history",
        "What was changed of items: a row for each field of each revision.",
        "Revision",
        "revision",
        rows=put(_SQL["revisions"], revised=put(REVISIONS.block, fields="null::text[]")),
        first=_of(
            "revision",
            product_id=_PRODUCT,
            item_id=_ITEM,
            field="The field: `title`, `status`, `mergedInto`, …, as GraphQL calls it.",
            before="Its value before; null where it was not known.",
            after="Its value after.",
        ),
    ),
    View(
        "status_periods",
        "The statuses that items stood in, a row for each stretch of time.",
        "StatusPeriod",
        "period",
        rows=every_status_period(),
        first=_of("period", product_id=_PRODUCT, item_id=_ITEM),
    ),
    View(
        "votes",
        "Votes that events told of, each as it is now. Withdrawn ones are among them: `where not withdrawn`.",
        "Vote",
        "vote",
        first=_of("vote", product_id=_PRODUCT, item_id=_ITEM, voter=_VOTER),
    ),
    View(
        "vote_history",
        "Every event that told of a vote.",
        alias="told",
        rows=put(_SQL["vote_history"], direction=direction_of("told")),
        first=(
            *_of(
                "told",
                product_id=_PRODUCT,
                item_id=_ITEM,
                voter=_VOTER,
                user_id="Who voted; null where it was not told. Its `user_id` in `users`.",
                type="What the event is: `VOTE_CAST`, `VOTE_CHANGED`, `VOTE_WITHDRAWN`, `TOLD_AGAIN`, …",
                value="The direction that the vote had with it: 1 for, -1 against; null: not told.",
                withdrawn="Whether it took the vote back.",
                cast_at="When the vote was cast, as the event says; null where it does not.",
                occurred_at="When it happened, on Sleekplan's clock.",
                recorded_at="When this log learnt of it, on our clock.",
            ),
            Column("at", "told.position", "The event. Its `position` in `events`."),
        ),
    ),
    View(
        "comments",
        f"Comments on items as they are now. Deleted ones are among them: `where not deleted`. {_NO_NOTES}",
        "Comment",
        "comment",
        leaves_out=True,
    ),
    View(
        "comments_personal",
        "Comments on items, private notes of the team (`public` is false) with them.",
        "Comment",
        "comment",
        personal=True,
    ),
    View(
        "users",
        "People on the board, as far as whoever sees the board sees them. Deleted ones are among them.",
        "User",
        "usr",
    ),
    View(
        "users_personal",
        "People on the board with their personal data: address, full name, custom fields and the like.",
        "User",
        "usr",
        personal=True,
    ),
    View(
        "subscriptions",
        "Who follows which item. Ended ones are among them: `where active`.",
        "ItemSubscription",
        "subscription",
        first=(
            *_of("subscription", product_id=_PRODUCT, item_id=_ITEM),
            *_of(
                "subscription",
                subscriber="Who follows it: the `user_id`, or, where nobody was told, the letter p and the "
                "position of the event that told of it.",
            ),
        ),
    ),
    View(
        "changelog",
        "Entries of the changelog, each as it is now. Deleted ones are among them: `where not deleted`.",
        "ChangelogEntry",
        "entry",
    ),
    View(
        "satisfaction",
        "Satisfaction answers (CSAT), replaced ones with them: `where superseded_at is null`.",
        "SatisfactionAnswer",
        "answer",
        where="not answer.deleted",
    ),
    View(
        "satisfaction_personal",
        "Satisfaction answers with what Sleekplan sent beside them.",
        "SatisfactionAnswer",
        "answer",
        personal=True,
        where="not answer.deleted",
    ),
    View("events", f"The events of the log. {_NO_NOTES}", "Event", "event", leaves_out=True),
    View(
        "events_personal",
        "The events of the log with their bodies, private notes with them.",
        "Event",
        "event",
        personal=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function that returns the rows of `items` as of a moment."""

    name: str
    description: str
    parameters: str
    types: str
    moment: str
    exact: bool = False

    def select(self, there: Columns) -> str:
        """The function's statement, with `{name}` for its tables."""
        statement = _statement(personal=False)
        parts = {"position_at": position_at("$1"), "time_at": time_at("known.p"), "read_at": _SQL["read_at"]}
        moment = put(self.moment, **parts)
        name = statement.table("moment", moment)
        p, t, at = (f"(select {part} from {name})" for part in ("p", "t", "at"))
        return _ITEMS.select(Moment(False, self.exact, p, t, at), statement, there)


FUNCTIONS: Final = (
    Function(
        "items_as_of",
        "The items as they were at a time: by Sleekplan's clock (OCCURRED) with all that happened by then, "
        "however late it came; by ours (RECORDED) with all that was known by then.",
        "\"time\" timestamptz, clock board.clock default 'OCCURRED'",
        "timestamptz, board.clock",
        _SQL["at_time"],
    ),
    Function(
        "items_at",
        "The items as they were once the log had come to a position: the same answer today and in ten years. "
        "One that is not counted in yet is refused.",
        '"position" bigint',
        "bigint",
        _SQL["at_position"],
        exact=True,
    ),
)


# Declaring it


def _statement(*, personal: bool) -> Statement:
    nothing = Selected("", "", None, {}, {})  # type: ignore[arg-type]  # no field was asked
    return Statement(
        build_schema().planner.entities,
        nothing,
        pinned=False,
        restricted=False,
        one_product=False,
        without=False,
        personal=personal,
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _declared(view: View, there: Columns) -> Iterator[str]:
    now = Moment(True, True, _NEWEST, "'infinity'::timestamptz", "now()")
    select = fill(view.select(now, _statement(personal=view.personal), there), shown_names())
    barrier = " with (security_barrier)" if view.leaves_out else ""
    yield f"create or replace view board.{view.name}{barrier} as\n{select};"
    yield f"comment on view board.{view.name} is {_quoted(view.description)};"
    for column in view.columns(there):
        yield f"comment on column board.{view.name}.{column.name} is {_quoted(column.description)};"


def _declared_function(function: Function, there: Columns) -> Iterator[str]:
    parts = {
        "name": function.name,
        "parameters": function.parameters,
        "types": function.types,
        "select": function.select(there),
    }
    yield fill(put(_SQL["function"], **parts), shown_names())
    yield f"comment on function board.{function.name}({function.types}) is {_quoted(function.description)};"


def declaration(there: Mapping[str, Columns] | None = None) -> str:
    """What makes the schema, where views have these columns already."""
    there = there or {}
    texts = [_SQL["schema"]]
    for view in VIEWS:
        texts.extend(_declared(view, there.get(view.name, _NONE)))
    for function in FUNCTIONS:
        texts.extend(_declared_function(function, there.get(_ITEMS.name, _NONE)))
    return "\n".join(texts)


async def declare_views(connection: AnyConnection) -> bool:
    """Make the schema as this version has it, and return whether it is so.

    Where it is not, somebody reads a view that has to be made anew, or the tables of this version are not
    counted yet: what was there before stays, and goes on with the tables in use. Columns are only ever added,
    at the end, so that grants and views upon these stay. Raises asyncpg.InsufficientPrivilegeError.
    """
    fingerprint = hashlib.sha256(declaration().encode()).hexdigest()
    if await connection.fetchval(_SQL["declared"]) == fingerprint:
        return True
    if not await is_complete(connection):
        return False
    try:
        async with connection.transaction():
            await wait_briefly(connection)
            await connection.execute(_SQL["note"], fingerprint)
            there: dict[str, dict[str, str]] = {}
            for row in await connection.fetch(_SQL["there"]):
                there.setdefault(row["view"], {})[row["name"]] = row["type"]
            await connection.execute(declaration(there))
            await forget_others(connection)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return False
    return True
