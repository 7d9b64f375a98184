"""The functions that read what Sleekplan sends: what they cost for what was not told."""

from __future__ import annotations

import asyncpg

FUNCTIONS = """
select p.oid::regproc::text as name, format_type(p.proargtypes[0], null) as takes, p.proisstrict as strict
  from pg_catalog.pg_proc p
 where p.pronamespace = 'read_model'::regnamespace
   and p.prokind = 'f'
   and p.pronargs = 1
   and not p.proretset
"""


async def test_a_function_that_is_not_put_into_its_statement_is_not_run_for_what_was_not_told(
    pool: asyncpg.Pool,
) -> None:
    run = {}
    for function in await pool.fetch(FUNCTIONS):
        name, takes = function["name"], function["takes"]
        plan = await pool.fetch(
            f"explain (verbose, costs off) select {name}(v) "
            f"from (select null::{takes} as v from generate_series(1, 2) offset 0) s"
        )
        if any(name in row[0] for row in plan):
            run[name] = function["strict"]

    assert "read_model.text_list" in run
    assert all(run.values()), run
