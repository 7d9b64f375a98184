"""What the doctor finds, and that each problem comes with a way to mend it."""

from __future__ import annotations

import errno
import os
import re
import shlex
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from projections.declare import declare
from projections.follow.projector import Projector
from projections.read_model import tables
from schema.build import build_schema
from service.config import Settings, load_settings
from service.errors import ProjectionFailed
from service.given_secrets import parse_webhook_keys
from service.log import database
from service.log.database import Pool
from service.operate import doctor
from service.operate.doctor import check_api_key, check_database, check_disk, check_folder, check_spool
from service.operate.finding import Finding, State
from service.operate.reach import check_reach, check_service
from service.web.keys import WebhookKeys
from tests.given.graphql_service import served
from tests.given.projecting import a_history, payload, record, record_at
from tests.given.replica import a_primary
from tests.intake.test_webhook import board_on


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "the data"
    folder.mkdir(mode=0o700)
    return load_settings({}, data_dir=folder, spool_bytes_max=1024)


def _problems(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state is State.PROBLEM]


async def _database(settings: Settings, url: str) -> list[Finding]:
    return await check_database(settings, url)


async def test_a_fresh_database_has_no_problems(settings: Settings, database_url: str) -> None:
    findings = await _database(settings, database_url)

    assert _problems(findings) == []
    assert {"Postgres", "clock", "database", "quarantine", "keys", "events"} <= {
        one.check for one in findings
    }


async def test_events_that_wait_for_too_long_are_a_problem(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    async with pool.acquire() as connection:
        await declare(connection)
    await record_at(pool, datetime.now(UTC) - timedelta(hours=1))

    [problem] = _problems(await _database(settings, database_url))

    assert problem.check == "projections"
    assert re.fullmatch("1 events behind the log, which have waited for 3[56][0-9][0-9] s", problem.text)


async def test_fewer_connections_than_an_instance_may_take_are_a_problem(
    settings: Settings, database_url: str, pool: asyncpg.Pool
) -> None:
    most = int(await pool.fetchval("show max_connections"))
    wanting = settings.model_copy(update={"connections_max": most})

    [problem] = _problems(await _database(wanting, database_url))

    assert f"of {most} connections are left; an instance and a command take {most + 6}" in problem.text
    assert "RECOUNT_CONNECTIONS_MAX" in problem.mend


async def test_a_log_whose_guard_was_switched_off_is_a_problem(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    await pool.execute("alter table log.events disable trigger refuse_change")

    [problem] = _problems(await _database(settings, database_url))

    assert problem.check == "log"
    assert "log.events" in problem.text
    assert "enable trigger" in problem.mend


async def test_a_database_that_was_not_migrated_is_a_problem(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    newest = await pool.fetchval("select max(name) from log.migrations")
    await pool.execute("delete from log.migrations where name = $1", newest)

    [problem] = _problems(await _database(settings, database_url))

    assert (problem.check, problem.mend) == ("database", "recount migrate")
    assert newest in problem.text


async def test_of_a_database_without_a_log_or_with_an_older_one_that_alone_is_told(
    settings: Settings, empty_database_url: str, tmp_path: Path
) -> None:
    connection = await database.connect(empty_database_url)
    folder = tmp_path / "migrations"
    try:
        [empty] = _problems(await _database(settings, empty_database_url))
        folder.mkdir()
        for migration in list(database.migrations())[:8]:
            (folder / f"{migration.name}.sql").write_text(migration.sql)
        await database.migrate(connection, folder)

        [older] = _problems(await _database(settings, empty_database_url))
    finally:
        await connection.close()

    assert (empty.mend, older.mend) == ("recount migrate", "recount migrate")


async def test_a_key_about_to_end_and_one_never_used_are_told(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    await pool.execute(
        "insert into log.keys (digest, kind, label, expires_at) "
        "values ('a', 'WEBHOOK', 'board', clock_timestamp() + interval '2 days')"
    )

    findings = [one for one in await _database(settings, database_url) if one.check == "keys"]

    assert [one.mend for one in findings if one.state is State.PROBLEM] == ["recount keys rotate board"]
    assert any(one.text == "board was never used" for one in findings)


async def test_a_key_that_ends_since_another_replaced_it_is_no_problem(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    await pool.execute(
        "insert into log.keys (digest, kind, label, expires_at, last_used_at) "
        "values ('a', 'WEBHOOK', 'board', clock_timestamp() + interval '1 day', clock_timestamp()), "
        "('b', 'WEBHOOK', 'board', null, clock_timestamp())"
    )

    findings = [one for one in await _database(settings, database_url) if one.check == "keys"]

    assert [(one.state, one.text) for one in findings] == [
        (State.FINE, "0 from the settings; in the database: board")
    ]


async def test_a_projection_that_failed_is_a_problem(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    facts = (await tables(pool)).names["event_facts"]
    await pool.execute(f"alter table {facts} rename to elsewhere")
    await record(pool, a_history(20, seed=9))
    with pytest.raises(ProjectionFailed):
        await Projector(pool).catch_up()

    [problem] = _problems(await _database(settings, database_url))

    assert problem.check == "projections"
    assert problem.text.startswith("changelog, comments, events, ")
    assert problem.text.endswith(f': UndefinedTableError: relation "{facts}" does not exist')


async def test_history_begins_with_the_first_event_that_does_not_lie_far_before_the_rest(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    days = [1506985999, *(1780000000 + 86_400 * day for day in range(6))]
    await record(pool, (payload("item.update", timestamp=at, feedback_id=day) for day, at in enumerate(days)))
    await Projector(pool).catch_up()

    [history] = [one for one in await _database(settings, database_url) if one.check == "history"]

    assert "every event since 2026-05-28" in history.text


async def test_a_database_that_does_not_answer_is_a_problem_and_no_crash(settings: Settings) -> None:
    [problem] = await _database(settings, "postgresql://recount@127.0.0.1:1/recount")

    assert (problem.text.partition(" (")[0], problem.mend[:9]) == ("Postgres does not answer", "start it,")


async def test_a_database_that_refuses_is_told_otherwise_than_to_start_it(
    settings: Settings, database_url: str
) -> None:
    there = database_url.replace(urlsplit(database_url).path, "/not_there", 1)

    [problem] = await _database(settings, there)

    assert "refuses the connection" in problem.text
    assert "start it" not in problem.mend
    assert problem.mend not in problem.text


OFF = dict.fromkeys(("autovacuum", "full_page_writes", "synchronous_commit"), "off")


async def test_what_it_costs_to_have_a_setting_off_is_told_of_each() -> None:
    async with a_primary(OFF) as primary:
        told = [found for found in await check_database(load_settings({}), primary.dsn) if found.mend]

    said = {found.mend: found.text for found in told if found.mend.startswith("set ")}
    assert "can be lost" in said.pop("set full_page_writes = on")
    assert "slow" in said.pop("set autovacuum = on")
    assert said == {}, "synchronous_commit is on in our sessions"


def test_a_data_folder_that_others_can_change_is_a_problem(settings: Settings) -> None:
    settings.data_dir.chmod(0o775)

    [problem] = _problems(list(check_folder(settings)))

    assert "775" in problem.text
    assert shlex.split(problem.mend) == ["chmod", "700", str(settings.data_dir)]


def test_a_data_folder_that_others_can_look_into_is_none_since_what_is_in_it_is_closed(
    settings: Settings,
) -> None:
    settings.data_dir.chmod(0o755)

    found = list(check_folder(settings))

    assert _problems(found) == []
    [told] = [one.mend for one in found if one.check == "data folder"]
    assert shlex.split(told) == ["chmod", "700", str(settings.data_dir)]


def test_a_disk_with_less_room_than_the_spool_may_take_is_a_problem(settings: Settings) -> None:
    wanted = settings.model_copy(update={"spool_bytes_max": 10**18})

    [problem] = _problems(list(check_folder(wanted)))

    assert "RECOUNT_SPOOL_BYTES_MAX" in problem.mend


def test_a_key_of_the_api_is_told_and_never_shown() -> None:
    given = {
        "RECOUNT_SLEEKPLAN_API_KEY": "first@7,second",
        "RECOUNT_SLEEKPLAN_API_URL": "http://127.0.0.1:1/v1",
    }

    [told] = check_api_key(load_settings(given))

    assert told.text.endswith("is set, for product 7, any product; it is used at http://127.0.0.1:1/v1")
    assert not list(check_api_key(load_settings({})))


def test_the_disk_is_timed(settings: Settings) -> None:
    [finding] = check_disk(settings.data_dir)

    assert "a synced write takes" in finding.text
    assert list(settings.data_dir.iterdir()) == []


def test_a_disk_is_fine_slow_or_broken_by_how_it_syncs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "SYNC_SECONDS_MIN", 0)
    monkeypatch.setattr(doctor, "SYNC_SECONDS_MAX", 3600)
    [fine] = check_disk(settings.data_dir)
    monkeypatch.setattr(doctor, "SYNC_SECONDS_MAX", 0)
    [slow] = check_disk(settings.data_dir)

    def fails(number: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", lambda _: fails(errno.EIO))
    [broken] = check_disk(settings.data_dir)
    monkeypatch.setattr(os, "fsync", lambda _: fails(errno.ENOSPC))
    [full] = check_disk(settings.data_dir)

    assert [each.state for each in (fine, slow, broken)] == [State.FINE, State.PROBLEM, State.PROBLEM]
    assert slow.text.startswith("a synced write takes ")
    assert broken.text == f"fsync fails in {settings.data_dir}: Input/output error"
    assert full.mend == "make room"


async def test_a_clock_that_is_apart_from_postgres_or_went_back_is_a_problem(
    settings: Settings, database_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record_at(pool, datetime.now(UTC) + timedelta(hours=1))
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() - 60)

    found = [one.text for one in _problems(await _database(settings, database_url)) if one.check == "clock"]

    assert re.fullmatch(r"Postgres's clock is \+(59|60)\.\d s off ours", found[0])
    assert found[1].startswith("the newest event is dated ahead: ")


def test_what_waits_in_the_spool_and_what_was_damaged_is_told(settings: Settings) -> None:
    folder = settings.data_dir / "spool"
    folder.mkdir()
    (folder / "00000000000000000001.spool").write_bytes(b"x" * 12)
    (folder / "00000000000000000002.damaged").write_bytes(b"x")

    damaged, waiting = check_spool(settings)

    assert (damaged.state, waiting.state) == (State.PROBLEM, State.NOTE)
    assert "12 bytes" in waiting.text


async def test_an_address_that_nobody_answers_is_a_problem(settings: Settings) -> None:
    problems = _problems(await check_reach(settings, "http://127.0.0.1:1/webhooks?key=s3cret"))

    assert len(problems) == 2
    assert not [one for one in problems if "s3cret" in one.text + one.mend]


async def test_a_key_is_tried_as_it_stands_in_the_url(settings: Settings, pool: Pool, tmp_path: Path) -> None:
    async with board_on(pool, tmp_path / "board") as board:
        board.webhook._keys = WebhookKeys.of(parse_webhook_keys("a+b%25&c==/?"))
        for given, wanted in (("a+b%25&c==/?", "accepts our key"), ("a b", "refuses our key")):
            findings = await check_reach(settings, f"{board.address}/webhooks?key={given}")

            assert wanted in [finding.text for finding in findings]


@pytest.mark.parametrize("tokens", [False, True])
async def test_graphql_that_answers_without_a_token_is_a_problem(settings: Settings, tokens: bool) -> None:
    async with served(build_schema(), tokens=tokens) as service:
        findings = await check_reach(settings, service.url.replace("/graphql", "/webhooks"))

    [finding] = [one for one in findings if one.check == "graphql"]
    assert (finding.state is State.PROBLEM) is not tokens


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        (
            {"ready": False, "postgres": "is away", "spool": "is full", "projections": "ok"},
            "not ready: postgres is away; spool is full",
        ),
        (
            {"ready": True, "postgres": "ok", "spool": "ok", "projections": "ok", "keys": "there is none"},
            "ready, but of the webhook's keys there is none",
        ),
    ],
)
async def test_what_a_service_says_is_amiss_is_told_in_words(
    tmp_path: Path, answered: dict[str, object], told: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(answered)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        settings = load_settings({}, data_dir=tmp_path, host="127.0.0.1", port=server.port)
        found = await check_service(settings)

    assert told in [problem.text for problem in _problems(found)]


async def test_every_problem_says_how_to_mend_it(settings: Settings, database_url: str) -> None:
    findings = [
        *check_folder(settings),
        *check_spool(settings),
        *await _database(settings, database_url),
        *await check_reach(settings, None),
    ]

    assert [one for one in _problems(findings) if not one.mend] == []


async def test_a_reaction_that_stopped_is_a_problem_and_one_that_is_tried_again_worth_knowing(
    settings: Settings, pool: asyncpg.Pool, database_url: str
) -> None:
    await pool.execute(
        "insert into log.reactions (name, position, state, problem, failing_since, in_file) values"
        " ('stopped', 1, 'STOPPED', 'it answered 500', null, true),"
        " ('failing', 1, 'RUNNING', 'it answered 503', now(), true),"
        " ('running', 1, 'RUNNING', null, null, true), ('absent', 1, 'STOPPED', 'gone', null, false)"
    )

    found = [one for one in await _database(settings, database_url) if one.check == "reactions"]

    assert [(one.state, one.text) for one in found] == [
        (State.NOTE, "failing is tried again: it answered 503"),
        (State.PROBLEM, "stopped has stopped: it answered 500"),
        (State.FINE, "as far as they could be told: running"),
    ]
    assert found[1].mend == "mend that, then: recount reactions resume stopped"
