"""One SQL statement as it is put together: its parameters, its moments, and what its blocks name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schema.declare.request import Args, Request
from schema.declare.source import BLOCKS, Entity, Parameter
from schema.plan.selection import Selected
from service.errors import BadArgument

_KEY: Final = ("occurred_at", "is_delete", "updated_at", "position")
_TOKEN: Final = re.compile(r"(?<![:\w]):([a-z_]+)(?:\(([a-z_]*)\))?")
_PLURALS: Final = {
    "items": "Item",
    "comments": "Comment",
    "users": "User",
    "votes": "Vote",
    "subscriptions": "ItemSubscription",
    "answers": "SatisfactionAnswer",
    "entries": "ChangelogEntry",
}

Binder = Callable[[Request], object]


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
    ) -> None:
        self.entities = entities
        self.pinned = pinned
        self.restricted = restricted
        self.one_product = one_product
        self.product: str | None = None
        self.binders: list[Binder] = []
        self._numbers: dict[object, str] = {}
        self.ctes: list[str] = []
        self._ranks: dict[str, str] = {}
        self._moments = 0
        self._floors = 0
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

        def replace(found: re.Match[str]) -> str:
            name, alias = found.groups()
            moment = scope.moment
            match name:
                case "p":
                    return moment.p
                case "t":
                    return moment.t
                case "at":
                    return moment.at
                case "known" if moment.exact:
                    return f"{alias}.position <= {moment.p}"
                case "known":
                    return f"{alias}.position <= {moment.p} and {alias}.occurred_at <= {moment.t}"
                case "newest" if moment.exact:
                    return f"{alias}.newest and {alias}.position <= {moment.p}"
                case "newest":
                    return f"{alias}.position <= {moment.p} and {alias}.occurred_at <= {moment.t}"
                case "newest_first" if moment.exact:
                    return f"{alias}.position desc"
                case "newest_first" | "key_desc":
                    return ", ".join(f"{alias}.{column} desc" for column in _KEY)
                case "key_asc":
                    return ", ".join(f"{alias}.{column}" for column in _KEY)
                case "visible":
                    return self.visible(alias)
                case "personal":
                    return self.bind("boolean", lambda request: request.personal, "personal")
                case "ranks":
                    return self.ranks(scope)
                case "votes_as_of" | "votes_latest":
                    return self.fill(BLOCKS[name].replace(":row", alias), scope)
                case "heard_of":
                    text = "known.first_position <= :p" if moment.exact else BLOCKS["heard_of"]
                    return self.fill(text, scope)
                case "items" | "comments" | "users" | "votes" | "subscriptions" | "answers" | "entries":
                    return self.source(_PLURALS[name], moment, set((alias or "").split("__")), bare=True)
            if name in scope.names:
                return scope.names[name]
            raise KeyError(f"a block names :{name}, which nothing provides")

        return _TOKEN.sub(replace, text)

    def ranks(self, scope: Scope) -> str:
        """Return the table of a moment's sorted votes by product, made once a statement."""
        if not scope.moment.constant:
            return f"({self.fill(BLOCKS['ranks'], Scope(scope.moment))})"
        name = self._ranks.get(scope.moment.p)
        if name is None:
            name = self._ranks[scope.moment.p] = f"ranks_{len(self._ranks) + 1}"
            self.ctes.append(f"{name} as materialized ({self.fill(BLOCKS['ranks'], Scope(scope.moment))})")
        return name

    def visible(self, alias: str) -> str:
        if self.product is not None:
            return f"{alias}.product_id = {self.product}"
        if self.one_product:
            return f"{alias}.product_id = ({self.products()})[1]"
        return f"{alias}.product_id = any({self.products()})" if self.restricted else "true"

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
        time, position = as_of.get("time"), as_of.get("position")
        pinned = root and self.pinned
        if time is None and position is None and not pinned:
            return outer if outer is not None else self._now()
        recorded = time is not None and getattr(as_of["clock"], "value", "OCCURRED") == "RECORDED"
        bounds = []
        if position is not None:
            bounds.append(self.argument(place, "bigint", lambda args: args[name_of_argument]["position"]))
        if pinned:
            bounds.append(self.bind("bigint", lambda request: request.pinned, "pinned"))
        at_time = (
            self.argument(place, "timestamptz", lambda args: args[name_of_argument]["time"]) if time else None
        )
        if recorded:
            bounds.append(BLOCKS["position_at"].replace(":time", str(at_time)))
        p = f"least({', '.join(bounds)})" if bounds else "9223372036854775807::bigint"
        t = "'infinity'::timestamptz" if at_time is None or recorded else at_time
        self._moments += 1
        name = f"moment_{self._moments}"
        at = at_time or f"coalesce({BLOCKS['time_at'].replace(':position', 'known.p')}, {self._clock()})"
        if pinned and not at_time and position is None:
            at = self._clock()
        self.ctes.append(
            f"{name} as materialized (select known.p, known.t, {at} as at"
            f" from (select {p} as p, {t} as t) as known)"
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

    # Sources

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
        named = "" if bare else f" as {entity.alias}"
        if moment.now:
            return f"{{{entity.table}}}{named}"
        text = BLOCKS[entity.then]
        if among is not None:
            text = text.replace(f"{{{entity.table}}} as known", f"({among}) as known")
        if entity.then_columns:
            wanted = sorted(columns & entity.then_columns.keys())
            exprs = [f"{entity.then_columns[name]} as {name}" for name in wanted]
            used = " ".join(exprs)
            joins = []
            blocks = dict(entity.then_joins)
            if among is not None:
                blocks |= entity.then_joins_of_few
            for join, block in reversed(tuple(blocks.items())):
                body = BLOCKS[block]
                if join in entity.always or re.search(rf"\b{join}\.", used):
                    joins.append(body)
                    used += body
            text = text.replace(":columns", "".join(f",\n{expr}" for expr in exprs))
            text = text.replace(":joins", "\n".join(reversed(joins)))
        return f"({self.fill(text, Scope(moment))}){named}"


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
