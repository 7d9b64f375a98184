"""What differs between two moments: of a whole board, and of an item around an event."""

from __future__ import annotations

from typing import Final

from schema.declare.blocks import put
from schema.declare.fields import column, nested, rows_of
from schema.declare.source import Diff, Differences, DiffRows, Entity, One
from schema.objects.event import Event
from schema.objects.item import Item
from schema.objects.values import FieldChange, changes_of_row, field_changes
from schema.scalars import Position
from service.sql_files import load

_SQL: Final = load(__file__, "difference.sql")

BOARD_DIFF: Final = Diff(
    "Item",
    _SQL["differs"],
    frozenset(
        {
            *("title", "description", "status", "type", "effort", "tags", "owner_id", "estimated"),
            *("merged_into", "votes_net", "comments", "deleted"),
        }
    ),
)


def _of_kind(kind: str, moment: str) -> DiffRows:
    return DiffRows(put(_SQL["of_kind"], kind=f"'{kind}'"), "diff.product_id, diff.item_id", moment)


_COMPARED: Final = {
    "title": "title",
    "description": "description",
    "status": "status",
    "type": "type",
    "effort": "effort",
    "tags": "tags",
    "owner": "owner_id",
    "estimated": "estimated",
    "mergedInto": "merged_into",
    "votesUp": "votes_up",
    "votesDown": "votes_down",
    "commentCount": "comments",
    "subscriberCount": "subscribers",
    "deleted": "deleted",
}
"""The fields of an item that a change is told by."""


@rows_of(Entity("diff"), "An item that stands on the board at both moments and differs.")
class ItemDelta:
    changes: list[FieldChange] = column(
        "What differs.", "diff.names", "diff.before", "diff.after", convert=changes_of_row
    )
    before: Item = nested("How it was.", One("Item", "item_id", moment="before"))
    after: Item = nested("How it is at the later moment.", One("Item", "item_id", moment="after"))


def _count(kind: str) -> str:
    return put(_SQL["count_of_kind"], kind=f"'{kind}'")


@rows_of(
    Entity("diffs"),
    "What differs between two moments; each list shows 500 at most, its count says how many.",
)
class BoardDiff:
    added: list[Item] = nested("Items that came on the board.", _of_kind("ADDED", "after"))
    removed: list[Item] = nested(
        "Items that left it, as they were at the earlier moment.", _of_kind("REMOVED", "before")
    )
    changed: list[ItemDelta] = nested(
        "Items that differ in title, description, status, type, effort, tags, owner, estimated, mergedInto, "
        "votes or comments.",
        _of_kind("CHANGED", "after"),
    )
    added_count: int = column("How many came.", _count("ADDED"))
    removed_count: int = column("How many left.", _count("REMOVED"))
    changed_count: int = column("How many differ.", _count("CHANGED"))


@rows_of(Entity("change"), "An event about an item, with the item before and after it.")
class ItemChange:
    position: Position = column("The event's place in the log.", "change.position")
    event: Event = nested("The event that caused it.", One("Event", "position"))
    before: Item | None = nested(
        "The item before it; null where the event is the first about it.",
        One("Item", "item_id", position="(change.position - 1)"),
    )
    after: Item | None = nested("The item after it.", One("Item", "item_id", position="change.position"))
    changes: list[FieldChange] = nested(
        "What differs between the two.",
        Differences(
            One("Item", "item_id"),
            before="(change.position - 1)",
            after="change.position",
            columns=_COMPARED,
            empty=frozenset({"owner_id", "estimated"}),
            convert=field_changes,
        ),
    )
