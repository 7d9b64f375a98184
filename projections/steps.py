"""Applies steps of the log to one set of tables: the one form of counting, live and in a rebuild."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import asyncpg

from projections.catalogue import STAGING, Projection, fill, staging_of
from service.errors import RecountError
from service.log.database import Connection, PooledConnection
from service.sql_files import load

AnyConnection: TypeAlias = "Connection | PooledConnection"

# Up to so many events, planning forty statements takes longer than running them.
SHORT_STEP_EVENTS_MAX: Final = 200

# For short steps: plans are kept, and probe an index for each row whatever the tables' sizes were at first.
_SHORT_SETTINGS: Final = (
    "set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off"
)
# Parsing our own statements once more than running them does takes as long as a step.
_UNCHECKED: Final = "set local check_function_bodies = off; "
# What a short step staged is a variable of its function: emptying four temporary tables costs a millisecond.
_VARIABLES: Final = {name: f"unnest(step_{name})" for name in STAGING}
_ONLY: Final = re.compile(r"^-- only (with|if): *(.+)$", re.MULTILINE)
_WORDS: Final = load(__file__, "words.sql")
_COMMENT: Final = re.compile(r"^ *--.*\n?", re.MULTILINE)
_TEMPORARY: Final = {name: f"pg_temp.step_{name}" for name in STAGING}

_sql = load(__file__, "steps.sql")

COUNTED: Final = _sql["counted"]
"""Which events are counted at all."""


def group_of(projections: Sequence[Projection]) -> str:
    """What the steps of these projections are parked under: '*' for the built-in ones."""
    return "*" if projections[0].built_in else projections[0].name


def groups_of(projections: Iterable[Projection]) -> list[Sequence[Projection]]:
    """Part projections into those that move in one transaction: the built-in ones, each other by itself."""
    known = tuple(projections)
    built_in = [projection for projection in known if projection.built_in]
    others = [[projection] for projection in known if not projection.built_in]
    return [group for group in (built_in, *others) if group]


def tables_of(projections: Iterable[Projection], generation: int) -> dict[str, str]:
    """The own names of tables and views in a generation."""
    return {
        name: f"read_model.{name}_{generation}" for projection in projections for name in projection.relations
    }


async def create_tables(
    connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
) -> None:
    """Make the tables, with the indexes that a step needs and without the others."""
    for projection in projections:
        await connection.execute(fill(projection.statements["tables"], names))
        if "keys" in projection.statements:
            await connection.execute(fill(projection.statements["keys"], names))


async def create_indexes(
    connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
) -> None:
    """Make the indexes that `settle` statements need, and those of tables that these do not write."""
    for projection in projections:
        if "indexes" in projection.statements:
            await connection.execute(fill(projection.statements["indexes"], names))


async def create_lookups(
    connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
) -> None:
    """Make the indexes that only reads need, of tables that `settle` statements write."""
    for projection in projections:
        if "lookups" in projection.statements:
            await connection.execute(fill(projection.statements["lookups"], names))


async def drop_tables(connection: AnyConnection, tables: Iterable[str]) -> None:
    """Drop tables and views by their own names, those that are there."""
    for row in await connection.fetch(_sql["there"], list(tables)):
        await connection.execute(f"drop {row['kind']} if exists {row['name']}")


async def run(connection: AnyConnection, statement: str, first: int, last: int) -> None:
    """Run a statement of a step, with as many of its two parameters as it names.

    Not where its `-- only if: …` asks for what is not there: over a whole log, looking in vain takes long.
    """
    for kind, asked in _ONLY.findall(statement):
        if kind == "if" and not await connection.fetchval(between(f"select {asked}", first, last)):
            return
    if "$2" in statement:
        await connection.fetch(statement, first, last)
    elif "$1" in statement:
        await connection.fetch(statement, first)
    else:
        await connection.fetch(statement)


def between(sql: str, first: int, last: int) -> str:
    """Write the two positions into a statement that takes no parameters (`create table … as`)."""
    return sql.replace("$1", str(first)).replace("$2", str(last)).rstrip(" ;\n")


def _guarded(statement: str) -> str:
    """A statement of a function's body, run only where its comments say that there is something to do.

    `-- only with: vote, late post` names words of words.sql, `-- only if:` is an expression, which is asked
    after it. Most steps are about one thing.
    """
    text = statement.rstrip(" ;\n") + ";"
    for kind, asked in reversed(_ONLY.findall(statement)):
        condition = asked if kind == "if" else f"words && array{words_of(asked)}"
        text = f"if {condition} then\n{text}\nend if;"
    return text


def words_of(asked: str) -> list[str]:
    """The words of `-- only with: …`."""
    return [word.strip() for word in asked.split(",")]


def is_data_error(error: asyncpg.PostgresError) -> bool:
    """Whether Postgres complains of what an event says, not of itself.

    By the class of its SQLSTATE: cardinality, data, integrity, limits of the program, and what a function
    raises. Everything else passes, or is mended, with time.
    """
    return str(error.sqlstate or "")[:2] in ("21", "22", "23", "54", "P0")


def is_lasting(error: asyncpg.PostgresError) -> bool:
    """Whether it will be so again: it is of what an event says, or of the statement (class 42)."""
    return is_data_error(error) or str(error.sqlstate or "").startswith("42")


def said_by(error: asyncpg.PostgresError) -> str:
    """What Postgres says, without the row that it quotes: that is what somebody wrote."""
    return f"{type(error).__name__}: {error.as_dict().get('message', '')}"


def failure_of(error: BaseException) -> str:
    """What may be shown of it to everybody: nothing that an event says, which Postgres may quote."""
    if isinstance(error, asyncpg.PostgresError) and not is_data_error(error):
        return said_by(error)
    return str(error) if isinstance(error, RecountError) else type(error).__name__


async def first_refused(low: int, high: int, takes: Callable[[int, int], Awaitable[bool]]) -> int | None:
    """The first position of (low, high] that `takes(first, last)` refuses, by halving; None for none.

    What it took stays taken: it is then asked for what follows.
    """
    while high - low > 1:
        middle = (low + high) // 2
        if await takes(low, middle):
            low = middle
        else:
            high = middle
    return high if low < high and not await takes(low, high) else None


class LiveSteps:
    """Steps that follow the log, staged in variables where they are short, else in temporary tables.

    One for a connection and a set of tables. A step is one call of a function of this connection: sent one by
    one, its forty statements take 45 ms more on a busy machine. Short steps keep their plans until the log is
    twice as long as it was when they were made.
    """

    def __init__(
        self, connection: AnyConnection, projections: Sequence[Projection], names: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._names = {**names, "group": group_of(projections), "only": COUNTED}
        self._staging = staging_of(projections)
        self._counting = [text for projection in projections for text in projection.applies]
        self._counting += [text for projection in projections for text in projection.settles]
        self.short = ""
        self._plans_hold_until = 0

    async def open(self) -> None:
        """Make the temporary tables, emptied at each commit, unless another group's steps made them here."""
        names = {**self._names, **_TEMPORARY}
        for name in self._staging:
            empty = between(fill(STAGING[name], names), 0, 0)
            await self._connection.execute(
                f"create temporary table if not exists step_{name} on commit delete rows "
                f"as {empty} with no data"
            )
        self.short = await self._function("short_step", _VARIABLES, _into_variable, _SHORT_SETTINGS)

    async def _function(
        self, name: str, places: Mapping[str, str], stage: Callable[[str], str], settings: str
    ) -> str:
        """Return the name of a function for steps whose staged rows are at `places`.

        It is declared where the connection has no such function yet, which takes as long as some steps.
        """
        statements = [stage(name) for name in self._staging]
        statements.append(_words(self._staging))
        filled = [fill(text, {**self._names, **places}) for text in (*statements, *self._counting)]
        body = "\n".join(map(_guarded, filled))
        function = f"pg_temp.{name}_{blake2b(body.encode(), digest_size=8).hexdigest()}"
        if await self._connection.fetchval(_sql["declared"], f"{function}(bigint, bigint)"):
            return function
        variables = " ".join(f"step_{name} {_TEMPORARY[name]}[];" for name in self._staging)
        unchecked = _UNCHECKED if self._names["group"] == "*" else ""
        await self._connection.execute(
            f"{unchecked}create or replace function {function}(bigint, bigint) returns void language plpgsql "
            f"{settings} as $step$ declare words text[]; {variables}\nbegin\n{body}\nend $step$"
        )
        return function

    async def apply(self, first: int, last: int) -> None:
        """Count the events of (first, last] in; inside the caller's transaction."""
        if last - first <= SHORT_STEP_EVENTS_MAX:
            await self.renew_plans(last)
            function = self.short
        else:  # asked for each time: one that was declared in a transaction that failed is not there
            function = await self._function("long_step", _TEMPORARY, _into_table, "")
        await self._connection.execute(f"select {function}($1, $2)", first, last)

    async def renew_plans(self, position: int) -> None:
        """Plan short steps anew where the log is twice as long as it was when they were planned."""
        if position >= self._plans_hold_until:
            await self._connection.execute("discard plans")
            self._plans_hold_until = max(2 * position, 1)


def _into_variable(name: str) -> str:
    rows = _COMMENT.sub("", STAGING[name]).rstrip(" ;\n")
    return f"step_{name} := array(select row(s.*)::{_TEMPORARY[name]} from (\n{rows}\n) s)"


def _words(staging: Iterable[str]) -> str:
    said = "\nunion\n".join(_COMMENT.sub("", _WORDS[name]).rstrip(" ;\n") for name in staging)
    return f"words := array(\n{said}\n)"


def _into_table(name: str) -> str:
    return f"insert into {_TEMPORARY[name]} {STAGING[name]}"
