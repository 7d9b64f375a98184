"""The people on a board."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.arguments import argument
from schema.declare.blocks import each
from schema.declare.comparators import DateTimeFilter, IdFilter, StringFilter, Window
from schema.declare.fields import column, connection, moment, nested, rows_of
from schema.declare.filters import Between, Compare, Filter, Flag, Given, unless_asked
from schema.declare.orders import Order, Orders
from schema.declare.source import Entity, Page, Rows, Single
from schema.objects.comment import COMMENTS, Comment
from schema.objects.connection import PRODUCT, SLEEKPLAN, Connection, Node, opaque_id
from schema.objects.event import Event, events_below
from schema.objects.satisfaction import SatisfactionAnswer
from schema.objects.values import ActivityTotals, json_value
from schema.objects.vote import VOTES, Vote
from schema.scalars import JSON, DateTime, Duration
from service.sql_files import load

_SQL: Final = load(__file__, "user.sql")

USER: Final = Entity(
    "usr",
    "users",
    key=(("product_id", "bigint"), ("user_id", "text")),
    then=_SQL["then"],
    columns={
        **each(
            _SQL["content_of"],
            *("data_id", "name", "full_name", "mail", "img", "admin_id", "anonymous", "segments"),
            *("custom", "system", "weight", "notify", "stats", "created_at"),
        ),
        "deleted": "coalesce(life.deleted, false)",
        "deleted_at": "case when life.deleted then life.occurred_at end",
        "erased": "known.erased",
        "first_seen_at": "seen.first_seen_at",
        "last_active_at": "seen.last_active_at",
        "position": "seen.position",
    },
    joins={"life": _SQL["life"], "seen": _SQL["seen"]},
)

_TEAM: Final = "coalesce(usr.admin_id, '0') not in ('0', '')"
_OF_USER: Final = "{0}.product_id = usr.product_id and {0}.{1} = usr.user_id"


@rows_of(USER, "Somebody on the board, merged from every event that mentions them.")
class User(Node):
    id: strawberry.ID = opaque_id("User", "usr.product_id", "usr.user_id")
    sleekplan_id: strawberry.ID = column(SLEEKPLAN, "usr.user_id")
    product_id: strawberry.ID = column(PRODUCT, "usr.product_id")
    name: str | None = column("The name shown on the board.", "usr.name")
    full_name: str | None = column(
        "The full name. Needs the scope `personal`.", "usr.full_name", scope="personal"
    )
    mail: str | None = column("The mail address. Needs the scope `personal`.", "usr.mail", scope="personal")
    image_url: str | None = column("Where the picture is.", "usr.img")
    customer_id: str | None = column(
        "Your own id of this user, as given to Sleekplan. Needs the scope `personal`.",
        "usr.data_id",
        scope="personal",
    )
    team_member: bool = column("Whether they are of the team, not an end user.", _TEAM)
    anonymous: bool | None = column("Whether Sleekplan knows them by no account.", "usr.anonymous")
    segments: list[str] | None = column("The segments that they are in.", "usr.segments")
    weight: int | None = column("How much their votes weigh, 1 to 10.", "usr.weight")
    custom: JSON | None = column(
        "The custom fields that you gave to Sleekplan. Needs the scope `personal`.",
        "usr.custom::text",
        convert=json_value,
        scope="personal",
    )
    system: JSON | None = column(
        "Address, location and browser. Needs the scope `personal`.",
        "usr.system::text",
        convert=json_value,
        scope="personal",
    )
    created_at: DateTime | None = moment("When Sleekplan made the account.", "usr.created_at")
    deleted: bool = column("Whether Sleekplan deleted them.", "usr.deleted")
    deleted_at: DateTime | None = moment("When Sleekplan deleted them.", "usr.deleted_at")
    erased: bool = column("Whether their data was erased from the log.", "usr.erased")
    first_seen_at: DateTime | None = moment("When an event first named them.", "usr.first_seen_at")
    last_active_at: DateTime | None = moment("When they last did something.", "usr.last_active_at")
    votes: Connection[Vote] = connection("Their votes.", VOTES.below(_OF_USER.format("vote", "user_id")))
    comments: Connection[Comment] = connection(
        "Their comments.", COMMENTS.below(_OF_USER.format("comment", "author_id"))
    )
    timeline: Connection[Event] = connection(
        "What they did, oldest first.", events_below(_OF_USER.format("event", "user_id"))
    )
    satisfaction: list[SatisfactionAnswer] = nested(
        "Their satisfaction answers, oldest first, replaced ones included.",
        Rows("SatisfactionAnswer", _SQL["satisfaction"], "answer.answered_at, answer.satisfaction_id"),
    )
    activity: ActivityTotals = nested(
        "How much they did in a stretch of time.",
        Single("ActivityTotals", _SQL["activity"], windowed=True),
        argument("window", Window | None, "From when to when."),
    )


USERS: Final = Page(
    "User",
    Orders(
        "UserOrder",
        "What users can be sorted by.",
        "users",
        FIRST_SEEN_AT=Order(
            "When an event first named them.",
            "usr.first_seen_at",
            "timestamptz",
            nullable=False,
            descending=False,
        ),
        LAST_ACTIVE_AT=Order(
            "When they last did something.", "usr.last_active_at", "timestamptz", index="asc"
        ),
    ),
    "FIRST_SEEN_AT",
    Filter(
        "UserFilter",
        "users",
        "Which users.",
        sleekplanId=Compare(IdFilter, "Sleekplan's id.", "usr.user_id"),
        name=Compare(StringFilter, "The name.", "usr.name"),
        teamMember=Flag(
            "Of the team (true) or an end user (false).", _TEAM, "coalesce(usr.admin_id, '0') in ('0', '')"
        ),
        segment=Given(str, "In this segment.", "usr.segments @> array[:value]", "text"),
        firstSeenAt=Compare(DateTimeFilter, "When an event first named them.", "usr.first_seen_at"),
        lastActiveAt=Compare(DateTimeFilter, "When they last did something.", "usr.last_active_at"),
        activeIn=Between("Did something in this window.", _SQL["active_in"]),
        silentSince=Given(
            Duration, "Was active once, and not for so long.", "usr.last_active_at < :at - :value", "interval"
        ),
        deleted=unless_asked("deleted", "usr.deleted"),
    ),
)
