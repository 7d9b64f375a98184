"""What GraphQL serves of one product at a moment, in the words of the plain model."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from schema.context import Caller
from schema.ids import decode_id
from service.scopes import SCOPES
from tests.given.plain_model import Moment
from tests.given.plain_world import World

Rows = dict[Any, dict[str, Any]]

# Aliases are the plain model's names; `is` stands for the value of whatever it is below.
_FIELDS: Final = """
fragment ItemFields on Item {
  key: id title description status { is: key } type effort tags created_at: createdAt
  owner_id: owner { is: sleekplanId } estimated merged_into: mergedInto { is: sleekplanId }
  author_id: author { is: sleekplanId } updated_at: updatedAt
  votes { votes_up: up votes_down: down votes_net: net } comments: commentCount
  subscribers: subscriberCount trend scoring ratio deleted deleted_at: deletedAt status_since: statusSince
  last_activity_at: lastActivityAt version at rank
  knownVotes { known_up: up known_down: down known_net: net }
}
fragment UserFields on User {
  key: id erased name mail img: imageUrl team_member: teamMember data_id: customerId full_name: fullName
  anonymous
  segments custom system weight created_at: createdAt deleted deleted_at: deletedAt first_seen_at: firstSeenAt
  last_active_at: lastActiveAt
}
fragment VoteFields on Vote {
  key: id user_id: user { is: sleekplanId } item_id: item { is: sleekplanId } value withdrawn cast_at: castAt
  withdrawn_at: withdrawnAt at
}
fragment SubscriptionFields on ItemSubscription {
  key: id user_id: user { is: sleekplanId } item_id: item { is: sleekplanId } active since at
}
fragment CommentFields on Comment {
  key: id item_id: item { is: sleekplanId } author_id: author { is: sleekplanId } body: text status type likes
  parent_id: parent { is: sleekplanId } pinned public
  created_at: createdAt updated_at: updatedAt deleted deleted_at: deletedAt at
}
fragment EntryFields on ChangelogEntry {
  key: id title description type segment draft announcement scheduled_at: scheduledAt
  item_id: linkedItem { is: sleekplanId } created_at: createdAt published_at: publishedAt deleted at
}
fragment AnswerFields on SatisfactionAnswer {
  key: id user_id: user { is: sleekplanId } value comment group meta answered_at: answeredAt
  superseded_at: supersededAt at
}
fragment EventFields on Event {
  position productId type action entity origin occurredAt occurredAssumed recordedAt changedFields deliveries
  erased rawPayload summary changes { field before after words { kind text } }
  item { sleekplanId } user { sleekplanId } comment { sleekplanId } changelogEntry { sleekplanId }
  satisfactionAnswer { sleekplanId }
}
fragment InferenceFields on Inference {
  position kind origin field delta ours theirs seenAt likelyCause item { sleekplanId }
}
"""
STATE: Final = (
    _FIELDS
    + """
query ($product: ID!, $asOf: AsOf) {
  items(productId: $product, asOf: $asOf, filter: {deleted: null}) { nodes { ...ItemFields } }
  users(productId: $product, asOf: $asOf, filter: {deleted: null}) { nodes { ...UserFields } }
  votes(productId: $product, asOf: $asOf, filter: {withdrawn: null}) { nodes { ...VoteFields } }
  subscriptions(productId: $product, asOf: $asOf, filter: {active: null}) { nodes { ...SubscriptionFields } }
  comments(productId: $product, asOf: $asOf, filter: {deleted: null}) { nodes { ...CommentFields } }
  entries: changelogEntries(productId: $product, asOf: $asOf, filter: {deleted: null}) {
    nodes { ...EntryFields }
  }
  answers: satisfactionAnswers(productId: $product, asOf: $asOf) { nodes { ...AnswerFields } }
  events(productId: $product, asOf: $asOf) { nodes { ...EventFields } }
  drift(productId: $product, asOf: $asOf, first: 100) { ...InferenceFields }
  best: items(productId: $product, asOf: $asOf, first: 1) { nodes { sleekplanId } }
  best_two: items(productId: $product, asOf: $asOf, first: 2) { nodes { sleekplanId } }
  all: items(productId: $product, asOf: $asOf) { nodes { sleekplanId } }
  item(productId: $product, sleekplanId: "1", asOf: $asOf) {
    ...ItemFields
    castVotes(filter: {withdrawn: null}) { nodes { ...VoteFields } }
    voters { nodes { sleekplanId } }
    followers: subscriptions(filter: {active: null}) { nodes { ...SubscriptionFields } }
    said: comments(filter: {deleted: null}) { nodes { ...CommentFields } }
  }
  user(productId: $product, sleekplanId: "1", asOf: $asOf) { ...UserFields }
  entry: changelogEntry(productId: $product, sleekplanId: "1", asOf: $asOf) { ...EntryFields }
}
"""
)
_OF_OTHERS: Final = """
query ($product: ID!, $asOf: AsOf) {
  items(productId: $product, asOf: $asOf, filter: {deleted: null}) { nodes { ...ItemFields } }
  comments(productId: $product, asOf: $asOf, filter: {deleted: null}) { nodes { ...CommentFields } }
  events(productId: $product, asOf: $asOf) { nodes { position } }
}
"""
_JSON: Final = ("custom", "system", "meta")
_TIMES: Final = re.compile(r".*_at|since|status_since")
_LISTS: Final = ("castVotes", "voters", "followers", "said")


async def served(world: World, at: Moment) -> Any:
    """Return what a client is answered for a product at a moment."""
    return await world.ask(STATE, asOf=as_of(at))


async def served_others(world: World, at: Moment) -> Any:
    """Return what a client without the scope `personal` is answered."""
    fragments = [each for each in _FIELDS.split("fragment ") if each.startswith(("Item", "Comment"))]
    query = "fragment ".join([_OF_OTHERS, *fragments])
    return await world.ask(query, Caller(SCOPES - {"personal"}), asOf=as_of(at))


def as_of(at: Moment) -> dict[str, Any] | None:
    """Return a moment as an argument; one without limits is now."""
    time = at.happened or at.recorded
    found: dict[str, Any] = {} if at.position is None else {"position": at.position}
    if time is not None:
        found |= {"time": time.isoformat(), "clock": "OCCURRED" if at.happened else "RECORDED"}
    return found or None


def rows(connection: Any) -> Rows:
    """Return a page's rows by Sleekplan's ids: of a vote, those of item and voter."""
    found = {_key(node): row(node) for node in connection["nodes"]}
    assert len(found) == len(connection["nodes"])
    return found


def row(node: Any) -> dict[str, Any]:
    """Return what one object says; what is null is left out."""
    told: dict[str, Any] = {}
    for name, value in node.items():
        if name == "key" or name in _LISTS or value is None:
            continue
        if isinstance(value, dict) and name not in _JSON:
            said = {inner: what for inner, what in value.items() if what is not None}
            told |= {name: said["is"]} if "is" in said else said
        else:
            told[name] = datetime.fromisoformat(value) if _TIMES.fullmatch(name) else value
    return told


def _key(node: Any) -> Any:
    parts = decode_id(node["key"]).parts
    return parts if len(parts) > 1 else parts[0]
