"""Gives a simulated board as the rows that Sleekplan's REST API lists of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from service.simulator.board import MERGED, Idea
from service.simulator.people import FIRST_USER, Account
from service.simulator.rhythm import DAY_SECONDS
from service.simulator.traffic import Traffic
from service.simulator.variant import Variant

Row = dict[str, Any]


class Listed(NamedTuple):
    """A list, the oldest first: what its rows are made of, and what makes one. Only a page's are made."""

    sources: list[Any]
    row: Callable[[Any], Row]


_REPLACED_SECONDS = 30 * DAY_SECONDS
_DATES = ("created", "updated")


class BoardRows:
    """What still stands of a board, read anew at each request, as the board moves meanwhile."""

    def __init__(self, traffic: Traffic, variant: Variant) -> None:
        self._traffic, self._scene, self._variant = traffic, traffic.scene, variant

    def posts(self, _query: dict[str, str]) -> Listed:
        """The items."""
        items = [
            item for item in self._scene.board.items if not (self._variant.hidden and item.status == MERGED)
        ]
        return Listed(sorted(items, key=lambda item: item.number), self._post)

    def post(self, number: str) -> Row | None:
        """One item, hidden or not."""
        item = self._item(number)
        return None if item is None else self._post(item)

    def _item(self, number: str) -> Idea | None:
        wanted = int(number)
        return next((item for item in self._scene.board.items if item.number == wanted), None)

    def _post(self, item: Idea) -> Row:
        return self._dated(
            {
                "owner_id": 0,
                "tags": [],
                "estimated": "",
                **item.post,
                "description_html": item.post["description"],
                "merge_id": item.merged_into,
                "is_active": True,
                "notify": True,
                "vote": 0,
                "subscription": False,
                "can_edit": True,
                "can_delete": True,
            }
        )

    def comments(self, number: str, _query: dict[str, str]) -> Listed | None:
        """An item's comments; None where there is no such item."""
        item = self._item(number)
        if item is None:
            return None
        told = [item.remarks[each] for each in sorted(item.remarks)]
        return Listed(told, lambda remark: self._comment(item, remark))

    def _comment(self, item: Idea, told: Row) -> Row:
        text = next(told[member] for member in ("comment", "value", "text") if member in told)
        return self._dated(
            {
                "parent": 0,
                "pinned": False,
                "public": True,
                **{name: value for name, value in told.items() if name not in ("comment", "value", "text")},
                "feedback_id": item.number,
                "comment": text,
                "comment_html": f"<p>{text}</p>",
                "modified": told["updated"] != told["created"],
                "is_active": True,
                "files": [],
                "child_count": 0,
                "has_child": False,
                "liked": False,
            }
        )

    def votes(self, number: str, query: dict[str, str]) -> Listed | None:
        """Who voted for an item, or follows it; None where there is no such item."""
        item = self._item(number)
        if item is None:
            return None
        wanted = query.get("filter", "upvote")
        ways: list[tuple[int, int, int]] = []
        if wanted == "upvote" or wanted == "all":
            ways += [(at, 1, voter) for voter, at in item.up.items()]
        if wanted == "downvote" or (wanted == "all" and self._variant.votes != "only_up"):
            ways += [(at, -1, voter) for voter, at in item.down.items()]
        if wanted == "subscribe" or (wanted == "all" and self._variant.votes == "with_subscribers"):
            ways += [(at, 0, follower) for follower, at in item.followers.items()]
        return Listed(sorted(ways), self._vote)

    def _vote(self, cast: tuple[int, int, int]) -> Row:
        at, way, number = cast
        person = self._scene.people.everybody[number - FIRST_USER]
        row: Row = {"created": self._scene.stamp(at), "user": person.card}
        if way:
            row["vote"] = way
            if self._variant.voterless and at % 5 == 0:
                del row["user"]
        return self._dated(row)

    def users(self, query: dict[str, str]) -> Listed:
        """Everybody who was not deleted."""
        people = [person for person in self._scene.people.everybody if not person.gone]
        if query.get("sort") == "updated":
            people.sort(key=lambda person: person.updated, reverse=query.get("sort_dir") == "DESC")
        return Listed(people, lambda person: self._dated(person.full()))

    def updates(self, _query: dict[str, str]) -> Listed:
        """The changelog."""
        more = {"enabled": True, "queue": False, "notify": True, "reactions": {}, "stats": {}}
        return Listed(
            self._traffic.releasing.entries,
            lambda entry: self._dated({**entry, "description_html": entry["description"], **more}),
        )

    def satisfaction(self, query: dict[str, str]) -> Listed:
        """The answers that no newer one of the same person replaced within thirty days."""
        newest: dict[int, int] = {}
        standing: list[tuple[Account, Row]] = []
        for at, person, answer in reversed(self._traffic.answering.answers):
            if newest.get(person.number, at + 2 * _REPLACED_SECONDS) - at < _REPLACED_SECONDS:
                continue
            newest[person.number] = at
            if answer["updated"] >= query.get("date_start", ""):
                standing.append((person, answer))
        return Listed(standing[::-1], self._answer)

    def _answer(self, given: tuple[Account, Row]) -> Row:
        person, answer = given
        row = {name: value for name, value in answer.items() if name not in ("data", "user_id")}
        return self._dated({**row, "data_record": answer["data"], "user": person.card})

    def promoter(self, _query: dict[str, str]) -> Listed:
        """Nobody was asked."""
        return Listed([], self._dated)

    def _dated(self, row: Row) -> Row:
        """The row with its dates in the variant's zone, or none that can be read."""
        variant = self._variant
        if not variant.zone_minutes and not variant.undated:
            return row
        shift = timedelta(minutes=variant.zone_minutes)
        spelled: Callable[[str], str] = lambda text: str(datetime.fromisoformat(text) + shift)  # noqa: E731
        if variant.undated:
            spelled = lambda text: f"around {text[:4]}"  # noqa: E731
        return {name: spelled(value) if name in _DATES else value for name, value in row.items()}
