"""Queries are read from replicas that hold what is asked for, of the same log and near its end; else not."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from service.config import load_settings
from service.errors import InvalidSetting
from service.operate.doctor import check_database
from service.postgres.embedded import EmbeddedPostgres
from tests.given.bodies import a_body
from tests.given.proxy import Proxy, proxy_before
from tests.given.replica import StreamingReplica, a_primary, a_replica
from tests.given.serving import Started, serving
from tests.given.waiting import eventually

COUNT = "{ events { totalCount } }"
LIVE = "subscription { events(after: 0) { position } }"
PATIENCE_SECONDS = 60


def settings_of(primary: EmbeddedPostgres, read_url: str, folder: Path, **more: str) -> dict[str, str]:
    return {
        "database_url": primary.dsn,
        "read_url": read_url,
        "data_dir": str(folder),
        "port": "0",
        "webhook_keys": "key",
        **more,
    }


async def well(started: Started, state: str = "WELL") -> None:
    """Wait until the first replica is in a state; asking is what has it looked at."""

    async def is_so() -> bool:
        await started.ask(COUNT)
        return started.service.replicas.all[0].found.state == state

    await eventually(is_so, PATIENCE_SECONDS)


async def reads(dsn: str) -> int:
    """Return how many connections read there."""
    connection = await asyncpg.connect(dsn)
    count: int = await connection.fetchval(
        "select count(*) from pg_stat_activity"
        " where application_name = 'recount reads' and query like '%read_at%'"
    )
    await connection.close()
    return count


@asynccontextmanager
async def replicated(**settings: str) -> AsyncIterator[tuple[EmbeddedPostgres, StreamingReplica]]:
    async with a_primary() as primary, a_replica(primary, settings=settings) as replica:
        yield primary, replica


async def test_queries_are_read_from_a_replica_and_each_holds_its_min_position(tmp_path: Path) -> None:
    async with (
        replicated() as (primary, replica),
        serving(settings_of(primary, replica.dsn, tmp_path)) as started,
    ):
        await started.post(a_body(1))
        await well(started)

        for number in range(2, 40):
            _, kept = await started.post(a_body(number))
            answer = await started.ask(f"{{ events(minPosition: {kept['position']}) {{ totalCount }} }}")
            assert answer["data"]["events"]["totalCount"] >= kept["position"]
            assert answer["extensions"]["position"] >= kept["position"]

        await started.ask(COUNT)
        assert await reads(replica.dsn) > 0


async def test_a_replica_that_is_half_a_second_behind_breaks_no_min_position_and_live_misses_nothing(
    tmp_path: Path,
) -> None:
    async with (
        replicated(recovery_min_apply_delay="500ms") as (primary, replica),
        serving(settings_of(primary, replica.dsn, tmp_path)) as started,
        started.socket() as live,
    ):
        await live.send_json({"id": "1", "type": "subscribe", "payload": {"query": LIVE}})
        await well(started)
        for number in range(1, 30):
            _, kept = await started.post(a_body(number))
            answer = await started.ask(f"{{ events(minPosition: {kept['position']}) {{ totalCount }} }}")
            assert answer["extensions"]["position"] >= kept["position"]

        sent = [(await live.receive_json())["payload"]["data"]["events"]["position"] for _ in range(1, 30)]
        assert sent == list(range(1, 30))


async def test_the_control_a_replica_asked_without_min_position_answers_of_the_past(tmp_path: Path) -> None:
    """What `minPosition` is for: the replica is read, and does not have what was just recorded."""
    async with (
        replicated(recovery_min_apply_delay="1h") as (primary, replica),
        serving(settings_of(primary, replica.dsn, tmp_path, read_lag_seconds_max="3600")) as started,
    ):
        await well(started)
        await started.post(a_body(1))
        await started.ask("{ events(minPosition: 1) { totalCount } }")

        assert (await started.ask(COUNT))["extensions"]["position"] == 0


async def test_a_replica_that_is_too_far_behind_is_told_in_a_line_and_not_read(
    tmp_path: Path, lines: io.StringIO
) -> None:
    async with (
        replicated(recovery_min_apply_delay="1h") as (primary, replica),
        serving(settings_of(primary, replica.dsn, tmp_path, read_lag_seconds_max="0.2")) as started,
    ):
        await started.post(a_body(1))
        await started.ask("{ events(minPosition: 1) { totalCount } }")
        await well(started, "BEHIND")

        assert (await started.ask(COUNT))["extensions"]["position"] == 1
        assert "not read until it is nearer than RECOUNT_READ_LAG_SECONDS_MAX" in lines.getvalue()
        settings = load_settings({}, read_url=replica.dsn, database_url=primary.dsn, read_lag_seconds_max=0.2)
        found = [each for each in await check_database(settings, primary.dsn) if each.check == "replicas"]
        assert "s behind, at position 0" in found[0].text


@pytest.mark.parametrize("parted", [False, True])
async def test_a_primary_of_another_log_is_told_in_a_line_and_not_read(
    tmp_path: Path, lines: io.StringIO, database_url: str, parted: bool
) -> None:
    """One that never was of this log, or a replica that was promoted and went its own way."""
    async with replicated() as (primary, replica):
        read_url = database_url
        if parted:
            await replica.promote()
            read_url = replica.dsn
        other = {
            "database_url": read_url,
            "data_dir": str(tmp_path / "other"),
            "port": "0",
            "webhook_keys": "key",
        }
        async with serving(other | {"port": "0", "webhook_keys": "key"}) as elsewhere:
            for number in (7, 8):
                await elsewhere.post(a_body(number))
            await elsewhere.ask("{ events(minPosition: 2) { totalCount } }")
        async with serving(settings_of(primary, read_url, tmp_path / "ours")) as started:
            await started.post(a_body(1))
            await started.ask("{ events(minPosition: 1) { totalCount } }")
            await well(started, "OTHER_LOG")

            assert (await started.ask(COUNT))["data"]["events"]["totalCount"] == 1
            assert "holds another log, or has parted from this one" in lines.getvalue()


async def test_a_replica_that_goes_away_or_silent_is_left_for_the_primary_and_read_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with (
        a_primary() as primary,
        a_replica(primary) as replica,
        through(replica.dsn) as (proxy, read_url),
    ):
        async with serving(settings_of(primary, read_url, tmp_path)) as started:
            await started.post(a_body(1))
            await well(started)
            proxy.swallows = True
            assert (await started.ask("{ events(minPosition: 1) { totalCount } }"))["data"]

            await well(started, "AWAY")
            assert (await started.ask(COUNT))["data"]["events"]["totalCount"] == 1
            proxy.swallows = False
            await well(started)


async def test_while_the_primary_is_away_replicas_answer(tmp_path: Path) -> None:
    async with (
        a_primary() as primary,
        a_replica(primary) as replica,
        through(primary.dsn) as (proxy, address),
    ):
        settings = settings_of(primary, replica.dsn, tmp_path) | {"database_url": address}
        async with serving(settings) as started:
            await started.post(a_body(1))
            await well(started)
            while started.service.replicas.all[0].found.position < 1:
                await started.ask(COUNT)
            proxy.refuses = True
            proxy.cut()

            for _ in range(3):
                assert (await started.ask(COUNT))["data"]["events"]["totalCount"] == 1


async def test_pages_and_moments_are_read_where_they_are_known(tmp_path: Path) -> None:
    async with (
        replicated(recovery_min_apply_delay="2s") as (primary, replica),
        serving(settings_of(primary, replica.dsn, tmp_path, read_lag_seconds_max="60")) as started,
    ):
        await well(started)
        for number in range(1, 4):
            await started.post(a_body(number))
        first = await started.ask("{ items(minPosition: 3, first: 1) { pageInfo { endCursor } } }")
        end = first["data"]["items"]["pageInfo"]["endCursor"]

        page = await started.ask(f'{{ items(first: 5, after: "{end}") {{ totalCount }} }}')
        then = await started.ask(
            f'{{ items(asOf: {{cursor: "{first["extensions"]["cursor"]}"}}) {{ totalCount }} }}'
        )

        assert "errors" not in page, page
        assert page["data"] == then["data"]


def test_what_is_wrong_with_the_address_is_told_by_its_own_name() -> None:
    for given, said in (
        ({"RECOUNT_READ_URL": "postgresql://a:b@c"}, "RECOUNT_READ_URL needs RECOUNT_DATABASE_URL"),
        ({"RECOUNT_READ_URL": "mysql://a:secret@c"}, "RECOUNT_READ_URL is wrong: must start with postgresql"),
    ):
        with pytest.raises(InvalidSetting, match=said) as refused:
            load_settings(given)
        assert "secret" not in str(refused.value)


@asynccontextmanager
async def through(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Give a proxy before a Postgres, and the address that leads through it alone."""
    async with proxy_before(dsn) as found:
        yield found
