"""Looks at all that has to be right for deliveries to arrive and stay, and says how to mend the rest."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp

from projections.status import lateness, status
from service.config import Settings, is_loopback
from service.errors import DatabaseError, DataFolderNotWritable, RecountError, ServiceElsewhere
from service.log.database import POSTGRES_FAILURES, Connection, connect, pending_migrations
from service.log.known import KnownDatabase
from service.operate.gauges import silences
from service.operate.running import address_of_service
from service.sql_files import load
from service.web.key_files import DIGESTS_FILE, LOCAL_KEY_FILE, KeyFiles, key_of_this_machine

CLOCKS_APART_SECONDS_MAX: Final = 2.0
SYNC_SECONDS_MAX: Final = 0.05
SYNC_SECONDS_MIN: Final = 0.00002
SYNCS: Final = 9
FREE_BYTES_MIN: Final = 1024**3
CONNECTIONS_LEFT_MIN: Final = 20
KEY_ENDS_DAYS_MIN: Final = 7
HTTP_SECONDS_MAX: Final = 10.0

_sql = load(__file__, "doctor.sql")


class State(StrEnum):
    """How a check ended. A note is worth knowing; a problem costs events, or will."""

    FINE = "fine"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do about it."""

    check: str
    state: State
    text: str
    mend: str = ""


def _fine(check: str, text: str) -> Finding:
    return Finding(check, State.FINE, text)


def _note(check: str, text: str, mend: str = "") -> Finding:
    return Finding(check, State.NOTE, text, mend)


def _problem(check: str, text: str, mend: str) -> Finding:
    return Finding(check, State.PROBLEM, text, mend)


async def examine(settings: Settings, dsn: str | None, *, public_url: str | None = None) -> list[Finding]:
    """Return what there is to say. `dsn` is None where no database could be opened; it is then not examined.

    `public_url` is the webhook's URL as entered in Sleekplan, to be tried from here.
    """
    findings = [*check_folder(settings), *check_spool(settings), *check_disk(settings.data_dir)]
    findings += check_key_files(settings)
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
        yield _note("data folder", f"{folder} is not there yet; the first start makes it")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield _problem("data folder", f"{folder} cannot be written", "give it to this user: chown")
        return
    mode = folder.stat().st_mode & 0o777
    if mode & 0o022:
        yield _problem("data folder", f"{folder} can be changed by others ({mode:o})", f"chmod 700 {folder}")
    elif mode & 0o055:
        told = f"others see the names of the files in {folder} ({mode:o}), which are closed to them"
        yield _note("data folder", told, f"chmod 700 {folder}")
    free = shutil.disk_usage(folder).free
    needed = max(FREE_BYTES_MIN, settings.spool_bytes_max)
    if free < needed:
        yield _problem(
            "disk",
            f"{free / 1024**3:.1f} GiB are free at {folder}, less than the spool may take",
            f"make room, or lower RECOUNT_SPOOL_BYTES_MAX ({settings.spool_bytes_max})",
        )
    else:
        yield _fine("disk", f"{free / 1024**3:.1f} GiB are free at {folder}")


def check_disk(folder: Path) -> Iterable[Finding]:
    """How long the disk takes to make a write safe: nothing can be acknowledged faster."""
    if not folder.exists():
        return
    try:
        seconds = statistics.median(_sync_seconds(folder))
    except OSError as error:
        yield _problem(
            "fsync", f"fsync fails in {folder}: {error.strerror}", "replace the disk, or move the folder"
        )
        return
    told = f"a synced write takes {seconds * 1000:.2f} ms"
    if seconds > SYNC_SECONDS_MAX:
        yield _problem("fsync", told, "put the data folder and Postgres's WAL on a faster disk")
    elif seconds < SYNC_SECONDS_MIN:
        yield _note(
            "fsync", f"{told}: nothing that is a disk is as fast", "is this memory, or a disk that lies?"
        )
    else:
        yield _fine("fsync", told)


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
    folder = settings.data_dir / "spool"
    waiting = sum(path.stat().st_size for path in folder.glob("*.spool")) if folder.exists() else 0
    damaged = sorted(path.name for path in folder.glob("*.damaged")) if folder.exists() else []
    if damaged:
        yield _problem(
            "spool",
            f"{len(damaged)} files could not be read in full: {', '.join(damaged[:3])}",
            f"what could be read is recorded; look at the disk, keep or delete the files in {folder}",
        )
    if waiting:
        yield _note(
            "spool", f"{waiting} bytes of deliveries wait for Postgres", "start the service: it drains them"
        )
    elif not damaged:
        yield _fine("spool", "empty")


def check_key_files(settings: Settings) -> Iterable[Finding]:
    """What the data folder tells of keys: for its owner alone, and for a start without Postgres."""
    for name in (LOCAL_KEY_FILE, DIGESTS_FILE):
        path = settings.data_dir / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield _problem("keys", f"{path} can be read by other users", f"chmod 600 {path}")
    database = KnownDatabase(settings.data_dir, settings.database_url)
    if settings.database_url is None or not database.has_answered():
        return
    known = KeyFiles(database).stored()
    if known is None:
        yield _note(
            "keys",
            "the data folder does not tell those of the database: after a start without Postgres, deliveries "
            "with them get 503 until it answers",
            "start the service while Postgres answers",
        )
    else:
        yield _fine("keys", f"{len(known)} of the database are known without Postgres, too")


# Postgres and the log


async def check_database(settings: Settings, dsn: str) -> list[Finding]:
    """Postgres, its settings and clock, and the state of the log."""
    try:
        connection = await connect(dsn, application_name="recount doctor")
    except DatabaseError as error:
        return [_problem("Postgres", str(error), "start it")]
    findings: list[Finding] = []
    try:
        for check in (
            _settings_of_postgres,
            _role,
            _clock,
            _migrations,
            _guards,
            _kept_events,
            _projections,
            _keys,
            _silence,
        ):
            try:
                findings += [finding async for finding in check(settings, connection)]
            except POSTGRES_FAILURES as error:
                asked = f"{type(error).__name__} at {check.__name__.strip('_').replace('_', ' ')}"
                findings.append(_problem("Postgres", asked, "look at Postgres's log"))
    finally:
        await connection.close()
    return findings


async def _settings_of_postgres(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    found = {row["name"]: row["setting"] for row in await connection.fetch(_sql["settings"])}
    major = int(found["server_version_num"]) // 10000
    if major < 15:
        yield _problem(
            "Postgres", f"version {found['server_version']}", "the log needs PostgreSQL 15 or later"
        )
    else:
        yield _fine("Postgres", f"version {found['server_version']}")
    for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
        if found[name] == "off":
            yield _problem("Postgres", f"{name} is off: acknowledged events can be lost", f"set {name} = on")
    if found["data_checksums"] != "on":
        yield _note(
            "Postgres", "data checksums are off, so a bad disk goes unnoticed", "pg_checksums --enable"
        )
    used = await connection.fetchval(_sql["connections"])
    left = int(found["max_connections"]) - used
    if left < CONNECTIONS_LEFT_MIN:
        yield _problem(
            "Postgres", f"{left} of {found['max_connections']} connections are left", "raise max_connections"
        )


async def _role(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    lacking = [row["what"] for row in await connection.fetch(_sql["lacking"])]
    if lacking:
        yield _problem(
            "role",
            f"the database's user lacks {'; '.join(lacking)}",
            "have an administrator run what this prints: recount sql grants",
        )
    else:
        yield _fine("role", "may do all that is needed")


async def _clock(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    began = time.time()
    row = await connection.fetchrow(_sql["clock"])
    ended = time.time()
    assert row is not None
    apart = row["now"].timestamp() - (began + ended) / 2
    slack = CLOCKS_APART_SECONDS_MAX + (ended - began) / 2
    if abs(apart) > slack:
        yield _problem(
            "clock", f"Postgres's clock is {apart:+.1f} s off ours", "run a time service on both machines"
        )
    else:
        yield _fine("clock", f"within {abs(apart) + (ended - began) / 2:.3f} s of Postgres's")
    if row["newest_at"] and (row["newest_at"] - row["now"]).total_seconds() > CLOCKS_APART_SECONDS_MAX:
        yield _problem(
            "clock",
            f"the newest event is dated ahead: {row['newest_at']:%Y-%m-%d %H:%M:%S}",
            "the clock went back; new events repeat that time until it has caught up",
        )


async def _migrations(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    try:
        pending = await pending_migrations(connection)
    except RecountError as error:
        yield _problem("database", str(error), "run the version that this database belongs to")
        return
    if pending:
        yield _problem("database", f"not up to date: {', '.join(pending)}", "recount migrate")
    else:
        yield _fine("database", "up to date")


async def _guards(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    unguarded = [row["name"] for row in await connection.fetch(_sql["unguarded"])]
    if unguarded:
        yield _problem(
            "log",
            f"{', '.join(unguarded)} would take changes: a trigger is missing or off",
            "alter table … enable trigger all; then recount verify",
        )
    left = await connection.fetchval(_sql["partitions"])
    if left is not None and left < 0:
        yield _problem(
            "log", "the newest events have no partition ahead", "look at Postgres's log for lock time-outs"
        )


async def _kept_events(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    quarantined = await connection.fetchval("select count(*) from log.quarantine where state = 'open'")
    if quarantined:
        yield _note("quarantine", f"{quarantined} deliveries wait for a decision", "recount quarantine list")
    else:
        yield _fine("quarantine", "nothing waits")
    if await connection.fetchval(_sql["not_replayed"]):
        yield _problem(
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
            yield _problem(
                "projections",
                f"{who}: {error}",
                "mend that; a step is tried again by itself, a rebuild by: recount rebuild",
            )
        elif state == "STUCK":
            yield _problem("projections", f"{who}: behind the log, and not moving", "recount serve")
        elif state == "OUTDATED":
            yield _note(
                "projections",
                f"{who}: counted by other rules than today's",
                "the service rebuilds them; or: recount rebuild",
            )
    if late := lateness(each for each in found if each.state == "CATCHING_UP"):
        yield _problem(
            "projections", late, "recount serve; where it runs, look at its log, or let it have its time"
        )
    else:
        behind = max((each.lag_events for each in found), default=0)
        yield _fine("projections", f"{behind} events behind the log" if behind else "as far as the log")
    if found and (parked := await connection.fetchval(_sql["parked"])):
        yield _problem("projections", f"{parked} events could not be applied", "recount parked list")


async def _keys(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    rows = await connection.fetch(
        "select label, kind, last_used_at, expires_at from log.keys "
        "where revoked_at is null and (expires_at is null or expires_at > clock_timestamp())"
    )
    webhook = [row for row in rows if row["kind"] == "WEBHOOK"]
    made = (settings.data_dir / LOCAL_KEY_FILE).exists()
    if not webhook and not settings.webhook_keys and not made:
        if is_loopback(settings.host):
            yield _note("keys", "there is none yet; the first start makes one")
        else:
            yield _problem("keys", "there is none, so nothing can be delivered", "recount keys add sleekplan")
    else:
        stored = ", ".join(row["label"] for row in webhook) or "none"
        given = f"{len(settings.webhook_keys)} from the settings{', one made here' if made else ''}"
        yield _fine("keys", f"{given}; in the database: {stored}")
    if made and (webhook or settings.webhook_keys):
        yield _note(
            "keys",
            "the one made at the first start opens beside the others",
            f"once Sleekplan has another: recount keys revoke {LOCAL_KEY_FILE}",
        )
    for row in rows:
        ends = row["expires_at"]
        if ends and (ends - datetime.now(UTC)).days < KEY_ENDS_DAYS_MIN:
            yield _problem(
                "keys",
                f"{row['label']} ends {ends:%Y-%m-%d %H:%M} UTC",
                f"recount keys rotate {row['label']}",
            )
        if row["last_used_at"] is None:
            yield _note("keys", f"{row['label']} was never used")


async def _silence(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    products = await silences(connection)
    if not products:
        yield _note(
            "events",
            "none recorded yet",
            "enter the webhook's URL in Sleekplan: Settings, Integrations, Webhooks",
        )
    for product in products:
        if product.is_alarming(settings.silent_after_days):
            yield _problem(
                "events",
                str(product),
                "compare the webhook's URL and key in Sleekplan with ours; is it switched on?",
            )
        else:
            yield _fine("events", str(product))


# The service, from near and far


async def check_service(settings: Settings) -> list[Finding]:
    """Whether the service runs here, is ready, and takes a delivery with our key and no other."""
    try:
        base = address_of_service(settings)
    except ServiceElsewhere as others:
        return [_note("service", str(others), "recount serve")]
    key = None
    with contextlib.suppress(DataFolderNotWritable):  # told by check_folder
        key = key_of_this_machine(settings)
    try:
        async with _session() as session:
            async with session.get(f"{base}/readyz") as answer:
                ready = await answer.json(content_type=None)
            findings = [_ready(ready)]
            findings += await _knock(session, f"{base}/webhooks", key, settings.body_bytes_max)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return [_note("service", f"none answers at {base} ({type(error).__name__})", "recount serve")]
    return findings


def _ready(answer: Any) -> Finding:
    if isinstance(answer, dict) and answer.get("ready"):
        return _fine("service", f"ready; Postgres {answer.get('postgres')}, spool {answer.get('spool')}")
    return _problem("service", f"not ready: {answer}", "look at its log")


async def _knock(
    session: aiohttp.ClientSession, url: str, key: str | None, body_bytes_max: int
) -> list[Finding]:
    """Post to the webhook, with a key or with the one in its URL, without leaving anything in the log.

    A wrong key has to be answered 401; with the right one a body that is announced as too large has to be
    answered 413, which is said after the key was accepted and before anything is stored.
    """
    findings = []
    async with session.post(_plain(url), headers={"X-Secret": "not-a-key"}, data=b"{}") as answer:
        if answer.status == 401:
            findings.append(_fine("webhook", f"{_plain(url)} refuses a wrong key"))
        elif answer.status == 503:
            findings.append(
                _problem(
                    "webhook", f"{_plain(url)} does not know its keys, or is busy", "bring Postgres back"
                )
            )
        else:
            findings.append(
                _problem(
                    "webhook",
                    f"{_plain(url)} answers {answer.status} to a wrong key",
                    "is another program there?",
                )
            )
    if key is None and not urlsplit(url).query:
        return [*findings, _note("webhook", "no key is known here, so none was tried")]
    headers = {"Content-Length": str(body_bytes_max + 1)} | ({} if key is None else {"X-Secret": key})
    async with session.post(url, headers=headers, data=_one_byte()) as answer:
        if answer.status == 413:
            findings.append(_fine("webhook", "accepts our key"))
        elif answer.status == 401:
            findings.append(
                _problem("webhook", "refuses our key", "is the service started with other settings?")
            )
        else:
            findings.append(
                _note("webhook", f"answers {answer.status} where 413 was expected", "a proxy in between?")
            )
    return findings


async def _one_byte() -> AsyncIterator[bytes]:
    yield b"{"


async def check_reach(settings: Settings, public_url: str | None) -> list[Finding]:
    """Whether Sleekplan could reach the webhook."""
    if public_url is None:
        if is_loopback(settings.host):
            return [
                _note(
                    "reach",
                    f"{settings.host} can be reached from this machine only",
                    "put a proxy with a certificate, or a tunnel, in front of it, then try its address: "
                    "recount doctor --url 'https://…/webhooks?key=…'",
                )
            ]
        return [_note("reach", "not tried", "recount doctor --url 'https://…/webhooks?key=…'")]
    parts = urlsplit(public_url)
    findings = []
    if parts.scheme != "https":
        findings.append(
            _problem("reach", "the key would travel in the open", "give the webhook an https URL")
        )
    try:
        async with _session() as session:
            findings += await _knock(session, public_url, None, settings.body_bytes_max)
            findings.append(await _ask(session, urljoin(public_url, "/graphql")))
    except aiohttp.ClientConnectorCertificateError:
        findings.append(_problem("reach", f"the certificate of {parts.hostname} is not accepted", "renew it"))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        findings.append(
            _problem(
                "reach",
                f"{parts.hostname} does not answer ({type(error).__name__})",
                "check its DNS entry, the firewall and the proxy",
            )
        )
    return findings


async def _ask(session: aiohttp.ClientSession, url: str) -> Finding:
    """Whether GraphQL answers without a token, as it does behind a proxy that leaves no trace of itself."""
    async with session.post(url, json={"query": "{ __typename }"}) as answer:
        if answer.status == 200:
            return _problem(
                "graphql",
                f"{url} answers whoever asks, with everything",
                "set RECOUNT_API_TOKENS, or keep the proxy from passing /graphql on",
            )
        return _fine("graphql", f"{url} answers nobody without a token ({answer.status})")


def _plain(url: str) -> str:
    """The address without its query, which holds the key."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS_MAX))
