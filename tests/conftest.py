"""One Postgres for the whole run, and a fresh database for each test.

The server is, in this order: what RECOUNT_TEST_DATABASE_URL or RECOUNT_DATABASE_URL names (its user must be
allowed to create databases), a testcontainers Postgres where a Docker engine answers, an embedded one.
`--postgres=15` runs an embedded one of that version, from the system's packages; `--postgres=/a/folder` one
of the programs there.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog

from service.lines import set_up_lines
from service.log.database import open_pool
from service.postgres.binaries import find_binaries
from service.postgres.embedded import temporary_postgres
from tests.given import made_once
from tests.given.chromium import Chromium, chromium
from tests.given.first_start import begin
from tests.given.folders import GIVEN
from tests.given.long_files import LONGEST_FIRST

_NOT_CHECKED = os.environ.get(
    "RECOUNT_TEST_NOT_CHECKED"
)  # `make test` writes there what it left out before us
# Nothing of it outlives the run, and hardly a database the next look at its tables; tests that end a Postgres
# in the middle of its work, or copy it to a replica, start one of their own.
_HASTY = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_ROOM_BYTES_MIN = 8 * 2**30
_DATABASE_URL = os.environ.get("RECOUNT_TEST_DATABASE_URL") or os.environ.get("RECOUNT_DATABASE_URL")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres", metavar="MAJOR", help="the system's PostgreSQL of this version, or a folder of programs"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Forget the settings of whoever runs the tests: each test says what it needs."""
    for name in [name for name in os.environ if name.startswith("RECOUNT_")]:
        del os.environ[name]
    if hasattr(config, "workerinput"):
        made_once.place = Path(config.workerinput["made_once"])
    else:
        config.option.loadscopereorder = False  # else xdist begins with the files that have the most tests
        # Else whoever ends a run leaves what it made, in memory too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _work_in_memory(config)
        made = tempfile.TemporaryDirectory(prefix="recount-made-")
        config.add_cleanup(made.cleanup)
        made_once.place = Path(made.name)
    # Where services leave word that they run: commands are to find those of this process's tests alone.
    own = tempfile.TemporaryDirectory(prefix="recount-tests-")
    config.add_cleanup(own.cleanup)
    os.environ["XDG_RUNTIME_DIR"] = own.name


def _work_in_memory(config: pytest.Config) -> None:
    """Have temporary folders in memory, if it has room: on a disk a database costs ten times as much."""
    place = Path("/dev/shm")
    if not place.is_dir() or not os.access(place, os.W_OK) or os.statvfs(place).f_flag & os.ST_NOEXEC:
        return
    available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    if min(shutil.disk_usage(place).free, int(available[1]) * 1024 if available else 0) < _ROOM_BYTES_MIN:
        return
    folder = tempfile.TemporaryDirectory(prefix="r-", dir=place)
    config.add_cleanup(folder.cleanup)
    os.chmod(folder.name, 0o711)  # as /tmp is: Postgres is another user where we are root
    os.environ["TMPDIR"] = folder.name
    tempfile.tempdir = None


def pytest_collection_finish() -> None:
    """Keep what the tests are made of from the garbage collector, which spends most of its time on it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # it looked far more often than it found anything: a twentieth of the time


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` is: half as many again as cores, as each waits for a third of its time."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with the files that take longest."""
    if hasattr(config, "workerinput"):
        places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process of a run which Postgres the environment had named, and what they all share."""
    node.workerinput["database_url"] = _DATABASE_URL
    node.workerinput["made_once"] = str(made_once.place)


def pytest_report_header(config: pytest.Config) -> str:
    if _DATABASE_URL:
        return "postgres: the one that the environment names"
    return f"postgres: {'of Docker' if _docker_answers() else 'embedded'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what this run did not try, and why: a skip is no pass."""
    skipped = terminalreporter.stats.get("skipped", [])
    lines = [f"{report.nodeid}: {_reason(report)}" for report in skipped]
    lines += Path(_NOT_CHECKED).read_text().splitlines() if _NOT_CHECKED else []
    if lines:
        terminalreporter.section("NOT TESTED ON THIS MACHINE", sep="!", yellow=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, yellow=True)


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


@pytest.fixture(scope="session")
async def server_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of a database on the run's server, by whose user others can be made."""
    wanted: str | None = request.config.getoption("--postgres")
    named = getattr(request.config, "workerinput", {"database_url": _DATABASE_URL})["database_url"]
    if wanted is None and named:
        yield named
    elif wanted is None and _docker_answers():
        from testcontainers.community.postgres import PostgresContainer

        hasty = ["postgres", *(f"--{name}={value}" for name, value in _HASTY.items())]
        with PostgresContainer("postgres:18", driver=None).with_command(hasty) as container:
            yield container.get_connection_url()
    else:
        bindir = None
        if wanted is not None:
            bindir = find_binaries(major=int(wanted)).folder if wanted.isdecimal() else Path(wanted)
        async with temporary_postgres(bindir, _HASTY) as postgres:
            yield postgres.dsn


@pytest.fixture(scope="session")
async def template(server_url: str) -> AsyncIterator[str]:
    """The name of a database, migrated and with an empty read model, that the tests' are copied from."""
    async with migrated(server_url) as name:
        yield name


@pytest.fixture
async def database_url(server_url: str, template: str) -> AsyncIterator[str]:
    """The address of a fresh, migrated database of this test's own."""
    async with _new_database(server_url, template) as url:
        yield url


@pytest.fixture
async def empty_database_url(server_url: str) -> AsyncIterator[str]:
    """The address of a fresh database in which nothing was migrated yet."""
    async with _new_database(server_url) as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on this test's own database."""
    opened = await open_pool(database_url, min_size=1, max_size=10, application_name="recount-tests")
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the service logs, libraries included, as `recount serve` sets it up. What was comes back."""
    before = structlog.get_config()
    monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers[:])
    monkeypatch.setattr("service.lines._plain", None)
    for module, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (warnings, "showwarning")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    stream = io.StringIO()
    set_up_lines(stream=stream)
    yield stream
    structlog.configure(**before)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the JavaScript clients and conformance suites; skips where they are not installed."""
    folder = GIVEN / "node" / "node_modules"
    if not folder.exists():
        pytest.skip("the packages of tests/given/node are not installed (make test does it where node is)")
    return folder


@pytest.fixture(scope="session")
async def browsers() -> AsyncIterator[Chromium]:
    """A Chromium, for one tab after another; skips where there is none."""
    async with chromium() as running:
        yield running


@asynccontextmanager
async def migrated(server_url: str) -> AsyncIterator[str]:
    """Make a database as a first start leaves it; yields its name."""
    async with _new_database(server_url) as url:
        await begin(url)
        yield _name_of(url)


@asynccontextmanager
async def _new_database(server_url: str, template: str = "template1") -> AsyncIterator[str]:
    name = f"recount_test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(server_url)
    try:
        # Copying files takes half of the processor that logging their pages does, but waits for the disk.
        copied = "file_copy" if await connection.fetchval("show fsync") == "off" else "wal_log"
        await connection.execute(f'create database "{name}" template "{template}" strategy {copied}')
        try:
            yield _on_database(server_url, name)
        finally:
            await connection.execute(f'drop database "{name}" with (force)')
    finally:
        await connection.close()


def _on_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


@cache
def _docker_answers() -> bool:
    """Whether a Docker engine answers; the command alone says nothing."""
    import docker
    from docker.errors import DockerException

    with warnings.catch_warnings():
        # Without an engine the client leaves its half-open sockets to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env(timeout=5)
            try:
                return bool(client.ping())
            finally:
                client.close()
        except DockerException:
            return False
        finally:
            gc.collect()
