"""Writes down, in SQL for an administrator to read and run, what a role of the database needs."""

from __future__ import annotations

from typing import Final

from service.sql_files import load

_sql = load(__file__, "grants.sql")

PERSONAL: Final = "_personal"


def service_grants(role: str) -> str:
    """Return what makes `role` the one that Recount runs as: the least that it needs."""
    return _filled("service", role)


def reader_grants(role: str, *, personal: bool, product_id: int | None) -> str:
    """Return what lets `role` read the views of the schema `board`, and nothing else.

    Of one product it reads views of its own, in a schema of that product, which show no other.
    """
    # Loading the whole schema takes most of a second: only where its views are named.
    from schema.views import FUNCTIONS, VIEWS

    schema = "board" if product_id is None else f"board_{product_id}"
    views = [view.name for view in VIEWS if personal or not view.name.endswith(PERSONAL)]
    functions = [(function.name, function.types) for function in FUNCTIONS]
    parts = {
        "schema": schema,
        "product": str(product_id),
        "personal": "true" if personal else "false",
        "views": ", ".join(f"{schema}.{name}" for name in views),
        "functions": ", ".join(f"{schema}.{name}({types})" for name, types in functions),
        "told": " and personal data" if personal else "",
        "whose": "every product" if product_id is None else f"product {product_id} alone",
    }
    made = "" if product_id is None else _filled("product", role, **parts) + "\n\n"
    return _filled("role", role, **parts) + "\n\n" + made + _filled("reader", role, **parts)


def _filled(name: str, role: str, **parts: str) -> str:
    quoted, text = role.replace('"', '""'), role.replace("'", "''")
    sql = _sql[name].replace("{role}", f'"{quoted}"').replace("{role_text}", f"'{text}'")
    for part, value in parts.items():
        sql = sql.replace(f"{{{part}}}", value)
    return sql
