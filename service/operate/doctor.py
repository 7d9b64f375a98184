"""Looks at all that has to be right for deliveries to arrive and stay, and says how to mend the rest."""

from __future__ import annotations

import errno
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Final

import asyncpg

from projections.read_model import KNOWN_SINCE, tables
from projections.status import lateness, status
from schema.declare.blocks import put
from service.backfill.sweeps import standing
from service.config import Settings
from service.errors import DatabaseUnreachable, RecountError
from service.hosts import is_loopback
from service.intake.spool import FOLDER_NAME, damaged_files
from service.log.database import POSTGRES_FAILURES, Connection, connect, pending_migrations
from service.log.known import KnownDatabase
from service.operate.cells import check_cells
from service.operate.finding import Finding, State, fine, note, problem
from service.operate.gauges import silences
from service.operate.labels_file import check_labels
from service.operate.log_tables import check_log_tables
from service.operate.reach import check_reach, check_service
from service.operate.replication import check_replication
from service.operate.rules import check_rules
from service.operate.views import check_views
from service.sql_files import load
from service.web.key_files import DIGESTS_FILE, LOCAL_KEY_FILE, KeyFiles

CLOCKS_APART_SECONDS_MAX: Final = 2.0
SYNC_SECONDS_MAX: Final = 0.05
SYNC_SECONDS_MIN: Final = 0.00002
SYNCS: Final = 9
FREE_BYTES_MIN: Final = 1024**3
CONNECTIONS_BESIDE: Final = 6
"""What is needed beside RECOUNT_CONNECTIONS_MAX: one that listens, and five for a command."""
KEY_ENDS_DAYS_MIN: Final = 7
_NEVER_OFF: Final = {
    "fsync": "acknowledged events can be lost",
    "full_page_writes": "acknowledged events can be lost",
    "autovacuum": "what was replaced is never cleared away, so tables grow and answers become slow",
}
"""Settings with what it costs to have them off. synchronous_commit is on in each session of ours."""

_sql = load(__file__, "doctor.sql")
_KNOWN_SINCE: Final = put(
    _sql["known_since"],
    known_since=put(KNOWN_SINCE, earliest=_sql["earliest"], told="heard.told", now="now()"),
)


async def examine(settings: Settings, dsn: str | None, *, public_url: str | None = None) -> list[Finding]:
    """Return what there is to say. `dsn` is None where no database could be opened; it is then not examined.

    `public_url` is the webhook's URL as entered in Sleekplan, to be tried from here.
    """
    findings = [*check_folder(settings), *check_spool(settings), *check_disk(settings.data_dir)]
    findings += [*check_key_files(settings), *check_api_key(settings), *check_labels(settings)]
    if dsn is not None:
        findings += await check_database(settings, dsn)
    findings += await check_service(settings)
    findings += await check_reach(settings, public_url)
    return findings


# The machine


def check_folder(settings: Settings) -> Iterable[Finding]:
    """The data folder: ours, closed to others, with room."""
    folder = settings.data_dir
    if not folder.exists():
        yield note("data folder", f"{folder} is not there yet; the first start makes it")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield problem("data folder", f"{folder} cannot be written", "give it to this user: chown")
        return
    mode, closed = folder.stat().st_mode & 0o777, f"chmod 700 {quote(str(folder))}"
    if mode & 0o022:
        yield problem("data folder", f"{folder} can be changed by others ({mode:o})", closed)
    elif mode & 0o055:
        told = f"others see the names of the files in {folder} ({mode:o}), which are closed to them"
        yield note("data folder", told, closed)
    free = shutil.disk_usage(folder).free
    needed = max(FREE_BYTES_MIN, settings.spool_bytes_max)
    if free < needed:
        yield problem(
            "disk",
            f"{free / 1024**3:.1f} GiB are free at {folder}, less than the spool may take",
            f"make room, or lower RECOUNT_SPOOL_BYTES_MAX ({settings.spool_bytes_max})",
        )
    else:
        yield fine("disk", f"{free / 1024**3:.1f} GiB are free at {folder}")


def check_api_key(settings: Settings) -> Iterable[Finding]:
    """Whether there is a key of Sleekplan's API; what it may read, `recount backfill --dry-run` finds out."""
    products = [key.product_id for key in settings.sleekplan_api_key]
    if products:
        which = ", ".join("any product" if each is None else f"product {each}" for each in products)
        used = f"it is used at {settings.sleekplan_api_url}"
        yield fine("api key", f"a key of Sleekplan's API is set, for {which}; {used}")


def check_disk(folder: Path) -> Iterable[Finding]:
    """How long the disk takes to make a write safe: nothing can be acknowledged faster."""
    if not folder.exists():
        return
    try:
        seconds = statistics.median(_sync_seconds(folder))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "make room" if full else "replace the disk, or move the folder"
        yield problem("fsync", f"fsync fails in {folder}: {error.strerror}", mend)
        return
    told = f"a synced write takes {seconds * 1000:.2f} ms"
    if seconds > SYNC_SECONDS_MAX:
        yield problem("fsync", told, "put the data folder and Postgres's WAL on a faster disk")
    elif seconds < SYNC_SECONDS_MIN:
        yield note(
            "fsync", f"{told}: nothing that is a disk is as fast", "is this memory, or a disk that lies?"
        )
    else:
        yield fine("fsync", told)


def _sync_seconds(folder: Path) -> list[float]:
    times = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.write(file.fileno(), b"x" * 4096)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return times


def check_spool(settings: Settings) -> Iterable[Finding]:
    """What an earlier run left in the spool."""
    folder = settings.data_dir / FOLDER_NAME
    waiting = sum(path.stat().st_size for path in folder.glob("*.spool"))
    damaged = [path.name for path in damaged_files(folder)]
    if damaged:
        yield problem(
            "spool",
            f"{len(damaged)} files could not be read in full: {', '.join(damaged[:3])}",
            f"what could be read is recorded; look at the disk, keep or delete the files in {folder}",
        )
    if waiting:
        yield note(
            "spool",
            f"{waiting} bytes of deliveries wait for Postgres",
            "the service drains them once Postgres takes writes; start it where it is stopped",
        )
    elif not damaged:
        yield fine("spool", "empty")


def check_key_files(settings: Settings) -> Iterable[Finding]:
    """What the data folder tells of keys: for its owner alone, and for a start without Postgres."""
    for name in (LOCAL_KEY_FILE, DIGESTS_FILE):
        path = settings.data_dir / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield problem("keys", f"{path} can be read by other users", f"chmod 600 {quote(str(path))}")
    database = KnownDatabase(settings.data_dir, settings.database_url)
    if settings.database_url is None or not database.has_answered():
        return
    known = KeyFiles(database).stored()
    if known is None:
        yield note(
            "keys",
            "the data folder does not tell those of the database: after a start without Postgres, deliveries "
            "with them get 503 until it answers",
            "start the service while Postgres answers",
        )
    else:
        yield fine("keys", f"{len(known)} of the database are known without Postgres, too")


# Postgres and the log


async def check_database(settings: Settings, dsn: str) -> list[Finding]:
    """Postgres, its settings and clock, and the state of the log."""
    try:
        connection = await connect(dsn, application_name="recount doctor")
    except DatabaseUnreachable as error:
        return [problem("Postgres", error.what, error.mend)]
    findings: list[Finding] = []
    try:
        for check in (
            _settings_of_postgres,
            check_replication,
            _role,
            _migrations,
            check_cells,
            _clock,
            check_log_tables,
            _kept_events,
            _projections,
            _keys,
            _silence,
            _sweeps,
            _known_since,
            check_rules,
            check_views,
        ):
            try:
                findings += [finding async for finding in check(settings, connection)]
            except POSTGRES_FAILURES as error:
                asked = f"{type(error).__name__} at {check.__name__.strip('_').replace('_', ' ')}"
                findings.append(problem("Postgres", asked, "look at Postgres's log"))
            if check is _migrations and findings[-1].state is State.PROBLEM:
                break  # what the others ask for is not there, or is another version's
    finally:
        await connection.close()
    return findings


async def _settings_of_postgres(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    found = {row["name"]: row["setting"] for row in await connection.fetch(_sql["settings"])}
    major = int(found["server_version_num"]) // 10000
    if major < 15:
        yield problem(
            "Postgres", f"version {found['server_version']}", "the log needs PostgreSQL 15 or later"
        )
    else:
        yield fine("Postgres", f"version {found['server_version']}")
    for name, costs in _NEVER_OFF.items():
        if found[name] == "off":
            yield problem("Postgres", f"{name} is off: {costs}", f"set {name} = on")
    if found["data_checksums"] != "on":
        yield note(
            "Postgres", "data checksums are off, so a bad disk goes unnoticed", "pg_checksums --enable"
        )
    used = await connection.fetchval(_sql["connections"])
    left = int(found["max_connections"]) - used
    needed = settings.connections_max + CONNECTIONS_BESIDE
    if left < needed:
        yield problem(
            "Postgres",
            f"{left} of {found['max_connections']} connections are left; "
            f"an instance and a command take {needed}",
            "raise max_connections, or lower RECOUNT_CONNECTIONS_MAX",
        )


async def _role(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    lacking = [row["what"] for row in await connection.fetch(_sql["lacking"])]
    if lacking:
        yield problem(
            "role",
            f"the database's user lacks {'; '.join(lacking)}",
            "have an administrator run what this prints: recount sql grants",
        )
    else:
        yield fine("role", "may do all that is needed")


async def _clock(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    began = time.time()
    row = await connection.fetchrow(_sql["clock"])
    ended = time.time()
    assert row is not None
    apart = row["now"].timestamp() - (began + ended) / 2
    slack = CLOCKS_APART_SECONDS_MAX + (ended - began) / 2
    if abs(apart) > slack:
        yield problem(
            "clock", f"Postgres's clock is {apart:+.1f} s off ours", "run a time service on both machines"
        )
    else:
        yield fine("clock", f"within {abs(apart) + (ended - began) / 2:.3f} s of Postgres's")
    if row["newest_at"] and (row["newest_at"] - row["now"]).total_seconds() > CLOCKS_APART_SECONDS_MAX:
        yield problem(
            "clock",
            f"the newest event is dated ahead: {row['newest_at']:%Y-%m-%d %H:%M:%S}",
            "the clock went back; new events repeat that time until it has caught up",
        )


async def _migrations(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    try:
        pending = await pending_migrations(connection)
    except RecountError as error:
        yield problem("database", str(error), "run the version that this database belongs to")
        return
    if pending:
        yield problem("database", f"not up to date: {', '.join(pending)}", "recount migrate")
    else:
        yield fine("database", "up to date")


async def _kept_events(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    quarantined = await connection.fetchval("select count(*) from log.quarantine where state = 'open'")
    if quarantined:
        yield note("quarantine", f"{quarantined} deliveries wait for a decision", "recount quarantine list")
    else:
        yield fine("quarantine", "nothing waits")
    if await connection.fetchval(_sql["not_replayed"]):
        yield problem(
            "erasure", "one was cut off before the read model was counted again", "recount erase --again"
        )


async def _projections(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    found = await status(connection)
    said: dict[tuple[str, str | None], list[str]] = {}
    for each in found:
        said.setdefault((each.state, each.last_error), []).append(each.name)
    for (state, error), names in said.items():
        who = ", ".join(names)
        if state == "FAILED":
            yield problem(
                "projections",
                f"{who}: {error}",
                "mend that; a step is tried again by itself, a rebuild by: recount rebuild",
            )
        elif state == "STUCK":
            yield problem("projections", f"{who}: behind the log, and not moving", "recount serve")
        elif state == "OUTDATED":
            yield note(
                "projections",
                f"{who}: counted by other rules than today's",
                "the service rebuilds them; or: recount rebuild",
            )
        elif state == "ABSENT":
            yield note(
                "projections",
                f"{who}: not installed here, tables as they were",
                "install it again; to be rid of it: "
                + "; ".join(f"recount projections drop {name}" for name in names),
            )
    if late := lateness(each for each in found if each.state == "CATCHING_UP"):
        yield problem(
            "projections", late, "recount serve; where it runs, look at its log, or let it have its time"
        )
    else:
        behind = max((each.lag_events for each in found if each.state != "ABSENT"), default=0)
        yield fine("projections", f"{behind} events behind the log" if behind else "as far as the log")
    if found and (parked := await connection.fetchval(_sql["parked"])):
        yield problem("projections", f"{parked} events could not be applied", "recount parked list")


async def _keys(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    rows = await connection.fetch(_sql["keys"])
    webhook = [row for row in rows if row["kind"] == "WEBHOOK"]
    made = (settings.data_dir / LOCAL_KEY_FILE).exists()
    if not webhook and not settings.webhook_keys and not made:
        if is_loopback(settings.host):
            yield note("keys", "there is none; the next start makes one")
        else:
            yield problem("keys", "there is none, so nothing can be delivered", "recount keys add sleekplan")
    else:
        stored = ", ".join(row["label"] for row in webhook) or "none"
        given = f"{len(settings.webhook_keys)} from the settings{', one made here' if made else ''}"
        yield fine("keys", f"{given}; in the database: {stored}")
    if made and (webhook or settings.webhook_keys):
        yield note(
            "keys",
            "the one made at the first start opens beside the others",
            f"once Sleekplan has another: recount keys revoke {LOCAL_KEY_FILE}",
        )
    for row in rows:
        ends = row["expires_at"]
        if ends and (ends - datetime.now(UTC)).days < KEY_ENDS_DAYS_MIN:
            yield problem(
                "keys",
                f"{row['label']} ends {ends:%Y-%m-%d %H:%M} UTC",
                f"recount keys rotate {quote(row['label'])}",
            )
        if row["last_used_at"] is None:
            yield note("keys", f"{row['label']} was never used")


async def _silence(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    products = await silences(connection)
    if not products:
        yield note(
            "events",
            "none recorded yet",
            "enter the webhook's URL in Sleekplan: Settings, Integrations, Webhooks",
        )
    for product in products:
        if product.is_alarming(settings.silent_after_days):
            yield problem(
                "events",
                str(product),
                "compare the webhook's URL and key in Sleekplan with ours; is it switched on?",
            )
        else:
            yield fine("events", str(product))


async def _sweeps(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    for each in await standing(connection):
        name = f"the last {each.kind.lower()} of product {each.product_id} is {each.state.lower()}"
        if each.completed_at is None:
            told = f"{name}, and none was ever complete"
        else:
            told = f"{name}; a complete one ended {_day(datetime.fromtimestamp(each.completed_at, UTC))}"
        if each.state in ("PARTIAL", "STOPPED"):
            again = f"recount {each.kind.lower()} --product {each.product_id}"
            missing = "recount sweeps list, then show, say what is missing"
            yield problem("sweeps", told, f"{again} goes on with it; {missing}")
        else:
            yield fine("sweeps", told)


async def _known_since(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    generation = await tables(connection)
    if "event_facts" not in generation.names:
        return
    try:
        known = await connection.fetch(generation.fill(_KNOWN_SINCE))
    except asyncpg.UndefinedTableError:
        return  # a rebuild has dropped it meanwhile; how the projections are is said above
    filled = {
        each.product_id
        for each in await standing(connection)
        if each.kind == "BACKFILL" and each.completed_at
    }
    for row in known:
        since = f"product {row['product_id']}: every event since {_day(row['since'])}"
        if row["product_id"] in filled:
            yield fine("history", f"{since}; of before, what a back-fill found")
        elif settings.sleekplan_api_key:
            yield note("history", f"{since}; of before, nothing", "recount backfill")
        else:
            yield fine("history", f"{since}; of before, nothing: docs/backfill.md says how to fetch it")


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
