"""Reads root fields: one statement each, all root fields of an operation at one position."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import asyncpg

from projections.read_model import ReadAt, Reader
from projections.replicas import Replica
from schema.answer.writer import certain, raw
from schema.context import Context
from schema.declare.request import Args, Env, Values
from schema.declare.source import Page, spec_of
from schema.ids import FirstPage, first_page_of, product_number, product_of
from schema.objects.calendar import STEPS_MAX
from schema.objects.values import parse_json
from schema.plan.kept import Planner
from schema.plan.planner import Plan
from schema.plan.selection import Selected
from schema.resume import ResumePoint, cursor_given, marked
from service.errors import (
    AnotherLog,
    BadArgument,
    MissingScope,
    NotYetProjected,
    PositionAhead,
    ReadModelChanging,
)
from service.labels import Labels
from service.log.database import POSTGRES_FAILURES, may_pass
from service.log.hub import Hub

MIN_POSITION_WAIT_SECONDS: Final = 5.0
# What the block `buckets` makes Postgres say.
_TOO_MANY_STEPS: Final = re.compile(r'"too many steps of a ([a-z]+): [0-9]+"')


LOOK_AGAIN_SECONDS: Final = 0.02


class Reads(Protocol):
    """Where statements run: the reader, or one snapshot of it."""

    async def value(self, sql: str, *args: Any) -> tuple[Any, ReadAt]:
        """Return the `answer` of a statement of one row, and where in the log it was read."""

    async def recorded_at(self, position: int) -> datetime | None:
        """Return when the event at a position was recorded; None where there is none."""


class _Behind(Exception):
    """What was read does not hold a position that was asked for."""

    def __init__(self, position: int) -> None:
        self.position = position


@dataclass(frozen=True, slots=True)
class Read:
    """What a plan's statement answered, and what that is written with."""

    plan: Plan
    rows: Any
    env: Env

    def certain(self) -> Any:
        """Return what the response holds; raises whatever stands in the way."""
        return certain(self.plan)(self.rows, self.env)

    def raw(self) -> Any:
        """Return what graphql-core completes, or the error that it tells."""
        try:
            return raw(self.plan)(self.rows, self.env)
        except Exception as error:
            return error


async def read_roots(
    planner: Planner, roots: Sequence[Selected], context: Context
) -> dict[str, Read | Exception]:
    """Return what the statements of an operation's root fields answer, or fail with, by response key.

    Several run in one snapshot, and so at one position.
    """
    reading = _Reading(planner, roots, context)
    try:
        await reading.wherever_it_is()
    except Exception as error:
        for root in roots:
            reading.found.setdefault(root.key, error)
    return reading.found


class _Reading:
    """The root fields of an operation, and what was `found` of each."""

    def __init__(self, planner: Planner, roots: Sequence[Selected], context: Context) -> None:
        self._planner, self._roots, self._context = planner, roots, context
        self.found: dict[str, Read | Exception] = {}

    async def wherever_it_is(self) -> None:
        """Read where all that is asked for is: a replica that has it, else the primary, else any replica.

        Raises NotYetProjected.
        """
        replicas = self._context.services.replicas
        if replicas is None:
            return await self._at_primary()
        named = [place.position for root in self._roots for place in _moments(root.arguments())]
        needed = max((_least(self._roots), *named))
        replica = replicas.holding(needed)
        if replica is not None and await self._at_replica(replica, needed):
            return None
        try:
            await self._at_primary()
        except POSTGRES_FAILURES as error:
            replica = replicas.instead() if may_pass(error) else None
            if replica is None or not await self._at_replica(replica, needed):
                raise

    async def _at_replica(self, replica: Replica, needed: int) -> bool:
        """Read at a replica; return whether it had all."""
        with contextlib.suppress(_Behind, ReadModelChanging, *POSTGRES_FAILURES):
            async with replica.reading() as reader:
                await self._at(reader, needed)
            return True
        self.found.clear()
        return False

    async def _at_primary(self) -> None:
        """Read in a snapshot that holds all that `minPosition` and cursors name; raises NotYetProjected.

        What the hub says is a hint: of a Postgres that crashed, or that has just taken over, it is ahead.
        """
        wanted, hub = _least(self._roots), self._context.services.hub
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MIN_POSITION_WAIT_SECONDS
        if wanted > hub.value("projected"):
            await _refuse_beyond_end(self._roots, self._context)
        while True:
            await _wait_for(wanted, hub, deadline)
            try:
                return await self._at(self._context.services.reader, wanted)
            except _Behind as behind:
                await _refuse_beyond_end(self._roots, self._context)
                if loop.time() >= deadline:
                    raise NotYetProjected(wanted, behind.position, MIN_POSITION_WAIT_SECONDS) from None
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _at(self, reader: Reader, wanted: int) -> None:
        """Read all at one position. Raises _Behind where it is not as far as `wanted`."""
        if len(self._roots) == 1:
            root = self._roots[0]
            self.found[root.key] = await read(self._planner, root, self._context, reader, wanted)
            return
        async with reader.snapshot() as snapshot:
            if snapshot.position < wanted:
                raise _Behind(snapshot.position)
            for root in self._roots:
                try:
                    self.found[root.key] = await read(self._planner, root, self._context, snapshot)
                except asyncpg.PostgresError:
                    raise
                except Exception as error:
                    self.found[root.key] = error


async def read(planner: Planner, root: Selected, context: Context, reads: Reads, wanted: int = 0) -> Read:
    """Return what a root field's statement answers, not yet written. Raises _Behind before `wanted`."""
    _check_product(root, context)
    pin = _pin(root)
    # The pages after the first are read as of its position; while that still is the newest, the current
    # tables say the same for less.
    pinned = pin is not None and context.services.hub.value("projected") != pin.place.position
    while True:
        plan = planner.plan(root, context, pinned=pinned)
        _check_scopes(plan, context)
        request = _request(root, context, pinned=pin)
        text, at = await _value(reads, plan, request)
        if at.position < wanted:
            raise _Behind(at.position)
        if pin is None or pinned or at.position == pin.place.position:
            break
        pinned = True
    read_at = context.read_at = marked(*at)
    for asked in (*([pin.place] if pin else ()), *_moments(request.args)):
        await _check_held(asked, reads, read_at)
    first_page = pin or FirstPage(read_at, request.now)
    return Read(plan, parse_json(text), Env(context.services.labels, request.args, first_page))


def _pin(root: Selected) -> FirstPage | None:
    """Return where and when the first page of a list was read, at which all its pages are."""
    spec = spec_of(root.definition)
    return first_page_of(root.args) if isinstance(spec, Page) and spec.pinned else None


def _moments(args: Sequence[Args]) -> Iterator[ResumePoint]:
    """Give the places that moments among the arguments of a field, and of those below it, name."""
    for node_args in args:
        # Objects are coerced to dicts; asking for a Mapping takes five times as long (0.44 against 0.09 µs).
        for moment in map(node_args.get, ("asOf", "from", "to")):
            if isinstance(moment, dict):
                if (position := moment.get("position")) is not None:
                    yield ResumePoint(position)
                if (cursor := moment.get("cursor")) is not None:
                    yield cursor_given("cursor", cursor)


async def _check_held(asked: ResumePoint, reads: Reads, read_at: ResumePoint) -> None:
    """Raise AnotherLog where the log that was read holds another event there, PositionAhead before it."""
    if asked.mark is not None:
        held = read_at
        if asked.position != read_at.position:
            held = marked(asked.position, await reads.recorded_at(asked.position))
        if asked.mark != held.mark:
            raise AnotherLog(str(asked))
    if asked.position > read_at.position:
        raise PositionAhead(asked.position, read_at.position)


async def load(
    planner: Planner, root: Selected, context: Context, positions: Sequence[int]
) -> list[tuple[int, Read]]:
    """Return what a subscription's field answers at positions, in one statement; none for unseen ones.

    Raises NotYetProjected where the read model does not hold them: they were read of a Postgres that has
    since crashed or been succeeded, and are counted in again. Passed over here, they would never be sent.
    What the arguments name that there is not, below the field as well, is refused as in a query.
    """
    plan = planner.plan(root, context, pinned=False)
    _check_scopes(plan, context)
    request = _request(root, context, positions=positions)
    text, at = await _value(context.services.reader, plan, request)
    if at.position < max(positions):
        raise NotYetProjected(max(positions), at.position, 0)
    env = Env(context.services.labels, request.args, FirstPage(ResumePoint(at.position), request.now))
    for asked in _moments(request.args):
        await _check_held(asked, context.services.reader, marked(*at))
    answers: Any = parse_json(text)
    return [(position, Read(plan, row, env)) for position, row in answers]


def _request(
    root: Selected,
    context: Context,
    *,
    pinned: FirstPage | None = None,
    positions: Sequence[int] = (),
) -> Values:
    return Values(
        args=root.arguments(),
        now=context.now() if pinned is None else pinned.now,
        products=context.product_ids,
        labels=context.services.labels,
        pinned=None if pinned is None else pinned.place.position,
        positions=positions,
        elsewhere=list(context.elsewhere),
    )


def _bound(plan: Plan, request: Values) -> list[object]:
    """Return the parameters of a plan's statement. Raises what is wrong with the arguments' values."""
    return [bind(request) for bind in plan.binders]


async def _value(reads: Reads, plan: Plan, request: Values) -> tuple[str, ReadAt]:
    values = _bound(plan, request)
    try:
        return await reads.value(plan.sql, *values)
    except asyncpg.InvalidParameterValueError as error:
        if "time zone" in str(error):
            zone = str(error).partition('"')[2].partition('"')[0]
            raise BadArgument(
                "timeZone", repr(zone), "is unknown; write UTC or a name like Europe/Zurich"
            ) from None
        raise
    except (asyncpg.InvalidTextRepresentationError, asyncpg.InvalidDatetimeFormatError) as error:
        if found := _TOO_MANY_STEPS.search(str(error)):
            raise BadArgument(
                "bucket",
                found[1].upper(),
                f"makes more than {STEPS_MAX:,} steps of this window; "
                "ask for a shorter window, or for longer steps",
            ) from None
        raise
    except (asyncpg.DatetimeFieldOverflowError, asyncpg.IntervalFieldOverflowError):
        raise BadArgument("window", "what it spans", "reaches beyond any calendar; ask for less") from None
    except asyncpg.CharacterNotInRepertoireError:
        raise BadArgument("an argument", r"\u0000", "can be in no text here; leave it out") from None


def _least(roots: Sequence[Selected]) -> int:
    """Return the position that what is read has to hold: of `minPosition` and the cursors of pages."""
    named = [root.args.get("minPosition") or 0 for root in roots]
    return max((*named, *(pin.place.position for pin in filter(None, map(_pin, roots)))), default=0)


async def _refuse_beyond_end(roots: Sequence[Selected], context: Context) -> None:
    """Raise AnotherLog for the cursor of a page of beyond the log's end, which nobody need wait for.

    Only the log can tell: where it went back, the hub may not have heard of that.
    """
    for pin in filter(None, map(_pin, roots)):
        if pin.place.position > await context.services.store.head():
            raise AnotherLog(str(pin.place))


async def _wait_for(wanted: int, hub: Hub, deadline: float) -> None:
    """Wait until the hub has heard that a position is projected. Raises NotYetProjected."""
    reached = hub.value("projected")
    while reached < wanted:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise NotYetProjected(wanted, reached, MIN_POSITION_WAIT_SECONDS)
        reached = await hub.wait_beyond("projected", reached, left)


def _check_product(root: Selected, context: Context) -> None:
    """Raise ForeignProduct, ProductElsewhere for what is named, or is all that the caller may see."""
    if root.args.get("productId") is not None:
        context.check_product(product_number(root.args["productId"]))
    if not context.elsewhere:
        return
    if context.caller.products and not context.product_ids:
        context.check_product(min(context.caller.products))
    if root.args.get("id") is not None:
        product = product_of(root.args["id"])
        if product is not None and context.caller.sees(product):
            context.check_product(product)


def check(planner: Planner, root: Selected, context: Context) -> None:
    """Raise what a root field is refused with before anything is read: MissingScope, BadArgument, BadId."""
    plan = planner.plan(root, context, pinned=False)
    _check_scopes(plan, context)
    # Only its arguments can be wrong; what else its parameters are bound from is no matter.
    _bound(plan, Values(root.arguments(), datetime.now(UTC), None, Labels(None, {})))


def _check_scopes(plan: Plan, context: Context) -> None:
    """Raise MissingScope where the caller may not see what a plan reads."""
    for field, scope in plan.scopes:
        if not context.caller.may(scope):
            raise MissingScope(field, scope)
