"""Opens what tells traces, where they are wanted: nothing of OpenTelemetry is loaded where they are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.errors import InvalidSetting
from service.log.database import Pool

if TYPE_CHECKING:
    from service.log.traces import Traces


@asynccontextmanager
async def traces_to(url: str | None, pool: Pool) -> AsyncIterator[Traces | None]:
    """Give what tells traces while the block lasts, None without an address. Raises InvalidSetting."""
    if url is None:
        yield None
        return
    try:
        from service.log.traces import Traces
    except ImportError:
        raise InvalidSetting(
            "RECOUNT_TRACES_URL",
            "needs packages that are not installed: pip install 'recount-feedback[otel]'",
        ) from None
    traces = Traces(url, pool)
    try:
        yield traces
    finally:
        await traces.close()
