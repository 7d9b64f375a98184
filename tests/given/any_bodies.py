"""Bodies of any kind for Hypothesis: few ids, so that they meet, and unreadable values among others."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

ids = st.sampled_from([1, 2, "3", "1", 0, "", None, [7]])
moments = st.sampled_from(
    [
        "2026-05-01 10:00:00",
        "2026-05-02 10:00:00",
        "2024-02-29 23:59:59",
        "2026-02-29 10:00:00",
        "0000-00-00 00:00:00",
        "yesterday",
        "",
        None,
    ]
)
totals = st.sampled_from([0, 1, 2, 3, "4", "-1", "many", None, True, 12345678901])
decimals = st.sampled_from([0, 4, "0.55", 0.25, "-1.5", 11 / 12, "high", None])
texts = st.sampled_from(["a", "b", "Grüße 🎉", "", None])
tags = st.sampled_from(
    [
        [],
        ["a", "b"],
        ["b", "a", "a"],
        [{"key": "a", "name": "A"}, {"name": "b"}, {"key": "", "name": 7}, {"key": None}],
        ["a", None, 1, 1.5, True, "", ["nested"], {"key": ["deep"], "name": "Grüße 🎉"}],
        "a",
        {"key": "a"},
        0,
        None,
    ]
)
statuses = st.sampled_from(["open", "planned", "merged", "", None])
timestamps = st.sampled_from(
    [
        1780000000,
        1780000001,
        "1780000002",
        1780000002500,
        1780000100,
        "1770000000000",
        None,
        "soon",
        5,
        99999999999,
    ]
)


def some_of(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


embedded = some_of(
    user_id=ids,
    admin_id=st.sampled_from([0, 1, "2", None]),
    data_name=st.sampled_from(["ana", "ben", "", 0, None]),
    data_mail=st.sampled_from(["ana@example.com", "", None]),
    data_img=st.sampled_from(["https://example.com/a.png", ""]),
)
full_user = some_of(
    user_id=ids,
    data_id=texts,
    admin_id=st.sampled_from([0, "1"]),
    anonymous=st.sampled_from([True, "0", 1, "maybe"]),
    data_name=texts,
    data_full_name=texts,
    data_mail=texts,
    segments=st.sampled_from([[], ["pro", "eu"], ["pro"], "pro", None]),
    data=st.sampled_from([{"plan": "pro"}, {}, "none"]),
    weight=totals,
    created=moments,
    updated=moments,
)
whole_post = st.fixed_dictionaries(
    {
        "feedback_id": st.sampled_from([1, "2"]),
        "title": texts,
        "description": texts,
        "status": st.sampled_from(["open", "planned"]),
        "type": st.just("feature"),
        "trend": st.just("0.5"),
        "total_up": st.integers(0, 4),
        "total_down": st.integers(0, 2),
        "total_sum": st.integers(0, 4),
        "total_comments": st.integers(0, 2),
        "total_ratio": st.just(3),
        "total_subscriber": st.just(1),
        "scoring": st.just(0.81),
        "effort": st.sampled_from([0, 1]),
        "created": st.just("2026-05-01 10:00:00"),
        "updated": moments,
        "user": embedded,
    },
    optional={"tags": tags, "owner_id": ids, "estimated": texts, "merge_id": ids},
)
part_of_post = some_of(
    feedback_id=ids,
    id=ids,
    title=texts,
    description=texts,
    status=statuses,
    type=texts,
    trend=decimals,
    total_up=totals,
    total_down=totals,
    total_sum=totals,
    total_comments=totals,
    total_ratio=decimals,
    total_subscriber=totals,
    scoring=decimals,
    effort=totals,
    tags=tags,
    owner_id=ids,
    estimated=texts,
    merge_id=ids,
    created=moments,
    updated=moments,
    user=embedded,
    user_id=ids,
)
post = whole_post | part_of_post
item = st.tuples(
    st.sampled_from(
        ["item.create", "item.update", "item.update", "item.delete", "item.pin", "item.snapshot"]
    ),
    post,
)
vote = st.tuples(
    st.sampled_from(["vote.create", "vote.create", "vote.update", "vote.delete", "vote.remove"]),
    some_of(
        feedback_item=post,
        feedback_id=ids,
        user=embedded,
        user_id=ids,
        vote=st.sampled_from([1, -1, 0, "1", "-1", 5, "up", None]),
        created=moments,
        updated=moments,
    ),
)
subscription = st.tuples(
    st.sampled_from(["subscription.create", "subscription.delete", "subscription.pause"]),
    some_of(feedback_item=post, post=post, feedback_id=ids, user=embedded, user_id=ids, created=moments),
)
comment = st.tuples(
    st.sampled_from(
        ["comment.create", "comment.update", "comment.delete", "comment.flag", "comment.snapshot"]
    ),
    some_of(
        comment_id=ids,
        feedback_id=ids,
        feedback=post,
        comment=texts,
        value=texts,
        status=statuses,
        likes=totals,
        parent=ids,
        pinned=st.sampled_from([True, False, "1", 0, "maybe", None]),
        public=st.sampled_from([True, False, "1", 0, "", "maybe", [True], None]),
        created=moments,
        updated=moments,
        user=embedded,
    ),
)
user = st.tuples(
    st.sampled_from(["user.create", "user.update", "user.delete", "user.block", "user.snapshot"]), full_user
)
changelog = st.tuples(
    st.sampled_from(
        [
            "changelog.create",
            "changelog.update",
            "changelog.delete",
            "changelog.subscribe",
            "changelog.snapshot",
        ]
    ),
    some_of(
        changelog_id=ids,
        feedback_id=ids,
        user=embedded,
        user_id=ids,
        title=texts,
        description=texts,
        type=texts,
        segment=texts,
        draft=st.sampled_from([True, False, "1", "soon"]),
        announcement=st.booleans(),
        scheduled=st.sampled_from([False, True, 1780000050, "1780000150", "tomorrow"]),
        created=moments,
        updated=moments,
    ),
)
satisfaction = st.tuples(
    st.sampled_from(
        [
            *("satisfaction.create", "satisfaction.create", "satisfaction.update", "satisfaction.delete"),
            "satisfaction.remind",
        ]
    ),
    some_of(
        satisfaction_id=ids,
        user=embedded,
        user_id=ids,
        vote=st.sampled_from([1, 5, "4", 0, 6, "good", None]),
        comment=texts,
        data=st.sampled_from(["csat", "", 3, None, {"a": 1}]),
        data_record=st.sampled_from(["nps", "", 3, None, ["a"]]),
        meta=st.sampled_from([{"page": "/"}, [], None]),
        created=moments,
        updated=moments,
    ),
)
unknown = st.tuples(st.just("nps.answer"), some_of(feedback_id=ids, user=embedded, vote=totals))
bodies = st.tuples(
    item | vote | vote | subscription | comment | user | changelog | satisfaction | unknown, timestamps
)


# What is about few things, so that in any list of it something came late, and leaves out what another says.


def about(told: dict[str, Any], **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some_of(**members).map(lambda said: told | said)


def of_kind(action: str, data: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Events of a kind with any of the verbs named: `vote.create,delete`."""
    kind, _, verbs = action.partition(".")
    return st.tuples(st.sampled_from([f"{kind}.{verb}" for verb in verbs.split(",")]), data)


few_people = st.sampled_from([5, 6])
few_posts = about(
    {"feedback_id": 1},
    title=st.sampled_from(["a", "b"]),
    status=st.sampled_from(["open", "planned"]),
    tags=st.sampled_from([["a"], ["a", "b"], ["b", "a"], []]),
    total_up=st.sampled_from([1, 2]),
    user=st.sampled_from(["ana", "ann"]).map(lambda name: {"user_id": 5, "data_name": name}),
)
late_posts = of_kind("item.create,update,update,update,delete", few_posts) | of_kind(
    "vote.create", few_posts.map(lambda post: {"feedback_item": post})
)
late_votes = of_kind(
    "vote.create,create,update,delete,remove",
    few_people.flatmap(
        lambda user: about(
            {"feedback_id": 1, "user_id": user}, vote=st.sampled_from([1, -1, 1, -1, 0]), created=moments
        )
    ),
)
late_subscriptions = of_kind(
    "subscription.create,update,delete,pause",
    few_people.flatmap(lambda user: about({"feedback_id": 1, "user_id": user}, created=moments)),
)
late_comments = of_kind(
    "comment.create,update,update,delete",
    about(  # often without its item
        {"comment_id": 1},
        feedback_id=st.sampled_from([1, 2]),
        user_id=few_people,
        comment=texts,
        likes=st.integers(0, 3),
        public=st.booleans(),
    ),
)
late_users = of_kind(
    "user.create,update,update,delete",
    about({"user_id": 5}, data_name=texts, data_mail=texts, weight=st.integers(1, 3)),
)
late_entries = of_kind(
    "changelog.create,create,update,delete",
    about(
        {"changelog_id": 1},
        title=texts,
        draft=st.booleans(),
        feedback_id=st.sampled_from([1, 2]),
        created=moments,
    ),
)
late_answers = of_kind(
    "satisfaction.create,create,update,delete",
    st.sampled_from([1, 1, 2, 3]).flatmap(
        lambda id: about(
            {"satisfaction_id": id},
            user_id=few_people,
            vote=st.integers(1, 5),
            data=st.sampled_from(["csat", "nps"]),
            created=moments,
            updated=moments,
        )
    ),
)
LATE: Final = {
    "posts": late_posts,
    "votes": late_votes,
    "subscriptions": late_subscriptions,
    "comments": late_comments,
    "users": late_users,
    "entries": late_entries,
    "answers": late_answers,
}
