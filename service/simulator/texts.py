"""Finds words for the board: titles and descriptions of items, their later rewordings, and comments."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import orjson

from service.simulator.dice import Dice

TYPE_KEYS = {
    "feature": "feature",
    "bug": "bug",
    "interface": "user-interface",
    "appearance": "t68df02a7ea223",
    "integration": "t68df0311b4c07",
    "mobile": "t68e1f4d90aa15",
    "reports": "t68f20c6be7138",
}


@cache
def read(name: str) -> Any:
    """Return one of this folder's JSON files: `topics`, `remarks` or `names`."""
    return orjson.loads(files("service.simulator").joinpath(f"{name}.json").read_bytes())


class Topic:
    """What an item asks for: its titles, its name in comments, a release note's heading, its sentences."""

    __slots__ = ("group", "news", "says", "short", "titles", "type_key")

    def __init__(
        self, group: int, short: str, kind: str, news: str, titles: list[str], says: list[str]
    ) -> None:
        self.group, self.short, self.type_key = group, short, TYPE_KEYS[kind]
        self.news, self.titles, self.says = news, titles, says


class Topics:
    """A supply of topics in an order of chance, without an end; the first few hundred are the best."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        single = [(number, -1) for number in range(len(read("topics")["single"]))]
        self._order = dice.shuffled(single + _fitting())
        self._taken = 0

    def next(self) -> Topic:
        """Return the next topic: hand-written ones and fitting combinations first, then narrower ones."""
        number, self._taken = self._taken, self._taken + 1
        if number < len(self._order):
            feature, place = self._order[number]
            return _composed(self._dice, feature, place, "") if place >= 0 else _single(feature)
        return self._narrower(number - len(self._order))

    def _narrower(self, number: int) -> Topic:
        """Return a topic for one audience: each fitting pair with each, then all other pairs."""
        audiences, pairs = read("topics")["audiences"], _fitting()
        if number >= len(pairs) * len(audiences):
            number -= len(pairs) * len(audiences)
            pairs = _everything()
        turn, place_in_turn = divmod(number, len(pairs))
        # 311 has no factor in common with either length, so that a turn meets each pair once.
        feature, place = pairs[place_in_turn * 311 % len(pairs)]
        return _composed(
            self._dice, feature, place, " " + audiences[(turn + place_in_turn * 7) % len(audiences)]
        )


@cache
def _fitting() -> list[tuple[int, int]]:
    """Return the pairs of feature and place that somebody judged to make sense together."""
    places = list(read("topics")["places"])
    return [
        (number, places.index(place))
        for number, feature in enumerate(read("topics")["features"])
        for place in feature[2].split()
    ]


@cache
def _everything() -> list[tuple[int, int]]:
    """Return the fitting pairs of feature and place, then all the others."""
    fitting = _fitting()
    known = set(fitting)
    features, places = len(read("topics")["features"]), len(read("topics")["places"])
    others = [(feature, place) for feature in range(features) for place in range(places)]
    return fitting + [pair for pair in others if pair not in known]


def _single(number: int) -> Topic:
    title, again, kind, says = read("topics")["single"][number]
    news = f"Fixed: {_lowered(title)}" if kind == "bug" else f"You asked, we built: {_lowered(title)}"
    short = "this fix" if kind == "bug" else "this"
    return Topic(1_000 + number, short, kind, news, [title, again], list(says))


def _composed(dice: Dice, number: int, place: int, audience: str) -> Topic:
    name, kind, _, problems, wishes, twist = read("topics")["features"][number]
    where, why_there = list(read("topics")["places"].values())[place]
    where += audience
    plain = f"{name} {where}"
    allowed, asked = f"Allow {_lowered(name)} {where}", f"Could we have {_lowered(name)} {where}?"
    first = dice.pick_weighted([(plain, 0.76), (allowed, 0.14), (asked, 0.1)])
    later = [allowed] if audience else [f"{plain}, {twist}"]
    titles = [first, *(title for title in (asked, *later, plain) if title != first)]
    arrived = f"{plain} {'have' if name.endswith('s') else 'has'} arrived"
    news = dice.pick((f"{plain}: now for everyone", f"New: {_lowered(name)} {where}", arrived))
    says = [*problems[: 1 + dice.below(2)], why_there, *wishes[: 1 + dice.below(2)]]
    return Topic(number, _lowered(name), kind, news, titles, says)


def _lowered(text: str) -> str:
    """Return the text as it stands within a sentence; abbreviations keep their capitals."""
    return text[0].lower() + text[1:] if text[1:2].islower() else text


def description(sentences: list[str], markup: str) -> str:
    """Return sentences as one text in Markdown or in HTML, two to a paragraph."""
    paragraphs = [" ".join(sentences[first : first + 2]) for first in range(0, len(sentences), 2)]
    if markup == "markdown":
        return "\n\n".join(paragraphs)
    return "".join(f"<p>{_html(paragraph)}</p>" for paragraph in paragraphs)


def _html(markdown: str) -> str:
    """Return one paragraph of Markdown as HTML: bold, italics and code, all that our texts use."""
    text = escape(markdown, quote=False)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
