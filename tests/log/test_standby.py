"""A service whose Postgres stands by: told in words at a first start, waited for at a later one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.log.known import KnownDatabase
from service.postgres.embedded import EmbeddedPostgres
from tests.given.bodies import a_body
from tests.given.replica import StreamingReplica, a_primary, a_replica
from tests.given.running import recount
from tests.given.serving import serving
from tests.given.waiting import eventually

PATIENCE_SECONDS = 60


@pytest.fixture
async def pair() -> AsyncIterator[tuple[EmbeddedPostgres, StreamingReplica]]:
    async with a_primary() as primary, a_replica(primary) as replica:
        yield primary, replica


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
