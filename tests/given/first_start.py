"""What a first start of the service makes in a database, for tests that do not look at the making."""

from __future__ import annotations

from projections.declare import declare
from schema.views import declare_views
from service.log.database import connect, migrate


async def begin(url: str) -> None:
    """Leave an empty database as a first start leaves it."""
    connection = await connect(url)
    try:
        await migrate(connection)
        await declare(connection)
        await declare_views(connection)
    finally:
        await connection.close()
