"""Keeps the plans of root fields: one for all selections of the same form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schema.context import Context
from schema.declare.source import Entity
from schema.plan.planner import Builder, Plan
from schema.plan.roots import compiled, node_types
from schema.plan.selection import Selected
from schema.recent import RecentlyUsed

PLANS_MAX: Final = 1_000


class Planner:
    """Makes and keeps plans."""

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self.entities: Final = entities
        self._plans: RecentlyUsed[object, Plan] = RecentlyUsed(PLANS_MAX)

    def plan(self, root: Selected, context: Context, *, pinned: bool) -> Plan:
        """Return the plan of a root field for this caller, made once for all selections of the same form."""
        products = context.product_ids
        restricted, one_product = products is not None, products is not None and len(products) == 1
        without = not restricted and bool(context.elsewhere)
        sees = (pinned, restricted, one_product, without, context.caller.may("personal"))
        known: Plan | None = root.plans.get(sees)
        if known is not None:
            return known
        kinds = node_types(root) if root.name in {"node", "nodes"} else ()
        key = (id(root.definition), root.form(), *sees, kinds)
        plan = self._plans.find(key)
        if plan is None:
            builder = Builder(
                self.entities,
                root,
                pinned=pinned,
                restricted=restricted,
                one_product=one_product,
                without=without,
                personal=sees[-1],
            )
            plan = self._plans.keep(key, compiled(builder, root, kinds))
        root.plans[sees] = plan
        return plan
