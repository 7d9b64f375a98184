"""Starts subscriptions: finds the feed of those who ask the same, or makes it, and the place to begin at."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

import orjson
from graphql import GraphQLError

from schema.answer.documents import Document, Request
from schema.answer.execute import Operations
from schema.context import Caller, Context, Services
from schema.errors import Refused
from schema.live.broadcast import Broadcast
from schema.live.feed import Feed
from schema.live.follow import Follower
from schema.live.messages import FAILED, Selecting, Sink, ended_by
from schema.live.sources import Shared, source_of
from schema.live.work import Work
from schema.resume import ResumePoint
from service.errors import BadArgument, RecountError


class Cancellable(Protocol):
    """A subscription that runs."""

    def cancel(self) -> object:
        """Send nothing more."""


class Live:
    """All subscriptions of the process; without any it costs nothing."""

    def __init__(self, services: Services, operations: Operations) -> None:
        self.work = Work()
        self.follower = Follower(services, self.work, self._end_all)
        self._services = services
        self._operations = operations
        self._feeds: dict[Hashable, Feed] = {}
        self._broadcasts: dict[Hashable, Broadcast] = {}
        self._starting = 0
        self._closed = False

    async def close(self) -> None:
        """End every feed; from here on nothing is started."""
        self._closed = True
        await self.work.close()
        self._feeds.clear()

    async def subscribe(
        self,
        document: Document,
        request: Request,
        context: Context,
        sink: Sink,
        *,
        after: ResumePoint | None = None,
        origins: frozenset[str] | None = None,
    ) -> Cancellable:
        """Start a subscription; `after`, when given, is where the client's last connection ended.

        With `origins` nothing is told of events that came in other ways, whatever the document lets through.
        Raises Refused for what cannot be started. Returns once it is certain that nothing after its
        first position will be missed.
        """
        if self._closed:
            raise Refused.because("the service stops; connect again", "STOPPING", status=503)
        self._starting += 1
        try:
            return await self._subscribe(document, request, context, sink, after, origins)
        except RecountError as error:
            raise Refused([GraphQLError(str(error), original_error=error)]) from error
        finally:
            self._starting -= 1
            self._rest()

    async def _subscribe(
        self,
        document: Document,
        request: Request,
        context: Context,
        sink: Sink,
        after: ResumePoint | None,
        origins: frozenset[str] | None,
    ) -> Cancellable:
        selection = self._operations.asked(document, request).selection
        executor = self._operations.executor(document, request, context)
        selecting = Selecting(self._services, self._operations, executor, context.caller)
        source = source_of(self._operations.planner, selection, context)
        if isinstance(source, Shared):
            key = _key(document, request, context.caller, "shared")
            return self._broadcast(key, selecting, source).join(sink)
        after = after or source.after
        if after is not None and after.ordinal and not source.gives_several:
            raise BadArgument("after", str(after), "is the cursor of another subscription")
        cursor = await self.follower.first_position(after)
        key = _key(document, request, context.caller, source.key)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(
                selecting, source, self.follower, self.work, lambda feed: self._forget(key, feed)
            )
        wanted = source.wanted if origins is None else source.wanted.of_origins(origins)
        return feed.add(sink, wanted, cursor, after.ordinal if after is not None else 0)

    def _broadcast(self, key: Hashable, selecting: Selecting, shared: Shared) -> Broadcast:
        broadcast = self._broadcasts.get(key)
        if broadcast is None:
            broadcast = self._broadcasts[key] = Broadcast(
                selecting, shared, self.work, lambda: self._broadcasts.pop(key, None)
            )
        return broadcast

    def _forget(self, key: Hashable, feed: Feed) -> None:
        if self._feeds.get(key) is feed:
            del self._feeds[key]
        self._rest()

    def _rest(self) -> None:
        """Stop following the log where nobody needs it."""
        if not self._feeds and not self._starting:
            self.follower.stop()

    def part(self, products: frozenset[int]) -> None:
        """Send those who follow what another cell has from now on to look for it anew."""
        for feed in list(self._feeds.values()):
            feed.part(products)

    def _end_all(self, error: Exception) -> None:
        errors = ended_by(error) if isinstance(error, RecountError) else FAILED
        for feed in list(self._feeds.values()):
            feed.fail(errors)


def _key(document: Document, request: Request, caller: Caller, source_key: Hashable) -> Hashable:
    """Return what the answers depend on; variables of the root field's own arguments are no part."""
    names = document.selection_variables(request.operation_name)
    variables = {name: request.variables[name] for name in sorted(names) if name in request.variables}
    return document.text, request.operation_name, orjson.dumps(variables), caller, source_key
