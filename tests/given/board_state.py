"""What a board is like by Sleekplan's API, and what is projected of it, in the same words, to be compared."""

from __future__ import annotations

from typing import Any

import asyncpg

from projections.read_model import Reader
from service.simulator.fake import FakeSleekplan

_ITEMS = """
select item_id, title, description, status, type, effort, votes_up, votes_down, comments, subscribers,
       author_id, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as created,
       coalesce(owner_id, '') as owner, coalesce(estimated, '') as estimated, merged_into
  from {items} where product_id = $1 and not deleted and title is not null
"""
_COMMENTS = """
select comment_id, item_id, author_id, body, coalesce(likes, 0) as likes,
       to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as created,
       parent_id, coalesce(pinned, false) as pinned, coalesce(public, true) as public
  from {comments} c where product_id = $1 and not deleted
   and exists (select from {items} i where i.product_id = $1 and i.item_id = c.item_id and not i.deleted)
"""
_VOTES = """
select v.item_id, coalesce(user_id, 'nobody') as user_id, value,
       to_char(cast_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as created
  from {votes} v join {items} i on i.product_id = v.product_id and i.item_id = v.item_id
 where v.product_id = $1 and not withdrawn and not i.deleted
"""
_SUBSCRIBERS = """
select s.item_id, user_id
  from {subscriptions} s join {items} i on i.product_id = s.product_id and i.item_id = s.item_id
 where s.product_id = $1 and active and not i.deleted
"""
_USERS = """
select user_id, name, mail, img, full_name, data_id from {users} where product_id = $1 and not deleted
   and full_name is not null
"""
_ENTRIES = """
select changelog_id, title, description, type, coalesce(item_id, '0') as item_id from {changelog_entries}
 where product_id = $1 and not deleted
"""
_ANSWERS = """
select satisfaction_id, user_id, score, comment
  from {satisfaction_answers} where product_id = $1 and not deleted
"""


async def projected(pool: asyncpg.Pool, product_id: int) -> dict[str, set[tuple[Any, ...]]]:
    """Return what is projected of a board."""
    reader = Reader(pool)
    statements = {
        "items": _ITEMS,
        "comments": _COMMENTS,
        "votes": _VOTES,
        "subscribers": _SUBSCRIBERS,
        "users": _USERS,
        "updates": _ENTRIES,
        "answers": _ANSWERS,
    }
    return {
        name: {tuple(row) for row in (await reader.fetch(sql, product_id))[0]}
        for name, sql in statements.items()
    }


def on_board(fake: FakeSleekplan) -> dict[str, set[tuple[Any, ...]]]:
    """Return the same of what stands on the board."""
    rows = fake.rows
    items, comments, votes, subscribers = set(), set(), set(), set()
    posts = rows.posts({})
    for row in map(posts.row, posts.sources):
        id = str(row["feedback_id"])
        items.add(
            (
                *(id, row["title"], row["description"], row["status"], row["type"], row["effort"]),
                *(row["total_up"], row["total_down"], row["total_comments"], row["total_subscriber"]),
                *(str(row["user"]["user_id"]), row["created"]),
                *(_id(row["owner_id"]) or "", row["estimated"], _id(row["merge_id"])),
            )
        )
        listed = rows.comments(id, {})
        assert listed is not None
        for comment in map(listed.row, listed.sources):
            who = str(comment["user"]["user_id"])
            comments.add(
                (
                    str(comment["comment_id"]),
                    id,
                    who,
                    comment["comment"],
                    comment["likes"],
                    comment["created"],
                    *(_id(comment["parent"]), comment["pinned"], comment["public"]),
                )
            )
        for way, direction in (("upvote", 1), ("downvote", -1)):
            listed = rows.votes(id, {"filter": way})
            assert listed is not None
            for vote in map(listed.row, listed.sources):
                who = str(vote["user"]["user_id"]) if "user" in vote else "nobody"
                votes.add((id, who, direction, vote["created"]))
        listed = rows.votes(id, {"filter": "subscribe"})
        assert listed is not None
        subscribers |= {(id, str(row["user"]["user_id"])) for row in map(listed.row, listed.sources)}
    users, entries, answers = rows.users({}), rows.updates({}), rows.satisfaction({})
    return {
        "items": items,
        "comments": comments,
        "votes": votes,
        "subscribers": subscribers,
        "users": {
            (str(row["user_id"]), *(row[name] for name in _USER_MEMBERS))
            for row in map(users.row, users.sources)
        },
        "updates": {
            (str(row["changelog_id"]), row["title"], row["description"], row["type"], str(row["feedback_id"]))
            for row in map(entries.row, entries.sources)
        },
        "answers": {
            (str(row["satisfaction_id"]), str(row["user"]["user_id"]), row["vote"], row["comment"])
            for row in map(answers.row, answers.sources)
        },
    }


def _id(number: int) -> str | None:
    return str(number) if number else None


_USER_MEMBERS = ("data_name", "data_mail", "data_img", "data_full_name", "data_id")
