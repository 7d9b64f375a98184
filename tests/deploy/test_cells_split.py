"""`recount cells split`: a replica becomes a cell, and nothing is lost, told twice or answered otherwise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from service.operate.gauges import silences
from tests.given.bodies import a_body
from tests.given.replica import a_primary
from tests.given.splitting import BEARER, KEY, Splitting, a_cell, insecure, well_split
from tests.given.waiting import eventually

PATIENCE_SECONDS = 60


async def deliver(cell: Splitting, product: int, number: int) -> dict[str, Any]:
    """Deliver by way of the router; the answer must be 200."""
    url = cell.before.of(product, f"/webhooks?key={KEY}")
    async with insecure() as session, session.post(url, data=a_body(number, product_id=product)) as answer:
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told


async def test_a_cell_is_split_under_load(tmp_path: Path) -> None:
    async with a_cell(tmp_path, products=6, events=3_000) as cell:
        before = await cell.boards(cell.products)
        async with cell.busy(60, follow=[cell.staying[0], cell.going[0]]):
            await cell.more()
            done = await cell.split(*map(str, cell.going), "--cell", "b")
            assert done.returncode == 0, done.stderr
            await cell.more()
        late = await cell.command("cells", "forward", "--cell", "b", "--to", cell.replica.dsn)
        print(cell)

        assert late.returncode == 0, late.stderr
        assert cell.said_map() == {each: "b" if each in cell.going else "a" for each in cell.products}
        await well_split(cell)
        assert await cell.boards(cell.products) == before


async def test_each_side_answers_for_its_own_and_can_let_go_of_the_others(tmp_path: Path) -> None:
    async with a_cell(tmp_path, products=4, events=800) as cell:
        going, staying = cell.going[0], cell.staying[0]
        done = await cell.split(*map(str, cell.going), "--cell", "b")
        assert done.returncode == 0, done.stderr

        for address, theirs, ours, name in (
            (cell.a.address, going, staying, "b"),
            (cell.b.address, staying, going, "a"),
        ):
            await eventually(partial(is_elsewhere, address, theirs), PATIENCE_SECONDS)
            refused = await asked(address, f'{{ items(productId: "{theirs}") {{ totalCount }} }}')
            assert refused["errors"][0]["extensions"]["code"] == "PRODUCT_ELSEWHERE"
            assert f"product {theirs} belongs to cell {name}" in refused["errors"][0]["message"]
            listed = await asked(address, "{ items(first: 500) { nodes { productId } } }")
            expected = cell.going if ours == going else cell.staying
            assert {int(node["productId"]) for node in listed["data"]["items"]["nodes"]} == set(expected)

            connection = await asyncpg.connect(cell.url_of(ours))
            assert {silence.product_id for silence in await silences(connection)} == set(expected)
            await connection.close()

        # What still comes to the wrong one is acknowledged, held, told by the doctor, and forwarded.
        url = f"{cell.a.address}/webhooks?key={KEY}"
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.post(url, data=a_body(77, product_id=going)) as answer:
                    assert await answer.json() == {"position": None, "duplicate": None, "spooled": True}
        doctor = await cell.command("doctor")
        assert "2 deliveries of products that cell b has wait here" in " ".join(doctor.stdout.split())
        forwarded = await cell.command("cells", "forward", "--cell", "b", "--to", cell.replica.dsn)
        assert forwarded.stdout == "2 deliveries recorded on cell b\n"
        assert (await deliver(cell, going, 77))["duplicate"] is True

        for url, others in ((cell.primary, cell.going), (cell.replica.dsn, cell.staying)):
            released = await cell.command("cells", "release", url=url)
            assert released.stdout == f"{len(others)} products let go of\n", released.stderr
            connection = await asyncpg.connect(url)
            rows = await connection.fetch("select distinct product_id from board.items")
            await connection.close()
            assert not {row["product_id"] for row in rows} & set(others)
            assert rows
            verified = await cell.command("verify", url=url)
            assert verified.returncode == 0, verified.stdout + verified.stderr


async def is_elsewhere(address: str, product: int) -> bool:
    told = await asked(address, f'{{ items(productId: "{product}") {{ totalCount }} }}')
    return "errors" in told


async def asked(address: str, query: str) -> dict[str, Any]:
    """Return what an instance answers by itself."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/graphql", json={"query": query}, headers=BEARER) as answer,
    ):
        told: dict[str, Any] = await answer.json()
        return told


async def test_a_split_that_was_cut_off_is_undone_or_gone_on_with(tmp_path: Path) -> None:
    async with a_cell(tmp_path, products=4, events=400) as cell:
        going, gone = cell.going[0], [*map(str, cell.going)]
        replica = await asyncpg.connect(cell.replica.dsn)
        await replica.execute("select pg_wal_replay_pause()")

        halfway = await cell.split(*gone, "--cell", "b", "--wait", "1")
        assert halfway.returncode == 1
        assert "the replica has not got to the fence (waited 1 s)" in halfway.stderr
        assert await deliver(cell, going, 1) == {"position": None, "duplicate": None, "spooled": True}
        assert (await deliver(cell, cell.staying[0], 2))["spooled"] is False
        another = await cell.split(str(cell.staying[0]), "--cell", "c", "--wait", "1")
        assert "a split of 2 products to cell b is under way" in another.stderr

        undone = await cell.split("--undo")
        assert undone.stdout == "undone: 2 products came back\n1 deliveries that were held are recorded\n"
        assert (await deliver(cell, going, 1))["duplicate"] is True

        await cell.split(*gone, "--cell", "b", "--wait", "1")
        assert (await deliver(cell, going, 3))["spooled"] is True
        await replica.execute("select pg_wal_replay_resume()")
        await replica.close()
        done = await cell.split()
        assert done.returncode == 0, done.stderr
        assert (await deliver(cell, going, 3))["duplicate"] is True
        assert (await deliver(cell, going, 4))["spooled"] is False
        too_late = await cell.split("--undo")
        assert "no split is under way" in too_late.stderr


async def a_reader_of_the_replica(cell: Splitting) -> str:
    """Make a role that may only read; return its address on the replica, once that has it."""
    primary, replica = await asyncpg.connect(cell.primary), await asyncpg.connect(cell.replica.dsn)
    await primary.execute("create role reader login in role pg_read_all_data")

    async def is_there() -> bool:
        return bool(await replica.fetchval("select exists (select from pg_roles where rolname = 'reader')"))

    await eventually(is_there, PATIENCE_SECONDS)
    await primary.close()
    await replica.close()
    return urlunsplit(urlsplit(cell.replica.dsn)._replace(netloc="reader@"))


async def test_what_stands_in_the_way_is_told_in_a_line_and_nothing_is_changed(tmp_path: Path) -> None:
    async with a_cell(tmp_path, products=3, events=300) as cell, a_primary() as stranger:
        first, second, third = map(str, cell.products)
        lines = cell.map.read_text()

        async def told(*arguments: str, replica: str = "", path: Path = cell.map) -> str:
            place = (
                "--replica",
                replica or cell.replica.dsn,
                "--map",
                str(path),
                "--socket",
                str(cell.socket),
            )
            done = await cell.command("cells", "split", *arguments, *place, "--yes")
            assert done.returncode == 1, done.stdout
            assert done.stderr.count("\n") == 1 + done.stderr.startswith("migrated"), done.stderr
            return done.stderr

        assert "name the products that go" in await told()
        assert "the log has no event of product 7" in await told("7", "--cell", "b")
        assert "nothing would stay here" in await told(first, second, third, "--cell", "b")
        assert "takes writes already" in await told(first, "--cell", "b", replica=cell.primary)
        assert "a copy of another Postgres" in await told(first, "--cell", "b", replica=stranger.dsn)
        away = "postgresql://recount@127.0.0.1:1/recount"
        assert "the replica does not answer" in await told(first, "--cell", "b", replica=away)
        reader = await a_reader_of_the_replica(cell)
        may_not = await told(first, "--cell", "b", replica=reader)
        assert "grant execute on function pg_promote to" in may_not
        assert "HAProxy has no backend z" in await told(first, "--cell", "z")
        missing = tmp_path / "cells.map"
        assert "cannot be read (No such file or directory)" in await told(first, "--cell", "b", path=missing)
        missing.write_text(f"{second} a\n{third} c\n")
        assert f"names no cell for product {first}" in await told(first, "--cell", "b", path=missing)
        assert "several cells (a, c)" in await told(second, third, "--cell", "b", path=missing)

        assert cell.map.read_text() == lines
        checked = await cell.split(first, "--cell", "b", "--check")
        assert checked.stdout == "nothing stands in the way: 1 products, from a to b\n", checked.stderr
        assert (await deliver(cell, int(first), 9))["spooled"] is False
        listed = await cell.command("cells", "list", "--json")
        assert listed.stdout == "[]\n"


async def test_a_replica_that_is_behind_is_told_in_a_line(tmp_path: Path) -> None:
    async with a_cell(tmp_path, products=2, events=100) as cell:
        replica = await asyncpg.connect(cell.replica.dsn)
        await replica.execute("select pg_wal_replay_pause()")
        await deliver(cell, cell.going[0], 1)

        async def is_told() -> bool:
            env = {"RECOUNT_READ_LAG_SECONDS_MAX": "0.2"}
            done = await cell.split(str(cell.going[0]), "--cell", "b", "--check", env=env)
            return "s behind: let it catch up first" in done.stderr

        await eventually(is_told, PATIENCE_SECONDS)
        await replica.close()
