"""Reads root fields: one statement each, all root fields of an operation at one position."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import asyncpg

from schema.answer.writer import certain, raw
from schema.context import Context
from schema.declare.request import Env, Values
from schema.declare.source import Page, spec_of
from schema.ids import decode_cursor_position, product_number
from schema.objects.values import parse_json
from schema.plan.kept import Planner
from schema.plan.planner import Plan
from schema.plan.selection import Selected
from service.errors import BadArgument, ForeignProduct, MissingScope, NotYetProjected, PositionAhead

MIN_POSITION_WAIT_SECONDS: Final = 5.0
STEPS_MAX: Final = 10_000
# What the block `buckets` makes Postgres say.
_TOO_MANY_STEPS: Final = re.compile(r'"too many steps of a ([a-z]+): [0-9]+"')


class Reads(Protocol):
    """Where statements run: the reader, or one snapshot of it."""

    async def value(self, sql: str, *args: Any) -> tuple[Any, int]:
        """Return the `answer` of a statement of one row, and the position it was read at."""


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
    found: dict[str, Read | Exception] = {}
    try:
        await _wait_for(roots, context)
        if len(roots) == 1:
            found[roots[0].key] = await read(planner, roots[0], context, context.services.reader)
            return found
        async with context.services.reader.snapshot() as snapshot:
            for root in roots:
                try:
                    found[root.key] = await read(planner, root, context, snapshot)
                except asyncpg.PostgresError:
                    raise
                except Exception as error:
                    found[root.key] = error
    except Exception as error:
        for root in roots:
            found.setdefault(root.key, error)
    return found


async def read(planner: Planner, root: Selected, context: Context, reads: Reads) -> Read:
    """Return what a root field's statement answers, not yet written."""
    _check_product(root, context)
    spec = spec_of(root.definition)
    pin = decode_cursor_position(root.args) if isinstance(spec, Page) and spec.pinned else None
    # The pages after the first are read as of its position; while that still is the newest, the current
    # tables say the same for less.
    pinned = pin is not None and context.services.hub.value("projected") != pin
    while True:
        plan = planner.plan(root, context, pinned=pinned)
        check_scopes(plan, context)
        request = _request(root, context, pinned=pin)
        text, position = await _value(reads, plan, request)
        if pin is None or pinned or position == pin:
            break
        pinned = True
    context.position = position
    for node_args in request.args:
        # Objects are coerced to dicts; asking for a Mapping takes five times as long (0.44 against 0.09 µs).
        for moment in map(node_args.get, ("asOf", "from", "to")):
            asked = moment.get("position") if isinstance(moment, dict) else None
            if asked is not None and asked > position:
                raise PositionAhead(asked, position)
    return Read(plan, parse_json(text), Env(context.services.labels, request.args, position, pin))


async def load(
    planner: Planner, root: Selected, context: Context, positions: Sequence[int]
) -> list[tuple[int, Read]]:
    """Return what a subscription's field answers at positions, in one statement; none for unseen ones."""
    plan = planner.plan(root, context, pinned=False)
    check_scopes(plan, context)
    request = _request(root, context, positions=positions)
    text, position = await _value(context.services.reader, plan, request)
    env = Env(context.services.labels, request.args, position, None)
    answers: Any = parse_json(text)
    return [(position, Read(plan, row, env)) for position, row in answers]


def _request(
    root: Selected,
    context: Context,
    *,
    pinned: int | None = None,
    positions: Sequence[int] = (),
) -> Values:
    return Values(
        args=root.arguments(),
        now=context.now(),
        products=context.caller.product_ids,
        labels=context.services.labels,
        pinned=pinned,
        positions=positions,
    )


async def _value(reads: Reads, plan: Plan, request: Values) -> tuple[str, int]:
    values = [bind(request) for bind in plan.binders]
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
    except (asyncpg.DatetimeFieldOverflowError, asyncpg.IntervalFieldOverflowError) as error:
        raise BadArgument("window", str(error), "reaches beyond any calendar; ask for less") from None
    except asyncpg.CharacterNotInRepertoireError:
        raise BadArgument("an argument", r"\u0000", "can be in no text here; leave it out") from None


async def _wait_for(roots: Sequence[Selected], context: Context) -> None:
    wanted = max((root.args.get("minPosition") or 0 for root in roots), default=0)
    hub = context.services.hub
    if wanted <= hub.value("projected"):
        return
    deadline = asyncio.get_running_loop().time() + MIN_POSITION_WAIT_SECONDS
    reached = hub.value("projected")
    while reached < wanted:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise NotYetProjected(wanted, reached, MIN_POSITION_WAIT_SECONDS)
        reached = await hub.wait_beyond("projected", reached, left)


def _check_product(root: Selected, context: Context) -> None:
    if root.args.get("productId") is not None:
        product = product_number(root.args["productId"])
        if not context.caller.sees(product):
            raise ForeignProduct(product)


def check_scopes(plan: Plan, context: Context) -> None:
    """Raise MissingScope where the caller may not see what a plan reads."""
    for field, scope in plan.scopes:
        if not context.caller.may(scope):
            raise MissingScope(field, scope)
