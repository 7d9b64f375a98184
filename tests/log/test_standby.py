"""A service whose Postgres stands by: told in words at a first start, waited for at a later one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic import SecretStr

from projections.follow.projector import Projector
from service.errors import LogUnavailable
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.log.known import KnownDatabase
from service.postgres.embedded import EmbeddedPostgres
from service.process import in_background
from tests.given.asking import a_pool
from tests.given.bodies import a_body, an_event
from tests.given.proxy import proxy_before
from tests.given.replica import StreamingReplica, a_primary, a_replica
from tests.given.running import recount
from tests.given.serving import serving
from tests.given.waiting import eventually

PATIENCE_SECONDS = 60


@pytest.fixture
async def pair() -> AsyncIterator[tuple[EmbeddedPostgres, StreamingReplica]]:
    async with a_primary() as primary, a_replica(primary) as replica:
        yield primary, replica


async def test_a_projector_whose_server_fell_silent_goes_on_at_once_on_the_one_that_was_promoted(
    pair: tuple[EmbeddedPostgres, StreamingReplica],
) -> None:
    """It need not be seen to stand still: the other server does not know its session."""
    primary, replica = pair
    async with (
        proxy_before(primary.dsn) as (first, one),
        proxy_before(replica.dsn) as (second, _),
    ):
        both = f"recount@127.0.0.1:{first.port},127.0.0.1:{second.port}"
        address = urlunsplit(urlsplit(one)._replace(netloc=both))
        async with a_pool(address) as pool, Hub(address, pools=[pool]) as hub:
            store = EventStore(pool)
            projector = Projector(pool, hub, lease_seconds=3_600)
            async with in_background(projector.run()):
                await store.append([an_event(1)])
                await eventually(lambda: projector.position == 1, PATIENCE_SECONDS)

                first.swallows = True
                await replica.promote()
                with contextlib.suppress(LogUnavailable):
                    await store.append([an_event(2)])
                await store.append([an_event(2)], timeout=PATIENCE_SECONDS)

                await eventually(lambda: projector.position == 2, PATIENCE_SECONDS)
            await store.close()


async def test_a_first_start_on_a_standby_says_so_and_ends(
    pair: tuple[EmbeddedPostgres, StreamingReplica], tmp_path: Path
) -> None:
    env = {"RECOUNT_DATABASE_URL": pair[1].dsn, "RECOUNT_DATA_DIR": str(tmp_path), "RECOUNT_PORT": "0"}

    ended = await recount("serve", env=env)

    said = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode == 1, said
    assert "nothing but reading to give (a standby" in said
    assert "Traceback" not in said


async def test_a_later_start_on_a_standby_spools_and_records_when_it_is_promoted(
    pair: tuple[EmbeddedPostgres, StreamingReplica], tmp_path: Path
) -> None:
    _, replica = pair
    KnownDatabase(tmp_path, SecretStr(replica.dsn)).note()
    settings = {"database_url": replica.dsn, "data_dir": str(tmp_path), "port": "0", "webhook_keys": "key"}
    async with serving(settings) as started:
        assert (await started.post(a_body(1)))[1]["spooled"]
        async with started.session.get("/readyz") as ready:
            assert ready.status == 200
            assert "go to the spool" in (await ready.json())["postgres"]

        await replica.promote()

        async def is_counted() -> bool:
            answer = await started.ask("{ events { totalCount } }")
            return bool(answer["data"]["events"]["totalCount"] == 1)

        await eventually(is_counted, PATIENCE_SECONDS)
        _, kept = await started.post(a_body(2))
        assert kept["position"] == 2
        answer = await started.ask("{ events(minPosition: 2) { totalCount } }")
        assert answer["data"]["events"]["totalCount"] == 2
