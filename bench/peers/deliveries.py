"""Reads the clock of a webhook's body in the forms that Sleekplan uses, for peers that store deliveries."""

from __future__ import annotations

import datetime as dt


def occurred_at(timestamp: object) -> dt.datetime:
    """Return the envelope's moment: seconds or milliseconds, a number or quoted; now where there is none."""
    try:
        moment = int(timestamp)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return dt.datetime.now(dt.UTC)
    return dt.datetime.fromtimestamp(moment / 1000 if moment > 10**11 else moment, dt.UTC)
