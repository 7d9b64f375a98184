"""One SQL statement as it is put together: its parameters, its moments, and what its blocks name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from projections.read_model import PRODUCTS
from schema.declare.blocks import named, put
from schema.declare.request import Args, Values
from schema.declare.source import Entity, Parameter
from schema.plan.selection import Selected
from schema.resume import cursor_given
from service.errors import BadArgument
from service.sql_files import load

_KEY: Final = ("occurred_at", "is_delete", "updated_at", "position")
_SQL: Final = load(__file__, "moments.sql")

Binder = Callable[[Values], object]


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is read: now, or as of a position (`p`) and a time on Sleekplan's clock (`t`).

    `at` is the moment that relative windows count back from; `exact` says that `t` does not matter,
    so that what was newest on arrival is the answer.
    """

    now: bool
    exact: bool
    p: str
    t: str
    at: str
    constant: bool = True


@dataclass(slots=True)
class Scope:
    """What one field's block of SQL may name: its moment and its parameters."""

    moment: Moment
    names: dict[str, str] = field(default_factory=dict)


def _known(moment: Moment, row: str) -> str:
    known = f"{row}.position <= {moment.p}"
    return known if moment.exact else f"{known} and {row}.occurred_at <= {moment.t}"


def _newest(moment: Moment, row: str) -> str:
    return f"{row}.newest and {row}.position <= {moment.p}" if moment.exact else _known(moment, row)


def _key(direction: str) -> Callable[[Moment, str], str]:
    return lambda _, row: ", ".join(f"{row}.{column}{direction}" for column in _KEY)


def _newest_first(moment: Moment, row: str) -> str:
    return f"{row}.position desc" if moment.exact else _key(" desc")(moment, row)


NAMES_OF_A_MOMENT: Final[Mapping[str, Callable[..., str]]] = {
    "p": lambda moment: moment.p,
    "t": lambda moment: moment.t,
    "at": lambda moment: moment.at,
    "known": _known,
    "newest": _newest,
    "newest_first": _newest_first,
    "key_desc": _key(" desc"),
    "key": _key(""),
}
"""What a block can name of its moment.

`:p` and `:t` are the position and the time, both inclusive; `:at` is the moment that windows count back from.
Of a row of versions, `:known(row)` says that it is known at the moment, and `:newest(row)` the same where
only the newest matters: by position alone, the rows that were newest on arrival are enough and have an index
of their own. `:key(row)` is what orders what was said, to sort by or to compare with another row's.
"""


class Statement:
    """Collects parameters and moments while a plan is made of a selection."""

    def __init__(
        self,
        entities: Mapping[str, Entity],
        root: Selected,
        *,
        pinned: bool,
        restricted: bool,
        one_product: bool,
        without: bool,
        personal: bool,
    ) -> None:
        self.entities = entities
        self.pinned = pinned
        self.restricted = restricted
        self.one_product = one_product
        self.without = without
        self.personal = personal
        self.product: str | None = None
        self.binders: list[Binder] = []
        self._numbers: dict[object, str] = {}
        self.ctes: list[str] = []
        self._made: dict[tuple[str, str], str] = {}
        self._tables = {entity.table: name for name, entity in entities.items() if entity.table}
        self._shared = {name: table for entity in entities.values() for name, table in entity.shared.items()}
        self.named_moments: dict[str, Moment] = {}
        self.scopes: list[tuple[str, str]] = []
        self._places = {id(node): place for place, node in enumerate(root.flat())}

    # Parameters and tokens

    def bind(self, cast: str, binder: Binder, key: object = None) -> str:
        """Return the placeholder of a parameter; equal keys share one."""
        if key is not None and (key, cast) in self._numbers:
            return self._numbers[key, cast]
        self.binders.append(binder)
        through = {"interval": "text::interval", "regconfig": "text::regconfig"}.get(cast, cast)
        placeholder = f"${len(self.binders)}::{through}"
        if key is not None:
            self._numbers[key, cast] = placeholder
        return placeholder

    def number(self, node: Selected) -> int:
        """Return the place of a field's arguments among those that a request carries."""
        return self._places[id(node)]

    def argument(self, place: int, cast: str, value: Callable[[Args], object]) -> str:
        return self.bind(cast, lambda request: value(request.args[place]))

    def parameter(self, place: int, parameter: Parameter) -> str:
        with_request, value = parameter.with_request, parameter.value
        if with_request is not None:
            return self.bind(parameter.cast, lambda request: with_request(request.args[place], request))
        assert value is not None
        return self.argument(place, parameter.cast, value)

    def products(self) -> str:
        return self.bind("bigint[]", lambda request: request.products, "products")

    def fill(self, text: str, scope: Scope) -> str:
        """Return a block with its `:names` replaced: by the moment's, the caller's, the field's."""

        def found(name: str, arguments: list[str]) -> str:
            if name in NAMES_OF_A_MOMENT:
                return NAMES_OF_A_MOMENT[name](scope.moment, *arguments)
            if name in scope.names:
                return scope.names[name]
            if name in self._tables:
                return self.source(self._tables[name], scope.moment, set(arguments), bare=True)
            if name in self._shared:
                return self.shared(name, scope)
            match name:
                case "visible":
                    return self.visible(*arguments)
                case "every_product":
                    return every_product()
                case "personal":
                    return "true" if self.personal else "false"
            raise KeyError(f"a block names :{name}, which nothing provides")

        return named(text, found)

    def shared(self, name: str, scope: Scope) -> str:
        """Return a table that is made once a statement and moment, whatever it is named by."""
        table = self.fill(self._shared[name], Scope(scope.moment))
        if not scope.moment.constant:
            return f"({table})"
        known = self._made.get((name, scope.moment.p))
        if known is None:
            known = self._made[name, scope.moment.p] = self.table(name, table)
        return known

    def visible(self, alias: str) -> str:
        if self.product is not None:
            return f"{alias}.product_id = {self.product}"
        if self.one_product:
            return f"{alias}.product_id = ({self.products()})[1]"
        if self.restricted:
            return f"{alias}.product_id = any({self.products()})"
        if self.without:
            elsewhere = self.bind("bigint[]", lambda request: request.elsewhere, "elsewhere")
            return f"{alias}.product_id <> all({elsewhere})"
        return "true"

    # Moments

    def moment(
        self,
        node: Selected,
        place: int,
        outer: Moment | None,
        *,
        root: bool = False,
        name_of_argument: str = "asOf",
    ) -> Moment:
        """Return the moment that a field reads at: its own `asOf`, else its parent's, else now."""
        as_of = node.args.get(name_of_argument)
        as_of = as_of or {}
        time, position, cursor = as_of.get("time"), as_of.get("position"), as_of.get("cursor")
        pinned = root and self.pinned
        if time is None and position is None and cursor is None and not pinned:
            return outer if outer is not None else self._now()
        recorded = time is not None and getattr(as_of["clock"], "value", "OCCURRED") == "RECORDED"
        bounds = []
        if position is not None:
            bounds.append(self.argument(place, "bigint", lambda args: args[name_of_argument]["position"]))
        if cursor is not None:
            bounds.append(
                self.argument(
                    place,
                    "bigint",
                    lambda args: cursor_given("cursor", args[name_of_argument]["cursor"]).position,
                )
            )
        if pinned:
            bounds.append(self.bind("bigint", lambda request: request.pinned, "pinned"))
        at_time = (
            self.argument(place, "timestamptz", lambda args: args[name_of_argument]["time"]) if time else None
        )
        if recorded:
            bounds.append(position_at(str(at_time)))
        p = f"least({', '.join(bounds)})" if bounds else "9223372036854775807::bigint"
        t = "'infinity'::timestamptz" if at_time is None or recorded else at_time
        at = at_time or f"coalesce({time_at('known.p')}, {self._clock()})"
        if pinned and not at_time and position is None and cursor is None:
            at = self._clock()
        name = self.table(
            "moment", f"select known.p, known.t, {at} as at from (select {p} as p, {t} as t) as known"
        )
        return Moment(
            now=False,
            exact=at_time is None or recorded,
            p=f"(select p from {name})",
            t=f"(select t from {name})",
            at=f"(select at from {name})",
        )

    def _clock(self) -> str:
        return self.bind("timestamptz", lambda request: request.now, "now")

    def _now(self) -> Moment:
        return Moment(True, True, "9223372036854775807", "'infinity'::timestamptz", self._clock())

    def window(self, place: int, args: Args, moment: Moment) -> tuple[str, str]:
        """Return the two ends of the argument `window` as SQL; what is left open is infinite."""
        return window_ends(self, place, ("window",), args.get("window") or {}, moment)

    # Sources

    def table(self, name: str, select: str) -> str:
        """Return the name of a table that the statement makes first, and once."""
        named = f"{name}_{len(self.ctes) + 1}"
        self.ctes.append(f"{named} as materialized ({select})")
        return named

    def source(
        self,
        type_name: str,
        moment: Moment,
        columns: set[str],
        *,
        bare: bool = False,
        among: str | None = None,
    ) -> str:
        """Return what to select an entity's rows from at a moment, with at least these columns.

        Of a past moment only those that are `among` the rows of a select from the table of now: a few.
        """
        entity = self.entities[type_name]
        name = "" if bare else f" as {entity.alias}"
        if moment.now:
            return f"{self._now_of(entity, columns)}{name}"
        exprs_of = {**entity.columns, **({} if self.personal else entity.without_private_then)}
        exprs = [f"{exprs_of[name]} as {name}" for name in sorted(columns & exprs_of.keys())]
        used = " ".join(exprs)
        joins: list[str] = []
        few = entity.joins_of_few if among is not None else {}
        for join, block in reversed({**entity.joins, **few}.items()):
            if join in entity.always or re.search(rf"\b{join}\.", used):
                joins.append(block)
                used += block
        then = entity.then if not moment.exact else entity.then_by_position or entity.then
        text = put(
            then,
            rows=f"({among})" if among is not None else f"{{{entity.table}}}",
            columns="".join(f",\n{expr}" for expr in exprs),
            joins="\n".join(reversed(joins)),
            but_private="" if self.personal else entity.private_then,
        )
        return f"({self.fill(text, Scope(moment))}){name}"

    def _now_of(self, entity: Entity, columns: set[str]) -> str:
        """Return the rows of now; for who may not see private notes, with what they come to without these."""
        if self.personal or not columns & entity.without_private.keys():
            return f"{{{entity.table}}}"
        needed = sorted(columns | {name for name, _ in entity.key})
        listed = ", ".join(
            f"{entity.without_private.get(each, f'known.{each}')} as {each}" for each in needed
        )
        return put(_SQL["without_private"], columns=listed, table=f"{{{entity.table}}}")

    def but_private(self, sql: str) -> str:
        """Return a statement that reads only such rows of its tables as the caller may see.

        The one place where private notes, and what tells of them, are left out: whatever block reads them.
        """
        for entity in self.entities.values():
            if entity.private and not self.personal:
                table = f"{{{entity.table}}}"
                sql = sql.replace(table, put(_SQL["but_private"], table=table, private=entity.private))
        return sql.replace(":all}", "}")


def window_ends(
    statement: Statement, place: int, path: tuple[object, ...], given: Mapping[str, Any], moment: Moment
) -> tuple[str, str]:
    """Return the ends of `{from, to}` or of `{last}`, which counts back from the moment that is read."""
    if given.get("last") is not None:
        if given.get("from") is not None or given.get("to") is not None:
            raise BadArgument(
                ".".join(map(str, path)), "last", "cannot be combined with from or to; give one form"
            )
        length = statement.argument(place, "interval", lambda args: dig(args, path)["last"])
        return f"({moment.at} - {length})", "'infinity'::timestamptz"
    start = (
        statement.argument(place, "timestamptz", lambda args: dig(args, path)["from"])
        if given.get("from") is not None
        else "'-infinity'::timestamptz"
    )
    end = (
        statement.argument(place, "timestamptz", lambda args: dig(args, path)["to"])
        if given.get("to") is not None
        else "'infinity'::timestamptz"
    )
    return start, end


def dig(args: Any, path: Sequence[object]) -> Any:
    """Return what stands at a path of an argument."""
    for step in path:
        args = args[step]
    return args


def columns_of(alias: str, *texts: str) -> set[str]:
    """Return the columns of an alias that expressions name."""
    pattern = re.compile(rf"\b{alias}\.([a-z_]+)")
    return {name for text in texts for name in pattern.findall(text)}


_WITHOUT_END: Final = "'infinity'::timestamptz"


def as_of_position(position: str, outer: Moment, time: str = _WITHOUT_END) -> Moment:
    """Return the moment of one row's position, and of a time where one is given.

    What counts back from it counts as with `asOf` that position, so it says the same whenever it is read.
    """
    exact = time == _WITHOUT_END
    at = f"coalesce({time_at(position)}, {outer.at})" if exact else time
    return Moment(False, exact, position, time, at, constant=False)


def position_at(time: str) -> str:
    """Return the block of the last position that was recorded at a time."""
    return put(_SQL["position_at"], time=time)


def time_at(position: str) -> str:
    """Return the block of how far Sleekplan's clock had come at a position."""
    return put(_SQL["time_at"], position=position)


def every_product() -> str:
    """Return the block of all products of the log."""
    return PRODUCTS.replace("{event_facts}", "{event_facts:all}")
