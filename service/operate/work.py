"""What goes on beside the requests for as long as the service runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from service.ending_tasks import rest
from service.lines import Seldom
from service.log.database import is_away

AGAIN_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


async def for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """Do what goes on beside the requests; what ends it is told, and it is begun anew."""
    seldom = Seldom()
    while True:
        try:
            await work()
        except Exception as error:
            if times := seldom.times():
                told = {"work": work.__qualname__, "error": type(error).__name__, "times": times}
                _log.warning("work_broke_off", **told, exc_info=not is_away(error))
        await rest(AGAIN_SECONDS)
