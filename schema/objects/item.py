"""Items: what people ask for on a board."""

from __future__ import annotations

from typing import Any, Final

import strawberry

from schema.declare.arguments import AS_OF, BUCKET_SIZE, TIME_ZONE, argument, paged
from schema.declare.blocks import each, put
from schema.declare.comparators import (
    DateTimeFilter,
    FloatFilter,
    IdFilter,
    IntFilter,
    StringFilter,
    StringListFilter,
    Window,
)
from schema.declare.fields import column, connection, moment, nested, rows_of
from schema.declare.filters import Between, Compare, Filter, Given, Ids, Search, unless_asked
from schema.declare.orders import Order, Orders
from schema.declare.source import DiffRows, Entity, Inline, One, Page, Parameter
from schema.objects import history
from schema.objects.comment import COMMENTS, Comment
from schema.objects.connection import PRODUCT, SLEEKPLAN, Connection, Node, opaque_id
from schema.objects.event import Event, EventType, events_below
from schema.objects.history import (
    CountPoint,
    Inference,
    Provenance,
    Revision,
    StatusPeriod,
    VoteJump,
    VotePoint,
    net_of,
)
from schema.objects.item_subscription import SUBSCRIPTIONS, ItemSubscription
from schema.objects.names import LazyItem
from schema.objects.user import USERS, User
from schema.objects.values import (
    Status,
    StatusRole,
    VoteTotals,
    address_of,
    duration,
    label_of,
    status_keys,
    status_of,
)
from schema.objects.vote import VOTES, Vote, direction_of
from schema.scalars import DateTime, Duration, Position
from service.sql_files import load

_SQL: Final = load(__file__, "item.sql")

# What posts say: the totals, and everything else. Where the newest does not say it, the newest that did.
_COUNTS: Final = each(
    _SQL["count_of"],
    *("votes_up", "votes_down", "total_sum", "comments", "subscribers", "trend", "scoring", "ratio"),
)
_CONTENTS: Final = each(
    _SQL["content_of"], "title", "description", "status", "type", "effort", "created_at", "author_id"
)

_OF_EVENTS: Final = {
    "events": "count(*)::int",
    "position": "max(f.position)",
    "last_activity_at": "max(f.occurred_at) filter (where f.type <> 'SNAPSHOT')",
}


def _said(columns: dict[str, str]) -> str:
    return ", ".join(f"c.{name}" for name in columns)


ITEM: Final = Entity(
    "item",
    "items",
    key=(("product_id", "bigint"), ("item_id", "text")),
    then=put(_SQL["then"], heard_of=_SQL["heard_of"]),
    then_by_position=put(_SQL["then"], heard_of="known.first_position <= :p"),
    columns={
        **_COUNTS,
        **_CONTENTS,
        **each(_SQL["tags_of"], "tags", "owner_id", "estimated"),
        "merged_into": f"nullif({put(_SQL['tags_of'], column='merged_into')}, '')",
        "search": put(_SQL["search_of"], title=_CONTENTS["title"], description=_CONTENTS["description"]),
        "votes_net": f"({_COUNTS['votes_up']}\n- coalesce({_COUNTS['votes_down']}\n, 0))",
        "updated_at": _SQL["updated_at"],
        # By a column that the join compares: where it is to be null, Postgres knows what an anti join leaves.
        "deleted": "(life.item_id is not null)",
        "deleted_at": "life.occurred_at",
        "status_since": "since.occurred_at",
        "first_position": "known.first_position",
        "first_seen_at": _SQL["first_seen_at"],
        "last_activity_at": "facts.last_activity_at",
        "position": "facts.position",
        "events": "facts.events",
        "known_up": "known_votes.up",
        "known_down": "known_votes.down",
    },
    joins={
        "counts": put(_SQL["counts"], said=_said(_COUNTS)),
        "content": put(_SQL["content"], said=_said(_CONTENTS)),
        "life": _SQL["life"],
        "since": _SQL["since"],
        "facts": _SQL["facts"],
        "known_votes": put(_SQL["known_votes"], direction=direction_of("newest")),
    },
    joins_of_few={"life": _SQL["life_of_few"]},
    shared={"ranks": _SQL["ranks"]},
    without_private={
        column: put(_SQL["visible_events"], total=total, column=column)
        for column, total in _OF_EVENTS.items()
    },
)

_OF_ITEM: Final = "{0}.product_id = item.product_id and {0}.item_id = item.item_id"
_TIMELINE: Final = events_below(
    _OF_ITEM.format("event"),
    base_filter="(:types is null or event.type = any(:types))",
    parameters={
        "types": Parameter(
            "text[]",
            lambda args: [each.value for each in args["types"]] if args.get("types") is not None else None,
        )
    },
)


@rows_of(ITEM, "A feedback item. What no event has told is null: an item can be known by its id alone.")
class Item(Node):
    id: strawberry.ID = opaque_id("Item", "item.product_id", "item.item_id")
    sleekplan_id: strawberry.ID = column(SLEEKPLAN, "item.item_id")
    product_id: strawberry.ID = column(PRODUCT, "item.product_id")
    url: str | None = column(
        "Where people see it on its board; null where RECOUNT_BOARD_URL does not say where that is.",
        *("item.product_id", "item.item_id"),
        convert=address_of,
    )
    title: str | None = column("The title.", "item.title")
    description: str | None = column("The text: Markdown or HTML, as Sleekplan sent it.", "item.description")
    status: Status | None = column("Its status.", "item.status", convert=status_of)
    type: str | None = column("The key of its type.", "item.type")
    type_label: str | None = column("What the configuration calls its type.", "item.type", convert=label_of)
    trend: float | None = column("Sleekplan's trend.", "item.trend")
    scoring: float | None = column("Sleekplan's impact score.", "item.scoring")
    ratio: float | None = column("Sleekplan's ratio of votes.", "item.ratio")
    effort: int | None = column("The effort, 1 to 3; 0 where unset.", "item.effort")
    tags: list[str] | None = column(
        "Its tags, each once and sorted; null where no event told, empty where it has none.", "item.tags"
    )
    estimated: str | None = column(
        "When it is expected, in Sleekplan's words; null where it is not told, or told to be empty.",
        "nullif(item.estimated, '')",
    )
    comment_count: int | None = column("The number of comments, by Sleekplan's total.", "item.comments")
    subscriber_count: int | None = column(
        "The number of subscribers, by Sleekplan's total.", "item.subscribers"
    )
    created_at: DateTime | None = moment("When it was submitted.", "item.created_at")
    updated_at: DateTime | None = moment(
        "When Sleekplan last changed it, as its posts say.", "item.updated_at"
    )
    deleted: bool = column("Whether it has been deleted.", "item.deleted")
    deleted_at: DateTime | None = moment("When it was deleted.", "item.deleted_at")
    status_since: DateTime | None = moment(
        "When it entered its status, as far as events tell.", "item.status_since"
    )
    last_activity_at: DateTime | None = moment(
        "When somebody last did something about it, on Sleekplan's clock; null where it was only seen.",
        "item.last_activity_at",
    )
    version: int = column("How many events are about it.", "item.events")
    at: Position | None = column("The newest event about it.", "item.position")
    rank: int | None = column(
        "Its place by net votes among the product's items that are not deleted, from 1; ties share a place.",
        _SQL["rank"],
    )
    time_in_status: Duration | None = column(
        "How long it has stood in its status.",
        "extract(epoch from :at - item.status_since)",
        convert=duration,
    )
    votes: VoteTotals | None = nested(
        "Its votes, by Sleekplan's totals; null where no event told any.",
        Inline(
            {"up": "item.votes_up", "down": "item.votes_down", "net": "item.votes_net"},
            unless="item.votes_up is not null or item.votes_down is not null",
        ),
    )
    known_votes: VoteTotals = nested(
        "Its votes as counted from the vote events that arrived; see `drift`.",
        Inline(
            {"up": "item.known_up", "down": "item.known_down", "net": "(item.known_up - item.known_down)"}
        ),
    )
    author: User | None = nested("Who submitted it; null where no event told.", One("User", "author_id"))
    owner: User | None = nested(
        "Who of the team owns it; null where nobody does, or no event told.", One("User", "owner_id")
    )
    merged_into: LazyItem | None = nested(
        "The item that it was merged into, where a post told; see `inferences` where none did.",
        One("Item", "merged_into"),
    )
    merged_from: list[LazyItem] = nested(
        "The items that were merged into it, as their posts told, 500 at most.",
        DiffRows(_SQL["merged_from"], "diff.item_id", None),
    )
    cast_votes: Connection[Vote] = connection(
        "The votes that events told of, each with its voter where known.",
        VOTES.below(_OF_ITEM.format("vote")),
    )
    voters: Connection[User] = connection(
        "Who stands behind it: users with a vote that is neither withdrawn nor against.",
        USERS.below(_SQL["voters"], filter=None),
    )
    comments: Connection[Comment] = connection("Its comments.", COMMENTS.below(_OF_ITEM.format("comment")))
    subscriptions: Connection[ItemSubscription] = connection(
        "Who follows it.", SUBSCRIPTIONS.below(_OF_ITEM.format("subscription"))
    )
    timeline: Connection[Event] = nested(
        "Every event about it, oldest first.",
        _TIMELINE,
        argument("types", list[EventType] | None, "Only events of these types."),
        *paged(_TIMELINE),
        AS_OF,
    )
    status_history: list[StatusPeriod] = nested(
        "The statuses that it stood in, oldest first.", history.STATUS_HISTORY
    )
    revisions: list[Revision] = nested(
        "Every change of its text and other fields, oldest first, with the votes before and after.",
        history.REVISIONS,
        argument(
            "fields",
            list[str] | None,
            "Only changes of `title`, `description`, `status`, `type`, `effort`, `tags`, `owner`, "
            "`estimated` or `mergedInto`, as named.",
        ),
    )
    provenance: Provenance | None = nested(
        "The event that set the value which a field has; null where none told it.",
        history.PROVENANCE,
        argument(
            "field",
            str,
            "One of `title`, `description`, `status`, `type`, `effort`, `tags`, `owner`, `estimated`, "
            "`mergedInto`, `createdAt`, `author`, "
            "`votes`, `commentCount`, `subscriberCount`, `trend`, `scoring`.",
        ),
    )
    vote_series: list[VotePoint] = nested(
        "Votes in steps of time: what events told, and Sleekplan's net total at the end of each.",
        history.VOTE_SERIES,
        BUCKET_SIZE,
        argument("window", Window | None, "From when to when."),
        TIME_ZONE,
    )
    subscriber_series: list[CountPoint] = nested(
        "Subscribers in steps of time, as events told of them.",
        history.SUBSCRIBER_SERIES,
        BUCKET_SIZE,
        argument("window", Window | None, "From when to when."),
        TIME_ZONE,
    )
    votes_since: VoteTotals | None = nested(
        "Votes gained, by Sleekplan's totals, since a time or since it last entered a status; "
        "null where it never did.",
        history.VOTES_SINCE,
        argument("time", DateTime | None, "Since this moment."),
        argument("statusEntered", str | None, "Since it last entered the status with this key."),
    )
    vote_jumps: list[VoteJump] = nested(
        "Moments at which its total moved by more than the votes seen, or by many at once.",
        history.VOTE_JUMPS,
        argument("minDelta", int, "By at least so many votes.", 5),
    )
    inferences: list[Inference] = nested(
        "What was concluded from its totals that no event explains.", history.ITEM_INFERENCES
    )


def _roles(given: Any, request: Any) -> list[str]:
    return status_keys(request, {role.value for role in given})


ITEMS: Final = Page(
    "Item",
    Orders(
        "ItemOrder",
        "What items can be sorted by. Ties go by product and Sleekplan's id.",
        "items",
        CREATED_AT=Order("When it was submitted.", "item.created_at", "timestamptz", index="desc"),
        UPDATED_AT=Order("When Sleekplan last changed it.", "item.updated_at", "timestamptz", index="desc"),
        VOTES=Order("Net votes.", "item.votes_net", "int", index="desc", most="votes_most"),
        TREND=Order("Sleekplan's trend.", "item.trend", "float8", index="desc"),
        TAG_COUNT=Order("How many tags it has.", "cardinality(item.tags)", "int"),
        VOTES_IN_WINDOW=Order(
            "Net votes gained in the argument `window`.",
            put(_SQL["gained"], net=net_of),
            "bigint",
            nullable=False,
            windowed=True,
        ),
        # The longest in a status are those who entered it first.
        TIME_IN_STATUS=Order(
            "How long it has stood in its status.",
            "item.status_since",
            "timestamptz",
            inverted=True,
            index="asc",
        ),
        LAST_ACTIVITY_AT=Order(
            "When somebody last did something about it.", "item.last_activity_at", "timestamptz"
        ),
        RELEVANCE=Order(
            "How well it matches `filter.search`.",
            _SQL["relevance"],
            "float8",
            nullable=False,
            searched=True,
            then=_SQL["relevance_then"],
            once=_SQL["best_comments_then"],
        ),
    ),
    "VOTES",
    Filter(
        "ItemFilter",
        "items",
        "Which items. What is named must all hold; deleted items only where `deleted` asks for them.",
        sleekplanId=Compare(IdFilter, "Sleekplan's id.", "item.item_id"),
        title=Compare(StringFilter, "The title.", "item.title"),
        status=Compare(StringFilter, "The status's key.", "item.status"),
        statusRole=Given(
            list[StatusRole],
            "What the status means: one of these.",
            "item.status = any(:value)",
            "text[]",
            with_request=_roles,
        ),
        type=Compare(StringFilter, "The type's key.", "item.type"),
        effort=Compare(IntFilter, "The effort, 0 (unset) to 3.", "item.effort"),
        tags=Compare(StringListFilter, "Its tags.", "item.tags"),
        estimated=Compare(StringFilter, "When it is expected.", "nullif(item.estimated, '')"),
        ownerId=Ids("User", "Its owner: an opaque id.", "item.product_id", "nullif(item.owner_id, '')"),
        mergedIntoId=Ids(
            "Item", "Merged into this item: an opaque id.", "item.product_id", "item.merged_into"
        ),
        scoring=Compare(FloatFilter, "Sleekplan's impact score.", "item.scoring"),
        trend=Compare(FloatFilter, "Sleekplan's trend.", "item.trend"),
        votesUp=Compare(IntFilter, "Votes for.", "item.votes_up"),
        votesDown=Compare(IntFilter, "Votes against.", "item.votes_down"),
        votesNet=Compare(IntFilter, "Votes for less votes against.", "item.votes_net"),
        commentCount=Compare(IntFilter, "The number of comments.", "item.comments"),
        subscriberCount=Compare(IntFilter, "The number of subscribers.", "item.subscribers"),
        createdAt=Compare(DateTimeFilter, "When it was submitted.", "item.created_at"),
        updatedAt=Compare(DateTimeFilter, "When Sleekplan last changed it.", "item.updated_at"),
        statusSince=Compare(DateTimeFilter, "When it entered its status.", "item.status_since"),
        lastActivityAt=Compare(
            DateTimeFilter, "When somebody last did something about it.", "item.last_activity_at"
        ),
        inStatusLongerThan=Given(
            Duration,
            "It has stood in its status for longer than this.",
            "item.status_since < :at - :value",
            "interval",
        ),
        authorId=Ids("User", "Its author: opaque ids of users.", "item.product_id", "item.author_id"),
        deleted=unless_asked("deleted", "item.deleted"),
        deletedIn=Between(
            "Deleted in this window; implies `deleted: true`.",
            "item.deleted and item.deleted_at >= :from and item.deleted_at < :until",
            implies="deleted",
        ),
        search=Search(
            'Words of title, description and comments together: "a phrase", -without, this or that. As they'
            " are written, by no language's rules, case and accents aside; Chinese and the like by any part.",
            _SQL["matches"],
            _SQL["matches_then"],
        ),
    ),
)
