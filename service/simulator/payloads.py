"""Writes webhook bodies: the envelope round the data, and the quoted spelling that the older docs show."""

from __future__ import annotations

from typing import Any

import orjson

from service.simulator.dice import Dice

_QUOTED_SHARE = 0.06
_UNWRITTEN = b"{}"  # not empty: something did happen


class Writer:
    """Turns an action and its data into the bytes of one POST.

    A fixed share is spelled as in the samples of 2020: every number in quotes, the product within a
    post as `"1"`, the timestamp in milliseconds. `not_before` is the second that the next body must
    not precede, so that timestamps rise whichever way they are spelled. `mute` writes nothing, with
    the same rolls, for going through a history only to have its state.
    """

    __slots__ = ("_quoted_share", "_roll", "mute", "not_before", "product_id")

    def __init__(self, product_id: int, dice: Dice) -> None:
        self.product_id, self._roll = product_id, dice.roll
        self._quoted_share = _QUOTED_SHARE
        self.not_before = 0
        self.mute = False

    def write(self, action: str, data: dict[str, Any], at: int) -> bytes:
        """Return the body for what happened at a second."""
        luck = self._roll()
        if luck >= self._quoted_share:
            if self.mute:
                return _UNWRITTEN
            return orjson.dumps(
                {"product_id": self.product_id, "action": action, "data": data, "timestamp": at}
            )
        milliseconds = int(luck / self._quoted_share * 1000)
        self.not_before = at + (milliseconds > 0)
        if self.mute:
            return _UNWRITTEN
        body = {
            "product_id": str(self.product_id) if milliseconds % 2 else self.product_id,
            "action": action,
            "data": quoted(data),
            "timestamp": str(at * 1000 + milliseconds),
        }
        return orjson.dumps(body)


def quoted(data: dict[str, Any]) -> dict[str, Any]:
    """Return data as the documented sample spells it: numbers in quotes, but `admin_id` bare."""
    spelled: dict[str, Any] = {}
    for name, value in data.items():
        if type(value) is dict:
            spelled[name] = quoted(value)
        elif name == "product_id":
            spelled[name] = "1"
        elif type(value) in (int, float) and name != "admin_id":
            spelled[name] = str(value)
        else:
            spelled[name] = value
    return spelled
