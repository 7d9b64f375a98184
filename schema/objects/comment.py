"""Comments on items."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.blocks import each, put
from schema.declare.comparators import DateTimeFilter, IntFilter, StringFilter
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.filters import Compare, Filter, Flag, Ids, unless_asked
from schema.declare.orders import Order, Orders
from schema.declare.source import Entity, One, Page
from schema.objects.connection import PRODUCT, SLEEKPLAN, Node, opaque_id
from schema.objects.names import LazyComment, LazyItem, LazyUser
from schema.scalars import DateTime, Position
from service.sql_files import load

_SQL: Final = load(__file__, "comment.sql")
_SAID: Final = each(
    _SQL["content_of"], "item_id", "author_id", "body", "status", "type", "likes", "created_at"
)
_THREAD: Final = each(_SQL["thread_of"], "parent_id", "pinned", "public")

COMMENT: Final = Entity(
    "comment",
    "comments",
    key=(("product_id", "bigint"), ("comment_id", "text")),
    then=_SQL["then"],
    private="private",
    private_then=_SQL["but_private"],
    without_private={"parent_id": put(_SQL["answered"], told="known.parent_id", but_private="")},
    without_private_then={
        "parent_id": put(_SQL["answered"], told=_THREAD["parent_id"], but_private=_SQL["but_private"])
    },
    columns={
        **_SAID,
        **_THREAD,
        "search": put(_SQL["search_of"], body=_SAID["body"]),
        "updated_at": _SQL["updated_at"],
        "deleted": "coalesce(life.deleted, false)",
        "deleted_at": "case when life.deleted then life.occurred_at end",
        "position": _SQL["position"],
    },
    joins={
        "content": put(_SQL["content"], said=", ".join(f"o.{name}" for name in _SAID)),
        "life": _SQL["life"],
    },
    always=("content",),
)


@rows_of(COMMENT, "A comment on an item.")
class Comment(Node):
    id: strawberry.ID = opaque_id("Comment", "comment.product_id", "comment.comment_id")
    sleekplan_id: strawberry.ID = column(SLEEKPLAN, "comment.comment_id")
    product_id: strawberry.ID = column(PRODUCT, "comment.product_id")
    text: str | None = column("The text; null where no event told it.", "comment.body")
    status: str | None = column("Sleekplan's status of the comment.", "comment.status")
    type: str | None = column("Sleekplan's type of the comment.", "comment.type")
    likes: int | None = column("How many like it.", "comment.likes")
    pinned: bool | None = column("Whether it is pinned; null where no event told.", "comment.pinned")
    public: bool | None = column(
        "Whether whoever sees the board may read it; null where no event told. False is a private note "
        "between team members: without the scope `personal` there is no such comment, nor any event of it.",
        "comment.public",
    )
    created_at: DateTime | None = moment("When it was written.", "comment.created_at")
    updated_at: DateTime | None = moment("When it was last changed.", "comment.updated_at")
    deleted: bool = column("Whether it was deleted.", "comment.deleted")
    deleted_at: DateTime | None = moment("When it was deleted.", "comment.deleted_at")
    at: Position = column("The newest event about it.", "comment.position")
    item: LazyItem | None = nested("What it is about; null where it was not told.", One("Item", "item_id"))
    parent: LazyComment | None = nested(
        "The comment that it answers; null where it answers none, or no event told.",
        One("Comment", "parent_id"),
    )
    author: LazyUser | None = nested("Who wrote it; null where it was not told.", One("User", "author_id"))


COMMENTS: Final = Page(
    "Comment",
    Orders(
        "CommentOrder",
        "What comments can be sorted by.",
        "comments",
        CREATED_AT=Order(
            "When it was written.", "comment.created_at", "timestamptz", descending=False, index="asc"
        ),
        LIKES=Order("How many like it.", "comment.likes", "int"),
    ),
    "CREATED_AT",
    Filter(
        "CommentFilter",
        "comments",
        "Which comments. Deleted ones only where `deleted` asks for them.",
        itemId=Ids("Item", "On this item: an opaque id.", "comment.product_id", "comment.item_id"),
        authorId=Ids("User", "By this user: an opaque id.", "comment.product_id", "comment.author_id"),
        parentId=Ids(
            "Comment", "An answer to this comment: an opaque id.", "comment.product_id", "comment.parent_id"
        ),
        text=Compare(StringFilter, "The text.", "comment.body"),
        likes=Compare(IntFilter, "How many like it.", "comment.likes"),
        createdAt=Compare(DateTimeFilter, "When it was written.", "comment.created_at"),
        pinned=Flag(
            "Pinned (true) or not, as far as was told (false).",
            "comment.pinned",
            "comment.pinned is not true",
        ),
        public=Flag(
            "Not told to be a private note (true), or one (false).",
            "comment.public is not false",
            "comment.public is false",
        ),
        deleted=unless_asked("deleted", "comment.deleted"),
    ),
)
