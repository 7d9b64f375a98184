"""Invents the people of the board: end users who come, rename themselves and fall silent, and the team."""

from __future__ import annotations

import re
from typing import Any

from service.simulator.dice import Dice
from service.simulator.rhythm import DAY_SECONDS
from service.simulator.texts import read

FIRST_USER = 3_001  # clear of the ids in the sample payloads, which people send to a running demo
TEAM_SIZE = 4
_FOREVER = 1 << 62
_ASCII = str.maketrans("áàäâåãéèëêíïîóòöôøúüûñçšžł", "aaaaaaeeeeiiiooooouuuncszl", "'")
_NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.")


_MADE_UP = re.compile(rb'"user_id": ?(\d+),[^{}]*?"data_mail": ?"[^"@]*\.\1@example\.com"')


def made_up(bodies: bytes) -> bool:
    """Whether one of some bodies tells of a person of ours, whose address ends in their own id.

    Nobody real has such an address: example.com is reserved (RFC 2606). So a body needs no mark, which would
    make it another than Sleekplan's, and a file of them no line that is none.
    """
    return _MADE_UP.search(bodies) is not None


class Account:
    """Somebody with an account. `card` is the small object that other objects embed; it changes in place."""

    __slots__ = (
        *("_browser", "_plan", "answered_at", "answers", "card", "comments", "created", "first", "gone"),
        *("last", "number", "posts", "score", "silent_from", "temper", "updated", "votes"),
    )

    def __init__(self, dice: Dice, number: int, admin: int, at: int, created: str) -> None:
        names = read("names")
        self.number = number
        self.first: str = dice.pick(names["first"])
        self.last: str = dice.pick(names["last"])
        self.card: dict[str, Any] = {
            "user_id": number,
            "admin_id": admin,
            "data_name": self.handle(dice),
            "data_mail": "" if dice.chance(0.12) and not admin else self.mail(),
            "data_img": "" if dice.chance(0.2) else f"https://example.com/people/{number}.png",
        }
        self._plan = self._browser = number
        self.created = self.updated = created
        self.gone = False
        self.silent_from = (
            at + int(dice.long_tail(70) * DAY_SECONDS) if dice.chance(0.4) and not admin else _FOREVER
        )
        self.temper = dice.between(2.5, 4.9)
        self.score, self.answered_at = 0.0, 0
        self.posts = self.votes = self.comments = self.answers = 0

    def handle(self, dice: Dice) -> str:
        """Return a display name in one of the ways in which people write theirs."""
        first, last = self.first, self.last
        plain = (first + last[0]).lower().translate(_ASCII)
        handles = (f"{first} {last}", f"{first} {last[0]}.", f"{first.lower()}_{last[0].lower()}", plain)
        return dice.pick(handles)

    def mail(self) -> str:
        """Return an address at example.com that no two people share."""
        return f"{self.first}.{self.last}.{self.number}@example.com".lower().translate(_ASCII)

    def full(self) -> dict[str, Any]:
        """Return the whole user object, as `user.create` and `user.update` carry it."""
        card = self.card
        return {
            "user_id": self.number,
            "data_id": f"acct_{self.number * 7919 % 100_000}",
            "admin_id": card["admin_id"],
            "anonymous": False,
            "data_name": card["data_name"],
            "data_full_name": f"{self.first} {self.last}",
            "data_mail": card["data_mail"],
            "data_img": card["data_img"],
            **_account(Dice(self._plan)),
            "data_system": _system(Dice(self._browser)),
            "stats_feedback": self.posts,
            "stats_votes": self.votes,
            "stats_comments": self.comments,
            "stats_satisfaction": self.answers,
            "stats_promoter": 0,
            "notify": 1,
            "notify_settings": {"mention": True, "changelog": self.number % 3 == 0, "subscribed": True},
            "weight": 1 + self.number * 31 % 10,
            "created": self.created,
            "updated": self.updated,
        }

    def change(self, dice: Dice, updated: str) -> None:
        """Rename, move or upgrade somebody: what a `user.update` tells of."""
        self.updated = updated
        what = dice.roll()
        if what < 0.3:
            self.last = dice.pick(read("names")["last"])
            self.card["data_name"] = self.handle(dice)
            if self.card["data_mail"]:
                self.card["data_mail"] = self.mail()
        elif what < 0.5:
            self.card["data_name"] = self.handle(dice)
        elif what < 0.65:
            self.card["data_img"] = f"https://example.com/people/{self.number}-{dice.below(90) + 10}.png"
        elif what < 0.8:
            self._plan += 1_000_003
        else:
            self._browser += 1_000_003

    def forget(self) -> None:
        """Blank the card of somebody who was deleted, as posts of deleted users show it."""
        self.gone = True
        self.card.update(data_name="", data_mail="", data_img="")


def _account(dice: Dice) -> dict[str, Any]:
    """Return what the customer has told Sleekplan of a user. Rolled anew each time, not kept."""
    names = read("names")
    plan = dice.pick(names["plans"])
    return {
        "segments": [plan, dice.pick(names["markets"])],
        "data": {"plan": plan, "seats": 1 + int(dice.long_tail(6))},
    }


def _system(dice: Dice) -> dict[str, str]:
    """Return what Sleekplan notes about a browser; the addresses are those set aside for documentation."""
    city, country, zone, continent, currency, symbol, lat, lng = dice.pick(read("names")["places"])
    browser, platform, agent, version = dice.pick(read("names")["browsers"])
    return {
        "ip": f"{dice.pick(_NETWORKS)}{1 + dice.below(254)}",
        "lat": lat,
        "lng": lng,
        "city": city,
        "browser": browser,
        "country": country,
        "platform": platform,
        "timezone": zone,
        "continent": continent,
        "user_agent": agent,
        "currency_code": currency,
        "browser_version": version,
        "currency_symbol": symbol,
    }


class People:
    """Everybody, and who of them is still active."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.everybody: list[Account] = []
        self.team: list[Account] = []
        self._active: list[Account] = []
        self._recent: list[Account] = []
        self._turn = 0

    def arrive(self, at: int, created: str) -> Account:
        """Return somebody new; the first four are the team."""
        number = len(self.everybody)
        admin = number + 1 if number < TEAM_SIZE else 0
        person = Account(self._dice, FIRST_USER + number, admin, at, created)
        self.everybody.append(person)
        (self.team if admin else self._active).append(person)
        return person

    def someone(self, at: int) -> Account | None:
        """Return an active end user, rather one who was active of late; None when there is nobody."""
        roll = self._dice.roll
        for _ in range(6):
            luck = roll()
            if luck < 0.45 and self._recent:
                person = self._recent[int(luck / 0.45 * len(self._recent))]
                if not person.gone and at < person.silent_from:
                    return person
                continue
            if not self._active:
                return None
            place = int(roll() * len(self._active))
            person = self._active[place]
            if not person.gone and at < person.silent_from:
                self._remember(person)
                return person
            self._active[place] = self._active[-1]
            self._active.pop()
        return None

    def _remember(self, person: Account) -> None:
        """Keep a few hundred who acted of late; whoever is kept acts more, and so is kept again."""
        if len(self._recent) < max(20, len(self._active) // 4):
            self._recent.append(person)
        else:
            self._turn = (self._turn + 1) % len(self._recent)
            self._recent[self._turn] = person
