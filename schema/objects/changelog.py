"""The changelog's entries, and what was done around their publication."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.arguments import argument
from schema.declare.blocks import put, taking
from schema.declare.comparators import DateTimeFilter, StringFilter
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.filters import Compare, Filter, Flag, Ids, unless_asked
from schema.declare.orders import Order, Orders
from schema.declare.source import Entity, One, Page, Parameter, Single
from schema.objects.connection import PRODUCT, SLEEKPLAN, Node, opaque_id
from schema.objects.names import LazyItem
from schema.objects.values import ActivityTotals
from schema.scalars import DateTime, Duration, Position
from service.sql_files import load

_SQL: Final = load(__file__, "changelog.sql")

ENTRY: Final = Entity(
    "entry",
    "changelog_entries",
    key=(("product_id", "bigint"), ("changelog_id", "text")),
    then=put(_SQL["then"], newest_said=taking("column", _SQL["newest_said"])),
)


def _half(begin: str, end: str) -> Single:
    return Single("ActivityTotals", put(_SQL["impact_half"], begin=begin, end=end))


@rows_of(
    Entity("impact"),
    "What was done before and after a publication, in two stretches of the same length.",
)
class Impact:
    before: ActivityTotals = nested("Before.", _half("impact.starts_at", "impact.published_at"))
    after: ActivityTotals = nested("After.", _half("impact.published_at", "impact.ends_at"))


@rows_of(ENTRY, "An entry of the changelog.")
class ChangelogEntry(Node):
    id: strawberry.ID = opaque_id("ChangelogEntry", "entry.product_id", "entry.changelog_id")
    sleekplan_id: strawberry.ID = column(SLEEKPLAN, "entry.changelog_id")
    product_id: strawberry.ID = column(PRODUCT, "entry.product_id")
    title: str | None = column("The title.", "entry.title")
    description: str | None = column("The text, as Sleekplan sent it.", "entry.description")
    type: str | None = column("Sleekplan's type of the entry.", "entry.type")
    segment: str | None = column("The segment that it is for.", "entry.segment")
    draft: bool | None = column("Whether it is a draft.", "entry.draft")
    announcement: bool | None = column("Whether it is announced on the board.", "entry.announcement")
    scheduled_at: DateTime | None = moment("When it is to appear.", "entry.scheduled_at")
    created_at: DateTime | None = moment("When it was written.", "entry.created_at")
    published_at: DateTime | None = moment(
        "When it was published, as far as events tell.", "entry.published_at"
    )
    deleted: bool = column("Whether it was deleted.", "entry.deleted")
    at: Position = column("The newest event about it.", "entry.position")
    linked_item: LazyItem | None = nested(
        "The item that it is about; null where none is named.", One("Item", "item_id")
    )
    impact: Impact | None = nested(
        "What was done in the stretches of time before and after its publication; null while unpublished.",
        Single(
            "Impact",
            _SQL["impact"],
            parameters={"length": Parameter("interval", lambda args: args["window"])},
        ),
        argument("window", Duration, "How long each stretch is."),
    )


CHANGELOG_ENTRIES: Final = Page(
    "ChangelogEntry",
    Orders(
        "ChangelogOrder",
        "What changelog entries can be sorted by.",
        "changelog entries",
        PUBLISHED_AT=Order("When it was published.", "entry.published_at", "timestamptz", index="asc"),
    ),
    "PUBLISHED_AT",
    Filter(
        "ChangelogFilter",
        "entries",
        "Which changelog entries. Deleted ones only where `deleted` asks for them.",
        title=Compare(StringFilter, "The title.", "entry.title"),
        type=Compare(StringFilter, "The type's key.", "entry.type"),
        itemId=Ids("Item", "Linked to this item: an opaque id.", "entry.product_id", "entry.item_id"),
        draft=Flag("Only drafts (true) or only others (false).", "entry.draft", "entry.draft is not true"),
        publishedAt=Compare(DateTimeFilter, "When it was published.", "entry.published_at"),
        deleted=unless_asked("deleted", "entry.deleted"),
    ),
)
