"""The least role: what `recount sql grants` prints is enough, and what is missing of it is said."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest

from projections.declare import declare
from schema.views import declare_views
from service.config import Settings
from service.dsn import Dsn
from service.errors import MigrationChanged
from service.log.database import connect, migrate, pending_migrations
from service.operate.finding import State
from service.operate.grants import service_grants
from service.operate.views import check_views
from tests.given.folders import PAYLOADS
from tests.given.running import Running, recount, running
from tests.given.waiting import eventually

PASSWORD = "p/w@# %25"


@pytest.fixture
async def role(server_url: str) -> AsyncIterator[str]:
    """A name for a role of this test's own, which goes after the database in which it has something."""
    name = f"recount_least_{secrets.token_hex(4)}"
    yield name
    await _execute(server_url, f'drop role if exists "{name}"')


@pytest.fixture
async def hardened(role: str, empty_database_url: str) -> str:
    """The address of an empty database of which nobody has anything by default, for its administrator."""
    database = Dsn.read(empty_database_url, os.environ).said["dbname"]
    await _execute(
        empty_database_url,
        f'revoke all on database "{database}" from public; revoke all on schema public from public',
    )
    return empty_database_url


async def _execute(url: str, statement: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _as(role: str, url: str) -> str:
    """Return the address for the role, which gets a password."""
    await _execute(url, f"alter role \"{role}\" login password '{PASSWORD}'")
    said = {**Dsn.read(url, os.environ).said, "user": role, "password": PASSWORD}
    return "postgresql://?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items())


async def test_a_role_with_what_is_printed_does_all_the_work(
    role: str, hardened: str, tmp_path: Path
) -> None:
    printed = await recount("sql", "grants", "--service", role)
    await _execute(hardened, printed.stdout)
    await _execute(hardened, printed.stdout)
    env = {"RECOUNT_DATABASE_URL": await _as(role, hardened), "RECOUNT_DATA_DIR": str(tmp_path / "data")}

    async with running(tmp_path / "data", env=env) as service:
        env["RECOUNT_PORT"] = service.address.rpartition(":")[2]
        sent = await recount("send", *sorted(PAYLOADS.glob("*.json")), env=env)
        assert sent.returncode == 0, sent.stderr
        for command in ("rebuild", "verify", "keys add board", "erase 17 --product 647288130 --yes"):
            told = await recount(*command.split(), env=env)
            assert told.returncode == 0, told.stderr
        findings = json.loads((await recount("doctor", "--json", env=env)).stdout)
        assert (await _ready(service))["projections"] == "ok"

    assert [each["text"] for each in findings if each["check"] == "role"] == ["may do all that is needed"]
    problems = [each for each in findings if each["state"] == "problem"]
    assert [each for each in problems if each["check"] in ("Postgres", "projections", "log")] == []


async def test_schemas_that_were_made_for_a_role_are_enough(role: str, hardened: str) -> None:
    await _execute(
        hardened,
        f'create role "{role}"; create schema log authorization "{role}"; '
        f'create schema read_model authorization "{role}"',
    )
    database = Dsn.read(hardened, os.environ).said["dbname"]
    await _execute(hardened, f'grant connect, temporary on database "{database}" to "{role}"')
    connection = await connect(await _as(role, hardened))

    try:
        ran = await migrate(connection)
        await declare(connection)

        # All is there but the views for SQL, whose schema nobody made.
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await declare_views(connection)
        settings = Settings(data_dir=Path("unused"))
        [told] = [finding async for finding in check_views(settings, connection)]
        assert (told.state, "recount sql grants" in told.mend) == (State.NOTE, True)
        assert ran[0] == "0001_log"
        assert await migrate(connection) == []
        assert (
            await connection.fetchval("select has_database_privilege(current_database(), 'create')") is False
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("schemas", ["", "create schema log; create schema read_model;"])
@pytest.mark.parametrize("command", ["migrate", "serve", "verify"])
async def test_a_role_without_them_is_told_what_to_have_run(
    role: str, hardened: str, tmp_path: Path, schemas: str, command: str
) -> None:
    database = Dsn.read(hardened, os.environ).said["dbname"]
    await _execute(
        hardened, f'create role "{role}"; grant connect on database "{database}" to "{role}"; {schemas}'
    )
    env = {
        "RECOUNT_DATABASE_URL": await _as(role, hardened),
        "RECOUNT_DATA_DIR": str(tmp_path),
        "RECOUNT_PORT": "0",
    }

    told = await recount(command, env=env)

    assert told.returncode == 1
    assert told.stderr.startswith("recount: the database's user may not do there what Recount needs")
    assert "`recount sql grants`" in told.stderr
    assert len(told.stderr.splitlines()) == 1


async def test_what_an_administrator_made_before_is_handed_over(role: str, hardened: str) -> None:
    administrator = await connect(hardened)
    await migrate(administrator)
    await declare(administrator)
    assert await declare_views(administrator)
    await administrator.execute(service_grants(role))
    await administrator.close()
    connection = await connect(await _as(role, hardened))

    try:
        await connection.execute("select log.add_partition(); drop schema if exists none; analyze log.events")
        await declare(connection)
        await connection.execute("update read_model.declared set views = ''")
        assert await declare_views(connection)
        owned_by_others = await connection.fetchval(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname in ('log', 'read_model', 'board') "
            "and pg_get_userbyid(c.relowner) <> current_user"
        )
        assert owned_by_others == 0
    finally:
        await connection.close()


async def test_doctor_and_readyz_see_a_role_that_lost_what_it_needs(
    role: str, hardened: str, tmp_path: Path
) -> None:
    await _execute(hardened, service_grants(role))
    env = {"RECOUNT_DATABASE_URL": await _as(role, hardened), "RECOUNT_DATA_DIR": str(tmp_path / "data")}
    async with running(tmp_path / "data", env=env) as service:
        assert (await _ready(service))["projections"] == "ok"

        await _execute(hardened, f'revoke all on schema read_model from "{role}"')

        async def told() -> bool:
            return "cannot begin: InsufficientPrivilegeError" in str((await _ready(service))["projections"])

        # The projector that is at work goes on with what it holds until its lease is to be renewed.
        await service.post((PAYLOADS / "item.create.json").read_bytes())
        await eventually(told, 60)
        examined = await recount(
            "doctor", "--json", env={**env, "RECOUNT_PORT": service.address.rpartition(":")[2]}
        )

    [lacking] = [each for each in json.loads(examined.stdout) if each["check"] == "role"]
    assert (
        lacking["text"]
        == "the database's user lacks create in the schema read_model; usage in the schema read_model"
    )
    assert examined.returncode == 3


async def _ready(service: Running) -> dict[str, object]:
    async with aiohttp.ClientSession() as session, session.get(f"{service.address}/readyz") as answer:
        said: dict[str, object] = await answer.json()
        return said


async def test_a_database_that_ran_the_first_migration_as_it_was_is_up_to_date(
    database_url: str, tmp_path: Path
) -> None:
    connection = await connect(database_url)
    before = "15ee4f9a81270a6933aa7bcece6f7db4df6f5181ea16fb4597b0740ecb4ac53e"
    try:
        await connection.execute("update log.migrations set checksum = $1 where name = '0001_log'", before)
        assert await pending_migrations(connection) == []
        assert await migrate(connection) == []
        await connection.execute("update log.migrations set checksum = 'another' where name = '0001_log'")
        with pytest.raises(MigrationChanged):
            await pending_migrations(connection)
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a;b", "x" * 64])
async def test_what_is_no_name_of_a_role_is_refused(name: str) -> None:
    told = await recount("sql", "grants", "--service", name)

    assert (told.returncode, "is no name of a role" in told.stderr) == (2, True)


async def test_what_a_reader_is_granted_is_printed() -> None:
    told = await recount("sql", "grants", "Analyst", "--personal", "--product", "7")

    assert told.returncode == 0, told.stderr
    assert 'grant usage on schema board_7 to "Analyst";' in told.stdout
    assert "board_7.users_personal" in told.stdout
    assert "{" not in told.stdout


@pytest.mark.parametrize(
    "given", [["--personal"], ["--product", "7"], ["analyst", "--service", "recount"], ["a b"]]
)
async def test_options_that_say_nothing_of_a_reader_are_refused(given: list[str]) -> None:
    told = await recount("sql", "grants", *given)

    assert (told.returncode, told.stdout) == (2, "")


def test_a_role_s_name_is_quoted() -> None:
    text = service_grants("Recount-1@x")

    assert 'to "Recount-1@x"' in text
    assert "rolname = 'Recount-1@x'" in text
    assert "{" not in text
