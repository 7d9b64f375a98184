"""One process of the service: from its settings to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, TypeVar

import structlog

from service.app import Ready, Service, ToRun
from service.config import Settings
from service.ending_tasks import ended
from service.listener import listening_socket
from service.operate import running

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Announcer(Protocol):
    """Who tells a person how the start goes."""

    def history(self, done: int, total: int) -> None:
        """The demo's history is being written: so many events of so many."""

    def counting(self, done: int, total: int) -> None:
        """The history is being counted: so many events of so many."""

    def ready(self, ready: Ready) -> None:
        """The service listens."""


async def run(settings: Settings, plan: ToRun, announcer: Announcer, *, with_api: bool = False) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; then answer what is in flight, flush, close and return.

    A demo may have a second board `with_api`, which is fetched.

    Raises a RecountError when it cannot start.
    """
    _allow_many_sockets()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening_socket(settings.host, settings.port))
        service = await stack.enter_async_context(Service(settings).opened())
        found = await service.demo_of(plan)
        await stack.enter_async_context(in_background(service.work()))
        if found is not None and not found.finished:
            await _unless(stop, service.write_history(found, announcer.history))
            await _unless(stop, service.counted(announcer.counting))
        if stop.is_set():
            return
        await stack.enter_async_context(service.listening(listener))
        stack.enter_context(running.told(settings, service.port))
        if found is not None:
            await stack.enter_async_context(in_background(service.tick(found)))
            if with_api:
                await stack.enter_async_context(in_background(service.show_api(found)))
        announcer.ready(service.ready(is_demo=found is not None))
        await stop.wait()
        _log.info("stopping")


def ending_signals() -> Iterator[signal.Signals]:
    """Give the signals that end the service: that of a terminal that closes only where it is not ignored.

    `nohup` has it ignored, so that what it starts outlives the terminal.
    """
    yield from (signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


def _allow_many_sockets() -> None:
    """Raise the limit of open files as far as it may be: often 1,024, and each subscriber is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else soft, hard))


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Let `work` go on until it is done or the service is told to stop."""
    async with in_background(stop.wait()) as told, in_background(work) as task:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Let `work` go on beside the block, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await ended(task)
