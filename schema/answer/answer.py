"""Runs the plan of a root field: one statement, all root fields of an operation at one position."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import asyncpg

from schema.context import Context, Info
from schema.declare.source import ByPosition, Diff, Lookup, Nodes, Page, Rows, Single
from schema.ids import GlobalId, decode_cursor_position, decode_id
from schema.objects.values import parse_json
from schema.plan.by_position import by_position
from schema.plan.layout import FoundLayout, laid_out
from schema.plan.planner import (
    Binder,
    Builder,
    Env,
    Moment,
    Plan,
    Request,
    Scope,
    Types,
    columns_of,
    product_number,
)
from schema.plan.selection import Selected, selected, selected_roots
from service.errors import (
    AmbiguousItem,
    BadArgument,
    BadId,
    ForeignProduct,
    MissingScope,
    NotYetProjected,
    PositionAhead,
)

T = TypeVar("T")

PLANS_MAX: Final = 1_000
_PLACEHOLDER: Final = re.compile(r"\$([0-9]+)")
MIN_POSITION_WAIT_SECONDS: Final = 5.0
STEPS_MAX: Final = 10_000
# What the block `buckets` makes Postgres say.
_TOO_MANY_STEPS: Final = re.compile(r'"too many steps of a ([a-z]+): [0-9]+"')
READ: Final = "read"
"""The key in an operation's memo under which stands what the fast path read before it gave up."""


class Reads(Protocol):
    """Where statements run: the reader, or one snapshot of it."""

    async def value(self, sql: str, *args: Any) -> tuple[Any, int]:
        """Return the `answer` of a statement of one row, and the position it was read at."""


@dataclass(frozen=True, slots=True)
class Read:
    """A statement's answer as it came, and what makes something of it."""

    plan: Plan
    text: str
    env: Env

    def value(self) -> Any:
        """Return the answer decoded from JSON: rows of rows."""
        return parse_json(self.text)

    def objects(self) -> Any:
        """Return the objects that the executor completes."""
        return self.plan.decode(self.value(), self.env)


class Planner:
    """Makes and keeps plans."""

    def __init__(self, types: Types) -> None:
        self.types: Final = types
        self._plans: OrderedDict[object, Plan] = OrderedDict()
        self.statements = 0

    def plan(self, root: Selected, context: Context, *, pinned: bool, parent: str = "Query") -> Plan:
        """Return the plan of a root field for this caller, made once for all selections of the same shape."""
        products = context.caller.product_ids
        restricted, one_product = products is not None, products is not None and len(products) == 1
        known: Plan | None = root.plans.get((parent, pinned, restricted, one_product))
        if known is not None:
            return known
        kinds = node_types(root) if root.name in {"node", "nodes"} else ()
        key = (parent, root.shape(), pinned, restricted, one_product, kinds)
        plan = self._plans.get(key)
        if plan is None:
            builder = Builder(self.types, root, pinned=pinned, restricted=restricted, one_product=one_product)
            plan = self._plans[key] = _compile(builder, root, parent, kinds)
            if len(self._plans) > PLANS_MAX:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        root.plans[parent, pinned, restricted, one_product] = plan
        return plan

    async def load(self, root: Selected, context: Context, positions: Sequence[int]) -> list[tuple[int, Any]]:
        """Return what a subscription's field answers at positions, in one statement; none for unseen ones."""
        plan = self.plan(root, context, pinned=False, parent="Subscription")
        _check_scopes(plan, context)
        args = root.arguments()
        request = Request(
            args=args,
            now=context.services.clock(),
            products=context.caller.product_ids,
            labels=context.services.labels,
            personal=context.caller.may("personal"),
            positions=positions,
        )
        values = [bind(request) for bind in plan.binders]
        text, position = await _value(context.services.reader, plan.sql, values)
        env = Env(context.services.labels, args, position, None)
        answers: list[tuple[int, Any]] = plan.decode(parse_json(text), env)
        return answers

    async def read(self, root: Selected, context: Context, reads: Reads) -> Read:
        """Return what a root field's statement answers, not yet made into objects."""
        _check_product(root, context)
        pin = decode_cursor_position(root.args) if _is_pinned(self.types, root) else None
        # The pages after the first are read as of its position; while that still is the newest, the current
        # tables say the same for less.
        pinned = pin is not None and context.services.hub.value("projected") != pin
        while True:
            plan = self.plan(root, context, pinned=pinned)
            _check_scopes(plan, context)
            args = root.arguments()
            request = Request(
                args=args,
                now=now(context),
                products=context.caller.product_ids,
                labels=context.services.labels,
                personal=context.caller.may("personal"),
                pinned=pin,
            )
            values = [bind(request) for bind in plan.binders]
            self.statements += 1
            text, position = await _value(reads, plan.sql, values)
            if pin is None or pinned or position == pin:
                break
            pinned = True
        context.position = position
        for node_args in args:
            as_of = node_args.get("asOf")
            if as_of and as_of.get("position") is not None and as_of["position"] > position:
                raise PositionAhead(as_of["position"], position)
        return Read(plan, text, Env(context.services.labels, args, position, pin))


async def _value(reads: Reads, sql: str, values: list[object]) -> tuple[str, int]:
    try:
        return await reads.value(sql, *values)
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


def now(context: Context) -> dt.datetime:
    """Return the moment of an operation, the same for all its fields."""
    found = context.memo.get("now")
    if found is None:
        found = context.memo["now"] = context.services.clock()
    return found


def planner_of(context: Context | None) -> Planner:
    """Return the planner of the process."""
    from schema.build import planner

    del context
    return planner()


class Loader:
    """Reads what one subscription's field answers, for any positions: made where the field is resolved.

    The field says by `metadata={SPEC: …}` what it is made of: specs.EVENTS_AT or specs.ITEM_CHANGES_AT.
    """

    def __init__(self, info: Info) -> None:
        self._root = selected(info._raw_info)
        # Planned here, so that what the caller may not select is refused before the first event.
        _check_scopes(
            planner_of(info.context).plan(self._root, info.context, pinned=False, parent="Subscription"),
            info.context,
        )

    async def load(self, context: Context, positions: Sequence[int]) -> list[tuple[int, Any]]:
        """Return answers by position, none for an event that the caller does not see or that has none."""
        return await planner_of(context).load(self._root, context, positions)


async def answer(info: Info) -> T:  # as the field declares
    """Return what a root field answers with, having read it by one statement.

    The first root field of an operation that has several runs them all, in one snapshot; the others wait
    for theirs.
    """
    context, raw = info.context, info._raw_info
    key = str(raw.path.key)
    read: Mapping[str, Read | Exception] | None = context.memo.get(READ)
    if read is not None:
        made: T = _objects(read[key])
        return made
    pending: dict[str, asyncio.Future[Any]] | None = context.memo.get("roots")
    if pending is None:
        roots = selected_roots(raw)
        if len(roots) == 1:
            found: T = await _run_one(selected(raw), context)
            return found
        pending = context.memo["roots"] = {
            root.key: asyncio.get_running_loop().create_future() for root in roots
        }
        await _run_all(roots, context, pending)
    waited: T = await pending[key]
    return waited


async def _run_one(root: Selected, context: Context) -> Any:
    await _wait_for([root], context)
    return (await planner_of(context).read(root, context, context.services.reader)).objects()


async def _run_all(
    roots: Sequence[Selected], context: Context, pending: dict[str, asyncio.Future[Any]]
) -> None:
    for key, found in (await read_roots(roots, context)).items():
        try:
            pending[key].set_result(_objects(found))
        except Exception as error:
            _fail(pending[key], error)


def _objects(found: Read | Exception) -> Any:
    if isinstance(found, Exception):
        raise found
    return found.objects()


async def read_roots(roots: Sequence[Selected], context: Context) -> dict[str, Read | Exception]:
    """Return what the statements of an operation's root fields answer, or fail with, by response key.

    Several run in one snapshot, and so at one position.
    """
    found: dict[str, Read | Exception] = {}
    planner = planner_of(context)
    try:
        await _wait_for(roots, context)
        if len(roots) == 1:
            found[roots[0].key] = await planner.read(roots[0], context, context.services.reader)
            return found
        async with context.services.reader.snapshot() as snapshot:
            for root in roots:
                try:
                    found[root.key] = await planner.read(root, context, snapshot)
                except asyncpg.PostgresError:
                    raise
                except Exception as error:
                    found[root.key] = error
    except Exception as error:
        for root in roots:
            found.setdefault(root.key, error)
    return found


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    future.set_exception(error)
    # A field that the executor gave up on never asks for its error; that is no error of its own.
    future.exception()


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


def _check_scopes(plan: Plan, context: Context) -> None:
    for field, scope in plan.scopes:
        if not context.caller.may(scope):
            raise MissingScope(field, scope)


def _is_pinned(types: Types, root: Selected) -> bool:
    _, spec = types.spec("Query", root.name)
    return isinstance(spec, Page) and spec.pinned


def _compile(builder: Builder, root: Selected, parent: str, kinds: tuple[str, ...]) -> Plan:
    place = builder.number(root)
    _, spec = builder.types.spec(parent, root.name)
    if root.args.get("productId") is not None:
        # Checked against the caller's products before; from here on nothing else is seen.
        builder.product = builder.argument(place, "bigint", lambda args: product_number(args["productId"]))
    moment = builder.moment(root, place, None, root=True)
    match spec:
        case Page():
            expr, decode = builder.page(root, place, spec, moment, root=True)
        case Rows():
            expr, decode = builder.rows(root, place, spec, moment)
        case Single():
            expr, decode = builder.single(root, place, spec, moment)
        case Lookup():
            expr, decode = _lookup(builder, root, place, spec, moment)
        case Diff():
            expr, decode = builder.diff(root, place)
        case ByPosition():
            expr, decode = by_position(builder, root, place, spec, moment)
        case Nodes():
            expr, decode = _nodes(builder, root, place, moment, kinds)
        case _:
            raise TypeError(f"{parent}.{root.name} says nothing of its data")
    ctes = f"with {', '.join(builder.ctes)} " if builder.ctes else ""
    sql, binders = _used(f"{ctes}select ({expr})::text as answer", builder.binders)
    return Plan(
        sql=sql,
        binders=binders,
        decode=decode,
        scopes=tuple(dict.fromkeys(builder.scopes)),
    )


def _used(sql: str, binders: Sequence[Binder]) -> tuple[str, tuple[Binder, ...]]:
    """Leave out parameters that the statement does not name: Postgres could not tell their type."""
    numbers = {
        number: place for place, number in enumerate(dict.fromkeys(_PLACEHOLDER.findall(sql)), start=1)
    }
    renumbered = _PLACEHOLDER.sub(lambda found: f"${numbers[found[1]]}", sql)
    return renumbered, tuple(binders[int(number) - 1] for number in numbers)


def _lookup(builder: Builder, root: Selected, place: int, spec: Lookup, moment: Moment) -> tuple[str, Any]:
    """One thing by its opaque id, or by Sleekplan's and the product's."""
    entity = builder.types.entities[spec.type_name]
    alias = entity.alias
    array, decode = builder.object(spec.type_name, root.of(spec.type_name), Scope(moment))
    where = [builder.visible(alias)]
    given = root.args
    if given.get("id") is not None:
        if given.get("sleekplanId") is not None or given.get("productId") is not None:
            raise BadArgument(
                "id", given["id"], "cannot be combined with productId or sleekplanId; give one form"
            )

        def part(index: int) -> Any:
            return lambda args: _parts(args["id"], spec.type_name)[index]

        for index, (column, cast) in enumerate(entity.key):
            where.append(f"{alias}.{column} = {builder.argument(place, cast, part(index))}")
    elif given.get("sleekplanId") is not None:
        column = entity.key[1][0]
        where.append(
            f"{alias}.{column} = {builder.argument(place, 'text', lambda args: _text(args['sleekplanId']))}"
        )
    else:
        raise BadArgument(root.name, "nothing", "was named; give id, or productId and sleekplanId")
    source = builder.source(spec.type_name, moment, columns_of(alias, array, *where))
    condition = " and ".join(where)
    expr = (
        f"select coalesce(json_agg(json_build_array({alias}.product_id, {array})"
        f" order by {alias}.product_id), '[]')"
        f" from {source} where {condition}"
    )

    def pick(rows: list[Any], env: Env) -> Any:
        if len(rows) > 1:
            raise AmbiguousItem(spec.type_name, str(env.args[place]["sleekplanId"]), [row[0] for row in rows])
        return rows[0][1] if rows else None

    def decode_one(rows: list[Any], env: Env) -> Any:
        return decode(pick(rows, env), env)

    return expr, laid_out(decode_one, FoundLayout(pick, decode))


def _text(value: object) -> str:
    return str(value).replace("\0", "")


def _parts(text: str, type_name: str) -> tuple[object, ...]:
    found = decode_id(text)
    if found.type_name != type_name:
        raise BadId(text, type_name)
    return key_of(found)


def key_of(found: GlobalId) -> tuple[object, ...]:
    """Return the values of the key columns that an id names."""
    if found.type_name == "Event":
        number = found.parts[0]
        return (int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0,)
    return (found.product_id, *found.parts)


def _ids(args: Mapping[str, Any]) -> list[GlobalId]:
    ids = args["ids"] if "ids" in args else [args["id"]]
    if len(ids) > 500:
        raise BadArgument("ids", len(ids), "are too many at once; ask for 500 at most")
    return [decode_id(text) for text in ids]


def node_types(root: Selected) -> tuple[str, ...]:
    """Return the types that the ids of `node` or `nodes` name, which decides what is read."""
    return tuple(sorted({found.type_name for found in _ids(root.args)}))


def _nodes(
    builder: Builder, root: Selected, place: int, moment: Moment, kinds: tuple[str, ...]
) -> tuple[str, Any]:
    exprs: list[str] = []
    decoders: list[Any] = []
    for type_name in kinds:
        entity = builder.types.entities[type_name]
        alias = entity.alias
        array, decode = builder.object(type_name, root.of(type_name), Scope(moment))
        arrays = []
        for index, (_, cast) in enumerate(entity.key):

            def values(
                args: Mapping[str, Any], index: int = index, type_name: str = type_name
            ) -> list[object]:
                return [
                    (*key_of(found), None, None)[index]
                    for found in _ids(args)
                    if found.type_name == type_name
                ]

            arrays.append(builder.argument(place, f"{cast}[]", values))
        columns = ", ".join(column for column, _ in entity.key)
        keys = ", ".join(f"{alias}.{column}" for column, _ in entity.key)
        source = builder.source(type_name, moment, columns_of(alias, array, keys) | {"product_id"})
        exprs.append(
            f"(select coalesce(json_agg(json_build_array(json_build_array({keys}), {array})), '[]')"
            f" from {source}"
            f" where ({keys}) in (select {columns} from unnest({', '.join(arrays)}) as wanted({columns}))"
            f" and {builder.visible(alias)})"
        )
        decoders.append(decode)

    def decode_all(groups: list[Any], env: Env) -> Any:
        found: dict[tuple[object, ...], Any] = {}
        for type_name, decode, rows in zip(kinds, decoders, groups, strict=True):
            for key, row in rows:
                found[type_name, *key] = decode(row, env)
        wanted = [found.get((each.type_name, *key_of(each))) for each in _ids(env.args[place])]
        return wanted if root.name == "nodes" else wanted[0]

    return f"select json_build_array({', '.join(exprs)})", decode_all
