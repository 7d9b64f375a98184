"""Writes down, in SQL for an administrator to read and run, what a role of the database needs."""

from __future__ import annotations

from service.sql_files import load

_sql = load(__file__, "grants.sql")


def service_grants(role: str) -> str:
    """Return what makes `role` the one that Recount runs as: the least that it needs."""
    return _filled("service", role)


def _filled(name: str, role: str) -> str:
    quoted, text = role.replace('"', '""'), role.replace("'", "''")
    return _sql[name].replace("{role}", f'"{quoted}"').replace("{role_text}", f"'{text}'")
