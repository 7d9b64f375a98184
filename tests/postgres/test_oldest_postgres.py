"""The oldest PostgreSQL that we name takes the log, the projections, a rebuild and reads of the past."""

from __future__ import annotations

import pytest

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from service.errors import DataFolderOfOtherPostgres, PostgresBinariesMissing
from service.log.database import connect, migrate
from service.postgres.binaries import find_binaries
from service.postgres.embedded import temporary_postgres
from tests.given.asking import a_board, a_pool
from tests.given.projecting import a_history, record

OLDEST = 15
QUESTION = """
  { items(first: 3, asOf: {position: 150}, orderBy: {field: VOTES}) { nodes { title votes { up } } } }
"""


async def test_the_oldest_postgres_records_counts_rebuilds_and_looks_back() -> None:
    try:
        bindir = find_binaries(major=OLDEST).folder
    except (DataFolderOfOtherPostgres, PostgresBinariesMissing):
        pytest.skip(f"the programs of PostgreSQL {OLDEST} are not on this machine")
    async with temporary_postgres(bindir) as postgres:
        connection = await connect(postgres.dsn)
        await migrate(connection)
        await connection.close()
        async with a_pool(postgres.dsn) as pool, a_board(pool) as board:
            head = await record(pool, a_history(200))
            await Projector(pool, events_a_step_max=30).catch_up()

            answer = await board.ask(QUESTION)
            report = await verify(pool, events_a_step=64)

    assert answer["items"]["nodes"]
    assert report.position == head
    assert report.equal
