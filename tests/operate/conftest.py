"""A Postgres as the service runs it: the one that the other tests share does not wait for its disk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.postgres.embedded import temporary_postgres
from tests.conftest import migrated


@pytest.fixture(scope="session")
async def server_url() -> AsyncIterator[str]:
    """Of which the doctor has nothing to say."""
    async with temporary_postgres() as postgres:
        yield postgres.dsn


@pytest.fixture(scope="session")
async def template(server_url: str) -> AsyncIterator[str]:
    async with migrated(server_url) as name:
        yield name
