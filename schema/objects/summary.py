"""Says an event in a sentence."""

from __future__ import annotations

from typing import Final

from schema.declare.request import Env

_PHRASES: Final = {
    "ITEM_CREATED": "{who} submitted {item}",
    "ITEM_DELETED": "{item} was deleted",
    "VOTE_CAST": "{who} voted {way} {item}",
    "VOTE_CHANGED": "{who} turned their vote round, {way} {item}",
    "VOTE_WITHDRAWN": "{who} took back their vote on {item}",
    "COMMENT_CREATED": "{who} commented on {item}",
    "COMMENT_EDITED": "A comment on {item} was edited",
    "COMMENT_DELETED": "A comment on {item} was deleted",
    "SUBSCRIBED": "{who} follows {item}",
    "UNSUBSCRIBED": "{who} follows {item} no longer",
    "CHANGELOG_CREATED": "{entry} was published",
    "CHANGELOG_EDITED": "{entry} was edited",
    "CHANGELOG_DELETED": "{entry} was deleted",
    "CHANGELOG_SUBSCRIBED": "{who} follows the changelog",
    "SATISFACTION_GIVEN": "{who} gave a satisfaction answer",
    "USER_CREATED": "{who} joined",
    "USER_EDITED": "{who} changed: {fields}",
    "USER_DELETED": "{who} was deleted",
}


def summary_of(
    env: Env,
    event_type: str,
    action: str,
    changed: list[str] | None,
    title: str | None,
    item_id: str | None,
    who: str | None,
    status: str | None,
    entry: str | None,
    vote: int | None,
) -> str:
    """Return an event in a sentence, in the words of the board: titles, names, labels."""
    item = f"“{title}”" if title else f"item {item_id}" if item_id else "an item"
    fields = ", ".join(name.replace("_", " ") for name in changed or ()) or "nothing that is shown"
    if event_type == "ITEM_STATUS_CHANGED":
        label = env.labels.get(status) if status else None
        return f"{item} moved to {(label.label if label else None) or status or 'another status'}"
    if event_type == "ITEM_EDITED":
        return f"{item} was edited: {fields}" if changed else f"{item} was updated"
    phrase = _PHRASES.get(event_type)
    if phrase is None:
        return f"{action} happened"
    return phrase.format(
        who=who or "Somebody",
        item=item,
        fields=fields,
        way="on" if vote is None else "for" if vote > 0 else "against",
        entry=f"The note “{entry}”" if entry else "A release note",
    )
