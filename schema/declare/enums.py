"""The schema's enums."""

from __future__ import annotations

from enum import Enum

import strawberry


@strawberry.enum(description="Which clock a time is on.")
class Clock(Enum):
    OCCURRED = strawberry.enum_value("OCCURRED", description="Sleekplan's: when it happened there.")
    RECORDED = strawberry.enum_value("RECORDED", description="Ours: when this log learnt of it.")


@strawberry.enum(description="Which way a list is sorted.")
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest, oldest first.")
    DESC = strawberry.enum_value("DESC", description="Greatest, newest first.")


@strawberry.enum(description="How long one step of a series is.")
class Bucket(Enum):
    HOUR = strawberry.enum_value("HOUR", description="An hour.")
    DAY = strawberry.enum_value("DAY", description="A day, from midnight of the time zone asked for.")
    WEEK = strawberry.enum_value("WEEK", description="A week, from Monday.")
    MONTH = strawberry.enum_value("MONTH", description="A calendar month.")


@strawberry.enum(description="What a status means: given by configuration, with defaults for common keys.")
class StatusRole(Enum):
    OPEN = strawberry.enum_value("OPEN", description="Not decided.")
    ROADMAP = strawberry.enum_value("ROADMAP", description="Promised or being made.")
    DONE = strawberry.enum_value("DONE", description="Shipped.")
    DECLINED = strawberry.enum_value("DECLINED", description="Closed without being made, or merged.")


@strawberry.enum(description="What is counted.")
class Metric(Enum):
    NET_VOTES = strawberry.enum_value("NET_VOTES", description="Votes for less votes against.")
    UPVOTES = strawberry.enum_value("UPVOTES", description="Votes for.")
    COMMENTS = strawberry.enum_value("COMMENTS", description="Comments, by Sleekplan's total.")
    SUBSCRIBERS = strawberry.enum_value("SUBSCRIBERS", description="Subscribers, by Sleekplan's total.")
    ACTIVITY = strawberry.enum_value("ACTIVITY", description="Events of any kind about the item.")


@strawberry.enum(description="What items can be sorted by. Ties go by product and Sleekplan's id.")
class ItemOrder(Enum):
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When it was submitted.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When Sleekplan last changed it.")
    VOTES = strawberry.enum_value("VOTES", description="Net votes.")
    TREND = strawberry.enum_value("TREND", description="Sleekplan's trend.")
    VOTES_IN_WINDOW = strawberry.enum_value(
        "VOTES_IN_WINDOW", description="Net votes gained in the argument `window`."
    )
    TIME_IN_STATUS = strawberry.enum_value(
        "TIME_IN_STATUS", description="How long it has stood in its status."
    )
    LAST_ACTIVITY_AT = strawberry.enum_value("LAST_ACTIVITY_AT", description="The newest event about it.")
    RELEVANCE = strawberry.enum_value("RELEVANCE", description="How well it matches `filter.search`.")


@strawberry.enum(description="What users can be sorted by.")
class UserOrder(Enum):
    FIRST_SEEN_AT = strawberry.enum_value("FIRST_SEEN_AT", description="When an event first named them.")
    LAST_ACTIVE_AT = strawberry.enum_value("LAST_ACTIVE_AT", description="When they last did something.")


@strawberry.enum(description="What comments can be sorted by.")
class CommentOrder(Enum):
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When it was written.")
    LIKES = strawberry.enum_value("LIKES", description="How many like it.")


@strawberry.enum(description="What votes can be sorted by.")
class VoteOrder(Enum):
    CAST_AT = strawberry.enum_value("CAST_AT", description="When it was cast.")


@strawberry.enum(description="What subscriptions can be sorted by.")
class SubscriptionOrder(Enum):
    SINCE = strawberry.enum_value("SINCE", description="When it began.")


@strawberry.enum(description="What changelog entries can be sorted by.")
class ChangelogOrder(Enum):
    PUBLISHED_AT = strawberry.enum_value("PUBLISHED_AT", description="When it was published.")


@strawberry.enum(description="What satisfaction answers can be sorted by.")
class SatisfactionOrder(Enum):
    ANSWERED_AT = strawberry.enum_value("ANSWERED_AT", description="When it was given.")


@strawberry.enum(description="What events can be sorted by.")
class EventOrder(Enum):
    POSITION = strawberry.enum_value(
        "POSITION", description="Their place in the log: the order in which they arrived."
    )
    OCCURRED_AT = strawberry.enum_value("OCCURRED_AT", description="Sleekplan's clock; ties by position.")


@strawberry.enum(description="What groups of a statistic are made by.")
class GroupBy(Enum):
    NONE = strawberry.enum_value("NONE", description="One group of all.")
    MONTH = strawberry.enum_value("MONTH", description="The month in which the item was created.")
    WEEK = strawberry.enum_value("WEEK", description="The week in which the item was created.")
    TYPE = strawberry.enum_value("TYPE", description="The item's type.")
    STATUS = strawberry.enum_value("STATUS", description="The item's status now.")


@strawberry.enum(description="Where an event came from.")
class Origin(Enum):
    WEBHOOK = strawberry.enum_value("WEBHOOK", description="Delivered by Sleekplan.")
    IMPORT = strawberry.enum_value("IMPORT", description="Read from a file.")
    BACKFILL = strawberry.enum_value("BACKFILL", description="Fetched from Sleekplan's API.")
    INFERRED = strawberry.enum_value("INFERRED", description="Concluded from totals; no event says it.")


@strawberry.enum(description="What an event is about, by what it changed.")
class EventType(Enum):
    ITEM_CREATED = strawberry.enum_value("ITEM_CREATED", description="An item was submitted.")
    ITEM_EDITED = strawberry.enum_value(
        "ITEM_EDITED", description="An item's text, type or other field was changed."
    )
    ITEM_STATUS_CHANGED = strawberry.enum_value(
        "ITEM_STATUS_CHANGED", description="An item moved to another status."
    )
    ITEM_DELETED = strawberry.enum_value("ITEM_DELETED", description="An item was deleted.")
    VOTE_CAST = strawberry.enum_value("VOTE_CAST", description="Somebody voted.")
    VOTE_CHANGED = strawberry.enum_value("VOTE_CHANGED", description="Somebody turned their vote round.")
    VOTE_WITHDRAWN = strawberry.enum_value("VOTE_WITHDRAWN", description="Somebody took their vote back.")
    COMMENT_CREATED = strawberry.enum_value("COMMENT_CREATED", description="A comment was written.")
    COMMENT_EDITED = strawberry.enum_value("COMMENT_EDITED", description="A comment was edited.")
    COMMENT_DELETED = strawberry.enum_value("COMMENT_DELETED", description="A comment was deleted.")
    SUBSCRIBED = strawberry.enum_value("SUBSCRIBED", description="Somebody follows an item.")
    UNSUBSCRIBED = strawberry.enum_value("UNSUBSCRIBED", description="Somebody follows an item no longer.")
    CHANGELOG_CREATED = strawberry.enum_value(
        "CHANGELOG_CREATED", description="A changelog entry was published."
    )
    CHANGELOG_EDITED = strawberry.enum_value("CHANGELOG_EDITED", description="A changelog entry was edited.")
    CHANGELOG_DELETED = strawberry.enum_value(
        "CHANGELOG_DELETED", description="A changelog entry was deleted."
    )
    CHANGELOG_SUBSCRIBED = strawberry.enum_value(
        "CHANGELOG_SUBSCRIBED", description="Somebody follows the changelog."
    )
    SATISFACTION_GIVEN = strawberry.enum_value(
        "SATISFACTION_GIVEN", description="A satisfaction answer was given."
    )
    USER_CREATED = strawberry.enum_value("USER_CREATED", description="A user was created.")
    USER_EDITED = strawberry.enum_value("USER_EDITED", description="A user's data was changed.")
    USER_DELETED = strawberry.enum_value("USER_DELETED", description="A user was deleted.")
    OTHER = strawberry.enum_value("OTHER", description="An action that this version does not know.")


@strawberry.enum(description="What was concluded from totals that no event explains.")
class InferenceKind(Enum):
    COUNT_DRIFT = strawberry.enum_value(
        "COUNT_DRIFT", description="A total moved otherwise than by the votes seen."
    )
    VOTE_WITHDRAWN = strawberry.enum_value(
        "VOTE_WITHDRAWN", description="A total fell: a vote was probably taken back."
    )
    VOTE_CHANGED = strawberry.enum_value(
        "VOTE_CHANGED", description="One total fell as the other rose: a vote was probably turned round."
    )
    LIKELY_MERGE = strawberry.enum_value(
        "LIKELY_MERGE", description="Totals jumped as another item was closed as merged."
    )


@strawberry.enum(description="What happened to a stretch of words.")
class WordKind(Enum):
    SAME = strawberry.enum_value("SAME", description="It stands in both texts.")
    REMOVED = strawberry.enum_value("REMOVED", description="It stood in the text before.")
    ADDED = strawberry.enum_value("ADDED", description="It stands in the text after.")


@strawberry.enum(description="What a projection is doing.")
class ProjectionState(Enum):
    LIVE = strawberry.enum_value("LIVE", description="It holds all that the log holds.")
    CATCHING_UP = strawberry.enum_value("CATCHING_UP", description="It is behind the log, and moving.")
    REBUILDING = strawberry.enum_value(
        "REBUILDING", description="It is counted again beside the tables that are read."
    )
    OUTDATED = strawberry.enum_value(
        "OUTDATED", description="Its tables were counted by other rules than today's; a rebuild is due."
    )
    STUCK = strawberry.enum_value(
        "STUCK", description="It is behind the log, and has not moved for 15 seconds: nothing projects."
    )
    FAILED = strawberry.enum_value(
        "FAILED", description="Its last step or rebuild failed; `lastError` says why."
    )


@strawberry.enum(description="What has become of a delivery in quarantine.")
class QuarantineState(Enum):
    OPEN = strawberry.enum_value("OPEN", description="It waits for a decision.")
    RETRIED = strawberry.enum_value("RETRIED", description="A retry made an event of it.")
    DISCARDED = strawberry.enum_value("DISCARDED", description="It was discarded; its bytes are kept.")
