"""Says in which of its documented or disputed ways the made-up Sleekplan answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Each knob is a point on which what is public about Sleekplan's REST API disagrees or is silent.

    As it stands, it answers as somebody's careful reading of the API's description has it.
    """

    first_page: Literal["zero", "one", "both"] = "one"
    """What the first page is numbered; `one` refuses page 0, `both` gives page 1 for it."""
    items: Literal["object", "array", "shuffled"] = "object"
    """Rows under `items`: by their id, as a list, or by their id in no order."""
    children: Literal["documented", "items", "bare"] = "documented"
    """Where comments and votes are: under their own names, under `items`, or right under `data`."""
    end: Literal["has_more", "none", "always"] = "has_more"
    """What says that there is more: `has_more`, nothing, or a `has_more` that is always true."""
    empty: Literal["error_200", "error_404", "object", "list", "null"] = "object"
    numbers: Literal["bare", "quoted", "binary"] = "bare"
    """How numbers and booleans are spelled; `binary`: booleans as 0 and 1."""
    votes: Literal["all", "refused", "with_subscribers", "only_up"] = "all"
    """What `filter=all` does: all votes, an error, subscribers among them, or only those for the item."""
    voterless: bool = False
    """Whether every fifth vote comes without its user."""
    per_page: Literal["honoured", "capped", "ignored"] = "honoured"
    """`capped`: at most 50; `ignored`: always 10."""
    sort: Literal["honoured", "ignored"] = "honoured"
    hidden: bool = False
    """Whether merged posts are left out of the list."""

    cut_rows: int | None = None
    """After how many rows every list ends before its end, as if there were no more; None: it does not."""

    limit_every: int = 0
    """Each so manieth request is one too many; 0: none is."""
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    fault: Literal["", "500", "reset", "slow", "cut", "html", "redirect", "huge", "shape"] = ""
    fault_at: int = 3
    """The request that goes wrong; 0: every one of `fault_path`."""
    fault_path: str = ""
    rights: Literal["", "401", "403_users", "403_everything", "405_post", "500_post"] = ""
    refused_from: int = 0
    """The request from which on the key is revoked; 0: none."""
    ahead_seconds: float | None = 0
    """By how much the `Date` of answers is ahead of the true time; None: they have none."""
    zone_minutes: int = 0
    """By how much the dates inside objects are ahead of UTC."""
    undated: bool = False
    """Whether `created` cannot be read."""
