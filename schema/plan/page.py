"""Takes a page of a list: of what is now, of that by each product's own index, or of what was at a moment."""

from __future__ import annotations

from typing import Final

from schema.declare.request import Args
from schema.declare.source import Page
from schema.plan.conditions import conditions, words_of
from schema.plan.cursor import beyond, page_bound, page_size, starts_null, value_of
from schema.plan.order import Ordering
from schema.plan.statement import Scope, Statement, columns_of, every_product
from service.errors import BadArgument

LIKELY_PAGES: Final = 4  # of rows that are looked up first, to bound the others


class Listing:
    """A list as it is asked for: what passes, how it is sorted, and how many rows are taken."""

    def __init__(
        self,
        statement: Statement,
        args: Args,
        place: int,
        spec: Page,
        scope: Scope,
        ordering: Ordering,
        *,
        root: bool,
    ) -> None:
        self._statement, self._place, self._args = statement, place, args
        self._moment, self._ordering, self._root = scope.moment, ordering, root
        self._type_name, self._alias = spec.type_name, ordering.alias
        self._sort = self._sort_value()
        passing = [statement.fill(text, scope) for text in (spec.where, spec.base_filter) if text]
        if root:
            passing.append(statement.visible(self._alias))
        if spec.filter is not None:
            passing += conditions(statement, spec.filter, args.get("filter") or {}, place, scope)
        self._passing = _all(passing)
        self._condition = _all([*passing, *beyond(statement, place, args, ordering, self._sort)])
        self._tested = columns_of(self._alias, self._condition, self._sort) | ordering.keys
        self._limit = statement.argument(place, "bigint", lambda args: page_size(args) + 1)

    def rows(self, row: str) -> str:
        """Return a select of the JSON array of a page's rows, and of one more where others follow."""
        shown = columns_of(self._alias, row) | self._ordering.keys
        if not self._moment.now:
            return self._then(row, shown)
        statement = self._statement
        of_each = self._root and statement.product is None and not statement.one_product
        taken = (
            self._now_of_each_product(shown)
            if of_each and "product_id" in self._ordering.keys
            else self._now(shown, self._condition)
        )
        # A sorted subquery on its own hands on its rows in order: sorting again would cost a quarter.
        order_by = f" order by {self._ordering.shown('sort_value')}" if self._ordering.backward else ""
        return f"select coalesce(json_agg({row}{order_by}), '[]') from ({taken}) as {self._alias}"

    def count(self) -> str:
        """Return a select of how many rows the list has, those of all pages."""
        source = self._source(columns_of(self._alias, self._passing) | self._ordering.keys)
        return f"select count(*) from {source} where {self._passing}"

    # The ways to take a page

    def _now(self, shown: set[str], condition: str) -> str:
        """Take the first rows of the table, by its index where the order has one."""
        sort, ordering = self._sort, self._ordering
        columns = self._columns(shown)
        rows = f"select {columns}, {sort} as sort_value from {self._source(shown | self._tested)}"
        apart = ordering.halves(f"({sort})") if self._root else None
        if apart is None:
            return self._cut(f"{rows} where {condition} order by {ordering.taken(f'({sort})')}")
        known, unknown = apart
        halves = (
            f"({self._cut(f'{rows} where {condition} and ({sort}) is {half}')})"
            for half in (f"not null order by {known}", f"null order by {unknown}")
        )
        return self._best(columns, f"({' union all '.join(halves)})")

    def _now_of_each_product(self, shown: set[str]) -> str:
        """Take the first rows of each product, which has its own sorted index, and of those the first."""
        alias, statement = self._alias, self._statement
        products = f"unnest({statement.products()})" if statement.restricted else f"({every_product()})"
        of_product = self._now(shown, f"{alias}.product_id = product.product_id and {self._condition}")
        return self._best(
            self._columns(shown), f"{products} as product(product_id) cross join lateral ({of_product})"
        )

    def _then(self, row: str, shown: set[str]) -> str:
        """Take the keys of the first rows by what was known, and of those alone what is shown."""
        sort, ordering, keys = self._sort, self._ordering, self._ordering.keys
        first = ordering.descending and not ordering.backward
        among = self._possible() if self._root and ordering.order.most and first else None
        page = self._cut(
            f"select {self._columns(keys)}, {sort} as sort_value from {self._source(self._tested, among)}"
            f" where {self._condition} order by {ordering.taken(f'({sort})')}"
        )
        same = " and ".join(f"{self._alias}.{name} = page.{name}" for name in sorted(keys))
        return (
            f"select coalesce(json_agg({row} order by {ordering.shown('sort_value')}), '[]')"
            f" from ({page}) as page cross join lateral (select {self._columns(shown)}"
            f" from {self._source(shown)} where {same} limit 1) as {self._alias}"
        )

    # What a past moment need not look at

    def _possible(self) -> str:
        """Return a select of the rows of now that can be on the first page of a past moment.

        The last row of a page that is made of a few likely rows alone is no better than that of the page of
        all. Whoever has never been as good as it, at any moment, need not be looked up: most, on a long log.
        """
        statement, most = self._statement, self._ordering.order.most
        # Tables that an older version counted lack the column until they are rebuilt. Then its name means
        # that of `unbounded`, which is further out, and each row is looked up.
        all_rows = (
            f"(select 9223372036854775807 as {most}) as unbounded cross join lateral"
            f" (select own.*, {most} as most from {{{statement.entities[self._type_name].table}}} as own)"
            " as possible"
        )
        there = (
            f"{statement.visible('possible')} and possible.first_position <= {self._moment.p}"
            f" and possible.first_seen_at <= {self._moment.t}"
        )
        floor = self._floor(all_rows, there)
        return (
            f"select possible.* from {all_rows}"
            f" where {there} and ({floor} is null or possible.most >= {floor})"
        )

    def _floor(self, all_rows: str, there: str) -> str:
        """Return the sort value of the last row of a page of a few likely rows; null where they fill none."""
        ordering, statement, sort = self._ordering, self._statement, self._sort
        likely = there
        if self._args.get("after") is not None and not starts_null(self._args, "after", ordering):
            # Those that were never above the cursor are the likeliest to come next.
            likely += f" and possible.most <= {value_of(statement, self._place, 'after', ordering, 0)}"
        some = (
            f"select possible.* from {all_rows} where {likely}"
            f" order by possible.most desc nulls last limit {LIKELY_PAGES} * {self._limit}"
        )
        floor = statement.table(
            "floor",
            f"select {sort} as sort_value from {self._source(self._tested, some)}"
            f" where {self._condition} and ({sort}) is not null"
            f" order by {sort} desc offset {self._limit} - 1 limit 1",
        )
        return f"(select sort_value from {floor})"

    # Parts

    def _sort_value(self) -> str:
        """Return the expression that the list is sorted by."""
        order, statement = self._ordering.order, self._statement
        names: dict[str, str] = {}
        if order.windowed:
            if not self._args.get("window"):
                name = self._args["orderBy"]["field"].value
                raise BadArgument("orderBy", name, "needs the argument window")
            names["from"], names["until"] = statement.window(self._place, self._args, self._moment)
        if order.searched:
            names["words"] = words_of(statement, self._place, ("filter", "search"))
        if self._moment.now or order.then is None:
            return statement.fill(order.expr, Scope(self._moment, names))
        if order.once:
            names["once"] = statement.table("once", statement.fill(order.once, Scope(self._moment, names)))
        return statement.fill(order.then, Scope(self._moment, names))

    def _source(self, columns: set[str], among: str | None = None) -> str:
        return self._statement.source(self._type_name, self._moment, columns, among=among)

    def _columns(self, names: set[str]) -> str:
        return ", ".join(f"{self._alias}.{name}" for name in sorted(names))

    def _best(self, columns: str, rows: str) -> str:
        """Take the first of rows that have their sort value."""
        alias = self._alias
        return self._cut(
            f"select {columns}, {alias}.sort_value from {rows} as {alias}"
            f" order by {self._ordering.taken('sort_value')}"
        )

    def _cut(self, select: str) -> str:
        """Limit a select to the page's rows, in a way that lets Postgres keep its plan.

        Of a limit that is a parameter it knows nothing, takes a tenth of the table for it, and plans anew
        at every read, which takes as long as the read. Of a number it knows enough. What a filter leaves
        depends on its values, so there planning is worth its while.
        """
        if self._args.get("filter"):
            return f"{select} limit {self._limit}"
        bound = page_bound(self._args)
        return f"select * from ({select} limit {bound}) as {self._alias} limit {self._limit}"


def _all(conditions: list[str]) -> str:
    return " and ".join(f"({each})" for each in conditions if each != "true") or "true"
