"""Where the root fields read from."""

from __future__ import annotations

from typing import Final

from schema import specs
from schema.spec import Lookup, Nodes, Page

NODE: Final = Nodes()
ITEM: Final = Lookup("Item")
USER: Final = Lookup("User")
CHANGELOG_ENTRY: Final = Lookup("ChangelogEntry")

ITEMS: Final = Page("Item", specs.ITEM_ORDERS, "VOTES", filter_name="ItemFilter")
USERS: Final = Page("User", specs.USER_ORDERS, "FIRST_SEEN_AT", filter_name="UserFilter")
VOTES: Final = Page("Vote", specs.VOTE_ORDERS, "CAST_AT", filter_name="VoteFilter")
COMMENTS: Final = Page("Comment", specs.COMMENT_ORDERS, "CREATED_AT", filter_name="CommentFilter")
SUBSCRIPTIONS: Final = Page("Subscription", specs.SUBSCRIPTION_ORDERS, "SINCE", filter_name="SubscriptionFilter")
CHANGELOG_ENTRIES: Final = Page("ChangelogEntry", specs.CHANGELOG_ORDERS, "PUBLISHED_AT", filter_name="ChangelogFilter")
SATISFACTION_ANSWERS: Final = Page(
    "SatisfactionAnswer",
    specs.SATISFACTION_ORDERS,
    "ANSWERED_AT",
    base_filter="not answer.deleted",
    filter_name="SatisfactionFilter",
)
# The log only grows, and its order never changes: nothing to pin.
EVENTS: Final = Page("Event", specs.EVENT_ORDERS, "POSITION", filter_name="EventFilter", pinned=False)
