"""Opens connections to Postgres and brings a database up to the newest migration."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import asyncpg
import structlog

from service.dsn import Dsn
from service.errors import (
    DatabaseReadsOnly,
    DatabaseUnreachable,
    DatabaseUnsuitable,
    MigrationChanged,
    MigrationUnknown,
    RoleLacksPrivilege,
    reason_of,
)
from service.lines import Seldom
from service.log.connecting import Connection as Connection
from service.log.connecting import open_connection
from service.sql_files import load

PooledConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

POSTGRES_FAILURES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Raised instead of a lost connection when the server ended the session between two statements.
    asyncpg.InternalClientError,
)
"""What a statement raises when Postgres refuses it, goes away or does not answer."""

NOT_MADE: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
"""What a statement raises whose tables were not made yet."""

NO_CONNECTION: Final = (*POSTGRES_FAILURES, ValueError)
"""What opening a connection raises: files of passwords that cannot be read as such are ValueErrors."""

CONNECT_SECONDS_MAX: Final = 5.0
GIVEN_UP_SECONDS_MAX: Final = 5.0
IN_USE_SECONDS: Final = 2.0
"""After which a change of tables that were in use is tried again."""
STATEMENTS_CACHED_MAX: Final = 100
STATEMENT_BYTES_MAX: Final = 256 * 1024

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
# What a file read like before it was changed: it made the same, or what a later one makes anew.
_READ_BEFORE: Final = {
    "0001_log": "15ee4f9a81270a6933aa7bcece6f7db4df6f5181ea16fb4597b0740ecb4ac53e",
    "0006_append_batch": "db924c8b5d8215aa0e20740d0894180f84e782519f71fd206c92991ef3a5e289",
    "0008_words_in_python": "b1c6c94a590bd71e6555ac38d20033222b0d7827ce685157d3309380c984bea9",
}
_MIGRATION_NAME: Final = re.compile(r"[0-9]{4}_[a-z_]+\.sql")
_AWAY_CLASSES: Final = ("08", "57P")
"""Connection exceptions; shutdowns, crashes and a server that still starts. From appendix A of its manual."""
_PASSING: Final = ("40", "530", "531", "532", "533", "58")
"""What collides with others; no room, memory or connection left; faults of the machine."""
# The server's words name the user and the database.
_REFUSALS: Final[dict[type, str]] = {
    asyncpg.InvalidPasswordError: "the user or the password is wrong",
    asyncpg.InvalidAuthorizationSpecificationError: "this user may not connect, or not from here",
    asyncpg.InvalidCatalogNameError: "there is no such database",
    asyncpg.InsufficientPrivilegeError: "the user may not connect to the database",
    asyncpg.TooManyConnectionsError: "it has no connection left",
    asyncpg.DiskFullError: "its disk is full",
    asyncpg.CannotConnectNowError: "it is starting or stopping",
    asyncpg.ProtocolViolationError: "a pooler before it takes no options: leave them out of the address",
}
# Where the address is right.
_MENDS: Final[dict[type, str]] = {
    asyncpg.TooManyConnectionsError: "raise max_connections or the limit of the role or database, "
    "or lower RECOUNT_CONNECTIONS_MAX",
    asyncpg.CannotConnectNowError: "ask again once it has started",
    asyncpg.DiskFullError: "make room where its data is",
}
_POSTGRES_MIN: Final = 150000
_ATTEMPTS_MAX: Final = 20

_log = structlog.get_logger(__name__)
_sql = load(__file__, "database.sql")
_T = TypeVar("_T")


class _PooledConnection(asyncpg.Connection):  # type: ignore[misc,type-arg,unused-ignore]
    """A connection whose session is pinned anew after a use, unless that changed nothing of it."""

    __slots__ = ("as_found",)

    def get_reset_query(self) -> str:
        """Return what to run when the connection goes back to its pool; "" saves the round trip."""
        as_found, self.as_found = getattr(self, "as_found", False), False
        return "" if as_found else _sql["reset_session"] + _sql["pin_session"]


class _Pool(asyncpg.pool.Pool):  # type: ignore[misc,type-arg,unused-ignore]
    """A pool that waits only so long for the end of a statement given up, and then drops its connection."""

    async def release(self, connection: PooledConnection, *, timeout: float | None = None) -> None:
        """Take a connection back."""
        # Told on, it would stand in for what ended the use, which may be that the service stops.
        with suppress(TimeoutError):
            await super().release(connection, timeout=timeout or GIVEN_UP_SECONDS_MAX)


def leave_as_found(connection: PooledConnection) -> None:
    """Say that this use of a pool's connection changed nothing of its session: no setting, LISTEN or lock."""
    found: Any = getattr(connection, "_con", None)
    if isinstance(found, _PooledConnection):
        found.as_found = True


async def open_pool(
    dsn: str | Dsn,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str = "recount",
) -> Pool:
    """Return a pool of connections, their sessions pinned to what `pin_session` in database.sql says.

    With a `min_size` of 0 it opens without asking Postgres, which is how a service starts while its Postgres
    is away. Raises InvalidSetting, DatabaseUnreachable.
    """
    address = dsn if isinstance(dsn, Dsn) else Dsn.read(dsn, os.environ)

    async def pin(connection: Connection) -> None:
        await connection.execute(_sql["pin_session"], timeout=CONNECT_SECONDS_MAX)

    try:
        return await _Pool(
            min_size=min_size,
            max_size=max_size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            loop=None,
            record_class=asyncpg.Record,
            connect=open_connection,  # type: ignore[arg-type]
            init=pin,
            connection_class=_PooledConnection,
            # Asyncpg plans longer statements anew each time; what an event changed is asked by one of 20 KB.
            max_cacheable_statement_size=STATEMENT_BYTES_MAX,
            **{"timeout": CONNECT_SECONDS_MAX, **address.arguments()},
            server_settings=address.session(application_name),
        )
    except NO_CONNECTION as error:
        raise _unreachable(address, error) from None


async def close_pool(pool: Pool) -> None:
    """Close what is idle, and whatever does not end within a second."""
    try:
        await asyncio.wait_for(pool.close(), 1)
    except TimeoutError:
        pool.terminate()


async def connect(
    dsn: str,
    *,
    application_name: str = "recount",
    timeout: float = CONNECT_SECONDS_MAX,
    command_timeout: float | None = None,
    statement_cache_size: int = STATEMENTS_CACHED_MAX,
) -> Connection:
    """Return a connection that the caller closes, its session pinned as those of a pool.

    Raises InvalidSetting, DatabaseUnreachable.
    """
    address = Dsn.read(dsn, os.environ)
    try:
        connection = await open_connection(
            command_timeout=command_timeout,
            statement_cache_size=statement_cache_size,
            **{"timeout": timeout, **address.arguments()},
            server_settings=address.session(application_name),
        )
        try:
            await connection.execute(_sql["pin_session"], timeout=timeout)
        except BaseException:
            connection.terminate()
            raise
    except NO_CONNECTION as error:
        # Not as its cause: what the driver and the server say quotes the address.
        raise _unreachable(address, error) from None
    return connection


@asynccontextmanager
async def taken_back(connection: Connection | PooledConnection, **options: Any) -> AsyncIterator[None]:
    """Begin a transaction, or a savepoint inside of one, of which nothing stays."""
    trial = connection.transaction(**options)
    await trial.start()
    try:
        yield
    finally:
        await trial.rollback()


async def refuse_shared_sessions(dsn: str, connection: Connection) -> None:
    """Raise DatabaseUnsuitable where a pooler gives each transaction the session of another.

    Nothing that a session holds would last there: its settings, its LISTEN, what it prepared.
    """

    @asynccontextmanager
    async def another() -> AsyncIterator[Connection]:
        other = await connect(dsn)
        try:
            yield other
        finally:
            await other.close()

    if await shares_sessions(connection, another):
        raise DatabaseUnsuitable(
            "a pooler in transaction mode before it",
            "sessions of its own: give Postgres's own address, or the pooler's in session mode",
        )


async def shares_sessions(
    connection: Connection | PooledConnection,
    another: Callable[[], AbstractAsyncContextManager[Connection | PooledConnection]],
) -> bool:
    """Whether a connection is given the session of `another` one to the same place.

    Only a pooler tells another process's number at the connecting than the one that answers.
    """
    try:
        ours = await connection.fetchval(_sql["session"])
        if ours == connection.get_server_pid():
            return False
        async with another() as other, other.transaction():  # which keeps the session that it was given
            shared: bool = ours == await other.fetchval(_sql["session"])
            return shared or ours != await connection.fetchval(_sql["session"])
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        return True  # by whoever prepared it there, or by us in a session of before


def is_away(error: BaseException) -> bool:
    """Tell whether an error says that Postgres was lost or not reached, and nothing of what it was asked."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_AWAY_CLASSES)
    if isinstance(error, OSError) and error.filename is not None:
        return False  # about a file of ours; those about a connection name none, not even that of its socket
    # asyncpg.InterfaceError is also what it says to an argument that does not fit; those are ValueErrors.
    return isinstance(error, POSTGRES_FAILURES) and not isinstance(error, ValueError)


def may_pass(error: BaseException) -> bool:
    """Tell whether the same may go well in a moment: Postgres is away, busy, or out of room."""
    return is_away(error) or (
        isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_PASSING)
    )


def _unreachable(address: Dsn, error: Exception) -> DatabaseUnreachable:
    """Return an error that says why there is no connection, in words that repeat nothing of the address."""
    if isinstance(error, asyncpg.PostgresError):
        told = _REFUSALS.get(type(error), type(error).__name__)
        return DatabaseUnreachable(f"{told}, {error.sqlstate}", answers=True, mend=_MENDS.get(type(error)))
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return DatabaseUnreachable(
            "none of its hosts is as target_session_attrs wants, by default one that takes writes",
            answers=True,
        )
    if unreadable := address.unreadable():
        return DatabaseUnreachable(f"the file that its {unreadable} names cannot be read, or not by us alone")
    if isinstance(error, OSError) and "rejected SSL" in str(error):
        return DatabaseUnreachable("it takes no TLS")
    return DatabaseUnreachable(reason_of(error))


@contextmanager
def as_refused() -> Iterator[None]:
    """Turn what a role may not do, or a server that only reads, into an error that says what to do.

    Raises RoleLacksPrivilege, DatabaseReadsOnly.
    """
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise RoleLacksPrivilege(_refused_object(error)) from None
    except asyncpg.ReadOnlySQLTransactionError:
        raise DatabaseReadsOnly from None


def _refused_object(error: asyncpg.PostgresError) -> str | None:
    """Return what Postgres refused, where that is one of ours: of a database it says the name."""
    found = re.search(r"(schema|table|function|view|type) (\S+)$", error.message or "")
    return f"{found[1]} {found[2]}" if found else None


class Migration(NamedTuple):
    """One file of service/log/migrations."""

    name: str
    checksum: str
    sql: str


def migrations(folder: Path = _MIGRATIONS) -> Iterator[Migration]:
    """Give the migrations in their order."""
    for path in sorted(folder.glob("*.sql")):
        if not _MIGRATION_NAME.fullmatch(path.name):
            raise ValueError(f"{path.name}: a migration is called NNNN_what_it_does.sql")
        text = path.read_text(encoding="utf-8")
        yield Migration(path.stem, hashlib.sha256(text.encode()).hexdigest(), text)


async def migrate(connection: Connection, folder: Path = _MIGRATIONS) -> list[str]:
    """Run the migrations that this database has not run, and return their names.

    Forward only, each in a transaction of its own together with its line in `log.migrations`. Several
    processes may start at once: the list is locked, so that one runs each and the others find it done.
    Raises MigrationChanged, MigrationUnknown, DatabaseUnsuitable.
    """
    await _check_suitable(connection)
    known = list(migrations(folder))
    if not await pending_migrations(connection, folder):
        return []
    await make_missing(connection, _sql["make_migrations"])
    return [
        migration.name
        for migration in known
        if await _unless_in_use(connection, partial(_run, connection, known, migration))
    ]


async def _run(connection: Connection, known: list[Migration], migration: Migration) -> bool:
    """Run a migration unless that was done; returns whether it was run."""
    await connection.execute(_sql["lock_migrations"])
    done = {row["name"]: row["checksum"] for row in await connection.fetch(_sql["migrations_done"])}
    _check(known, done)
    if migration.name in done:
        return False
    await connection.execute(migration.sql)
    await connection.execute(_sql["note_migration"], migration.name, migration.checksum)
    return True


async def _unless_in_use(
    connection: Connection | PooledConnection, change: Callable[[], Awaitable[_T]]
) -> _T:
    """Change tables in a transaction; while somebody uses one for longer, try again and say so.

    A change that waits has everybody behind it wait as well: beside a pg_dump, every append for its hours.
    """
    seldom = Seldom()
    while True:
        try:
            async with connection.transaction():
                await connection.execute(_sql["wait_briefly"])
                return await change()
        except asyncpg.LockNotAvailableError:
            if times := seldom.times():
                note = "a change of tables waits for who uses them, such as a pg_dump or another start"
                _log.warning("tables_in_use", note=note, times=times)
        await asyncio.sleep(IN_USE_SECONDS)


async def pending_migrations(connection: Connection, folder: Path = _MIGRATIONS) -> list[str]:
    """Return the names of the migrations that this database has not run; changes nothing."""
    known = list(migrations(folder))
    done: dict[str, Any] = {}
    if await connection.fetchval(_sql["migrations_exist"]):
        done = {row["name"]: row["checksum"] for row in await connection.fetch(_sql["migrations_done"])}
        _check(known, done)
    return [migration.name for migration in known if migration.name not in done]


async def _check_suitable(connection: Connection) -> None:
    row = await connection.fetchrow(_sql["suitable"])
    assert row is not None
    if row["version"] < _POSTGRES_MIN:
        raise DatabaseUnsuitable(f"PostgreSQL {row['version'] // 10000}", "PostgreSQL 15 or later")
    if row["encoding"] != "UTF8":
        raise DatabaseUnsuitable(
            f"the encoding {row['encoding']}", "UTF8 (create database … encoding 'UTF8')"
        )
    if row["triggers"] != "origin":
        raise DatabaseUnsuitable(
            f"session_replication_role = {row['triggers']}, which lets what is recorded be changed",
            "origin (alter role … reset session_replication_role)",
        )


async def make_missing(connection: Connection | PooledConnection, statements: str) -> None:
    """Run `create … if not exists`, which is no lock: of several at once, some fail, and look again."""
    for attempt in range(_ATTEMPTS_MAX):
        try:
            await _unless_in_use(connection, partial(connection.execute, statements))
            return
        except (
            asyncpg.UniqueViolationError,
            asyncpg.DuplicateObjectError,
            asyncpg.DuplicateTableError,
            asyncpg.DuplicateSchemaError,
            asyncpg.DuplicateFunctionError,
            asyncpg.InternalServerError,  # "tuple concurrently updated"
        ):
            if attempt == _ATTEMPTS_MAX - 1:
                raise


def _check(known: list[Migration], done: dict[str, str]) -> None:
    checksums = {migration.name: migration.checksum for migration in known}
    for name, checksum in done.items():
        if name not in checksums:
            raise MigrationUnknown(name)
        if checksum not in (checksums[name], _READ_BEFORE.get(name)):
            raise MigrationChanged(name)
