"""The projections: which there are, which tables each has, and which must be rebuilt together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from projections import tables as built_in_tables
from service.errors import ProjectionUnusable, UnknownProjection
from service.sql_files import load

ENTRY_POINTS: Final = "recount.projections"

_TABLE: Final = re.compile(r"\b(?i:create\s+table(?:\s+if\s+not\s+exists)?)\s*\{([a-z_]+)\}")
_COLUMNS: Final = re.compile(_TABLE.pattern + "([^;]*)")
_VIEW: Final = re.compile(r"\b(?i:create\s+view)\s*\{([a-z_]+)\}")
_COVERED: Final = re.compile(r"\bcreate index on \{([a-z_]+)\}[^;]*\binclude\b")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
# With digits {items_7} would be a generation of ours: such a name is looked for only to be refused.
_PLACE_MEANT: Final = re.compile(r"\{([^\W\d]\w*)\}")
_COUNTING: Final = re.compile(r"tables|keys|indexes|lookups|(apply|settle)\..*")
_KINDS: Final = ("tables", "keys", "indexes", "lookups", "apply", "settle")
_RUN: Final = "what is run is named tables, keys, indexes, lookups, apply.… or settle.…"
_NO_PLACE: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*")

STAGING: Final = load(built_in_tables.__file__, "staging.sql")
SCHEMA: Final = load(__file__, "schema.sql")


@dataclass(frozen=True)
class Projection:
    """Tables that are counted from the log by the statements of one .sql file.

    `statements` are the file's: `tables`, and views of them; `keys` (indexes that a step needs while a
    rebuild loads), `indexes` and `lookups` (of tables that `settle.…` writes, for reads alone: made last);
    `apply.…` (run for each step, in the file's order) and `settle.…` (after all `apply.…` of the step,
    or once after a rebuild has loaded: they may lean on the indexes, and must come to the same whether run
    step by step or over all steps at once). In them `{name}` stands for a table or view, both `relations`.
    """

    name: str
    statements: Mapping[str, str]
    built_in: bool = False
    tables: tuple[str, ...] = field(init=False)
    relations: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        made = self.statements.get("tables", "")
        object.__setattr__(self, "tables", tuple(_TABLE.findall(made)))
        object.__setattr__(self, "relations", (*self.tables, *_VIEW.findall(made)))

    @property
    def applies(self) -> tuple[str, ...]:
        """The statements that every step runs."""
        return tuple(text for name, text in self.statements.items() if name.startswith("apply."))

    @property
    def settles(self) -> tuple[str, ...]:
        """The statements that follow those of all projections, with every index at hand."""
        return tuple(text for name, text in self.statements.items() if name.startswith("settle."))

    @property
    def covered(self) -> tuple[str, ...]:
        """The tables that are read from an index alone: where vacuum has seen that all rows are visible."""
        return tuple(dict.fromkeys(_COVERED.findall(self.statements.get("indexes", ""))))

    @property
    def fingerprint(self) -> str:
        """What the tables depend on: this file, and what all projections share."""
        digest = hashlib.sha256()
        for statements in (self.statements, STAGING, {"functions": SCHEMA["functions"]}):
            for name, text in statements.items():
                digest.update(f"{name}\0{text}\0".encode())
        return digest.hexdigest()[:16]


def from_file(module_file: str, name: str, *, built_in: bool = False) -> Projection:
    """Return the projection of the file `<name>.sql` beside a module (pass its `__file__`)."""
    return Projection(name, load(module_file, f"{name}.sql"), built_in)


BUILT_IN: Final[tuple[Projection, ...]] = tuple(
    from_file(built_in_tables.__file__, name, built_in=True)
    for name in (
        "votes",
        "items",
        "users",
        "comments",
        "subscriptions",
        "changelog",
        "satisfaction",
        "events",
        "inferences",
    )
)


@cache
def plugins() -> tuple[Projection, ...]:
    """The projections that other installed packages offer under the entry point `recount.projections`.

    Raises ProjectionUnusable, in words: nothing of ours may be taken for theirs, or the other way round.
    """
    found: list[Projection] = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            offered = point.load()
            offered = offered() if callable(offered) else offered
        except Exception as error:
            raise ProjectionUnusable(
                point.value, f"cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if problem := _problem(offered, (*BUILT_IN, *found)):
            raise ProjectionUnusable(point.value, problem)
        found.append(offered)
    return tuple(found)


def _problem(offered: object, others: Sequence[Projection]) -> str | None:
    """Say what keeps something that was offered from being a projection beside the others."""
    if not isinstance(offered, Projection):
        return (
            f"is no projection but a value of the type {type(offered).__name__}: give what from_file returns"
        )
    if offered.name in {other.name for other in others}:
        return f"has the name of another, {offered.name!r}: choose one of its own"
    if not offered.tables:
        return (
            "has no tables: its .sql needs `-- name: tables`, with `create table {name} (…)`, "
            "the name in small letters and `_`"
        )
    taken = {relation: other.name for other in others for relation in other.relations} | dict.fromkeys(
        STAGING, "every step"
    )
    for relation in offered.relations:
        if relation in taken:
            return f"makes {{{relation}}}, which {taken[relation]!r} has: choose a name of its own"
    for table, columns in _COLUMNS.findall(offered.statements["tables"]):
        if not re.search(r"\bproduct_id\b", columns):
            return f"makes {{{table}}} without a column product_id: one product could not be counted again"
    places = ("hot", *offered.relations)
    for name, text in offered.statements.items():
        if _COUNTING.fullmatch(name):
            for place in _PLACE_MEANT.findall(_NO_PLACE.sub("", text)):
                if place not in places:
                    there = ", ".join(f"{{{each}}}" for each in places)
                    return (
                        f"reads {{{place}}} in its statement `{name}`, which is no place that it has; "
                        f"there are {there}: others' tables may be of another position, "
                        "and a name has small letters and `_` alone"
                    )
        elif get_close_matches(name.partition(".")[0].lower(), _KINDS, cutoff=0.8):
            return f"has a statement `{name}`, which nothing would run; {_RUN}"
    if not (offered.applies or offered.settles):
        return f"counts nothing; {_RUN}"
    return None


def all_projections() -> tuple[Projection, ...]:
    """The built-in projections and those of plugins."""
    return (*BUILT_IN, *plugins())


def staging_of(projections: Iterable[Projection]) -> tuple[str, ...]:
    """The step's tables that these projections read, in the order in which they can be filled."""
    mentioned = {"hot"}
    waiting = [text for projection in projections for text in projection.applies]
    while waiting:
        for place in _PLACE.findall(waiting.pop()):
            if place in STAGING and place not in mentioned:
                mentioned.add(place)
                waiting.append(STAGING[place])
    return tuple(name for name in STAGING if name in mentioned)


def together(
    names: Iterable[str], projections: Iterable[Projection], *, settled: bool = True
) -> tuple[Projection, ...]:
    """The named projections and those whose tables their steps read: these are rebuilt together.

    Without `settled`, those that the `apply.…` statements alone read. Raises UnknownProjection.
    """
    known = {projection.name: projection for projection in projections}
    owner = {name: projection.name for projection in known.values() for name in projection.relations}
    chosen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise UnknownProjection(name, sorted(known))
        if name in chosen:
            continue
        chosen.add(name)
        projection = known[name]
        texts = [
            *projection.applies,
            *(projection.settles if settled else ()),
            *(STAGING[name] for name in staging_of([projection])),
        ]
        waiting.extend(owner[place] for text in texts for place in _PLACE.findall(text) if place in owner)
    return tuple(projection for projection in known.values() if projection.name in chosen)


def fill(sql: str, names: Mapping[str, str]) -> str:
    """Put the tables' own names in place of `{name}`; braces round anything else stay."""
    return _PLACE.sub(lambda place: names.get(place[1], place[0]), sql)
