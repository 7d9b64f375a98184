"""Through pgbouncer: in session mode all is as without it, in transaction mode it is refused at the start."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import asyncpg
import pytest

from service.config import load_settings
from service.dsn import Dsn
from service.errors import DatabaseUnsuitable
from service.log.database import connect, open_pool, refuse_shared_sessions
from service.log.event_store import Appended, EventStore
from service.operate.doctor import check_database
from tests.given.bodies import a_body, an_event
from tests.given.proxy import proxy_before
from tests.given.running import recount
from tests.given.serving import serving
from tests.given.waiting import eventually

Pooler = Callable[[str], AbstractAsyncContextManager[str]]


@pytest.fixture
def pooler(database_url: str) -> Pooler:
    """Runs pgbouncer in a mode before this test's database, and gives the address through it."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")

    @asynccontextmanager
    async def run(mode: str) -> AsyncIterator[str]:
        folder = Path(mkdtemp(prefix="pgbouncer-"))
        folder.chmod(0o777)
        settings = folder / "pgbouncer.ini"
        # By a proxy: the server's socket may be closed to the user that pgbouncer runs as.
        async with proxy_before(database_url) as (proxy, _):
            there = Dsn.read(database_url, {}).arguments()
            where = f"host=127.0.0.1 port={proxy.port} dbname={there['database']} user={there['user']}"
            where += f" password={there['password']}" if there["password"] else ""
            settings.write_text(
                f"[databases]\nboard = {where}\n"
                f"[pgbouncer]\nauth_type = any\npool_mode = {mode}\nunix_socket_dir = {folder}\n"
            )
            as_user = ["-u", "nobody"] if os.getuid() == 0 else []
            process = await asyncio.create_subprocess_exec(program, "-q", *as_user, settings)
            try:
                await eventually(lambda: (folder / ".s.PGSQL.6432").exists())
                yield f"postgresql://{there['user']}@/board?host={folder}&port=6432"
            finally:
                process.terminate()
                await process.wait()
                shutil.rmtree(folder)

    return run


async def test_through_a_pooler_in_session_mode_sessions_are_pinned_and_all_is_recorded(
    pooler: Pooler, database_url: str
) -> None:
    owner = await asyncpg.connect(database_url)
    name = await owner.fetchval("select quote_ident(current_database())")
    await owner.execute(f"alter database {name} set default_transaction_isolation to 'serializable'")
    async with pooler("session") as through:
        connection = await connect(through)
        await refuse_shared_sessions(through, connection)
        await connection.close()

        pool = await open_pool(through, min_size=2, max_size=2)
        store = EventStore(pool)
        assert await store.append([an_event(1)]) == [Appended(1, False)]
        await store.close()
        for _ in range(4):
            assert await pool.fetchval("show transaction_isolation") == "read committed"
        await pool.close()
    await owner.close()


async def test_a_pooler_in_transaction_mode_is_refused_with_what_to_do(pooler: Pooler) -> None:
    async with pooler("transaction") as through:
        connection = await connect(through)
        with pytest.raises(DatabaseUnsuitable, match=r"a pooler in transaction mode .* in session mode"):
            await refuse_shared_sessions(through, connection)
        await connection.close()


async def test_the_start_and_the_doctor_name_a_pooler_in_transaction_mode(
    pooler: Pooler, tmp_path: Path
) -> None:
    async with pooler("transaction") as through:
        env = {"RECOUNT_DATABASE_URL": through, "RECOUNT_DATA_DIR": str(tmp_path), "RECOUNT_PORT": "0"}
        for command in ("serve", "doctor"):
            ended = await recount(command, env=env)

            assert ended.returncode != 0
            assert "a pooler in transaction mode" in (ended.stdout + ended.stderr).replace("\n", " ")


async def test_a_pooler_in_transaction_mode_before_a_replica_is_named_and_the_primary_is_read(
    pooler: Pooler, database_url: str, tmp_path: Path, lines: io.StringIO
) -> None:
    async with pooler("transaction") as through:
        settings = {"database_url": database_url, "read_url": through, "data_dir": str(tmp_path)}
        async with serving(settings | {"port": "0", "webhook_keys": "key"}) as started:
            await started.post(a_body(1))

            async def is_named() -> bool:
                await started.ask("{ events { totalCount } }")
                return started.service.replicas.all[0].found.state == "SHARED"

            await eventually(is_named, 60)
            answer = await started.ask("{ events(minPosition: 1) { totalCount } }")
            assert answer["data"]["events"]["totalCount"] == 1

        assert lines.getvalue().count("is behind a pooler in transaction mode: not read") == 1
        given = load_settings({}, database_url=database_url, read_url=through)
        [found] = [each for each in await check_database(given, database_url) if each.check == "replicas"]
        assert "is behind a pooler in transaction mode" in found.text


async def test_a_pooler_in_session_mode_before_a_replica_is_read_through(
    pooler: Pooler, database_url: str, tmp_path: Path
) -> None:
    async with pooler("session") as through:
        settings = {"database_url": database_url, "read_url": through, "data_dir": str(tmp_path)}
        async with serving(settings | {"port": "0", "webhook_keys": "key"}) as started:

            async def is_read() -> bool:
                await started.ask("{ events { totalCount } }")
                return started.service.replicas.all[0].found.state == "WELL"

            await eventually(is_read, 60)


async def test_without_a_pooler_nothing_is_refused(database_url: str) -> None:
    connection = await connect(database_url)
    await refuse_shared_sessions(database_url, connection)
    await connection.close()
