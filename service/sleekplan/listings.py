"""The lists of Sleekplan's API that say how a board is, and what to send for all of each, oldest first."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from service.sleekplan.walk import SleekplanList

POSTS: Final = SleekplanList(
    "posts", "/posts", "feedback_id", {"type": "all", "filter": "all", "sort": "old"}
)
USERS: Final = SleekplanList("users", "/users", "user_id", {"sort": "created", "sort_dir": "ASC"})
USERS_CHANGED: Final = SleekplanList("users", "/users", "user_id", {"sort": "updated", "sort_dir": "DESC"})
UPDATES: Final = SleekplanList("updates", "/updates", "changelog_id", {"status": "all", "type": "all"})
SATISFACTION: Final = SleekplanList("satisfaction", "/satisfaction", "satisfaction_id")


def comments_of(item_id: str) -> SleekplanList:
    """The comments of an item."""
    return SleekplanList("comments", f"{post_path(item_id)}/comments", "comment_id", {"sort": "old"})


def satisfaction_since(day: datetime) -> SleekplanList:
    """The answers that were given or replaced from a day on."""
    return SleekplanList(
        "satisfaction", "/satisfaction", "satisfaction_id", {"date_start": f"{day:%Y-%m-%d}"}
    )


def post_path(item_id: str) -> str:
    """Where one item is."""
    return f"/post/{item_id}"


def votes_of(item_id: str, which: str) -> SleekplanList:
    """Who did something to an item: `all` votes, `upvote`, `downvote`, or `subscribe`."""
    name = "subscribers" if which == "subscribe" else "votes"
    return SleekplanList(name, f"{post_path(item_id)}/votes", "", {"filter": which, "sort": "old"})
