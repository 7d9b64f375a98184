"""Tells what one rule follows: a subscription from the rule's place on, each message in order."""

from __future__ import annotations

import asyncio
import random
from operator import attrgetter
from typing import Final

import structlog

from schema.context import Context, Services
from schema.errors import Refused, code_of
from schema.live.feed import Subscriber
from schema.live.messages import Message
from schema.live.subscribe import Live
from schema.resume import ResumePoint
from service.errors import RecountError
from service.reactions.courier import Courier, Stopped
from service.reactions.cursors import Come, ReactionState
from service.reactions.document import Followed
from service.reactions.inbox import Inbox
from service.reactions.telling import telling_of

FOLLOW_AGAIN_SECONDS: Final = 1.0
_LOST_PLACE: Final = ("LOG_WENT_BACK", "POSITION_BEYOND_HEAD")

_log = structlog.get_logger(__name__)


class Sender:
    """One rule that runs, from where the database has it."""

    def __init__(
        self, followed: Followed, state: ReactionState, courier: Courier, live: Live, services: Services
    ) -> None:
        self.revision, self.place = state.revision, state.place
        self._followed, self._courier, self._live, self._services = followed, courier, live, services
        self._noted = state.place
        self._inbox = Inbox()
        self._subscriber: Subscriber | None = None

    async def run(self) -> None:
        """Tell what comes until the rule is stopped."""
        try:
            while True:
                await self._follow()
                await asyncio.sleep(random.uniform(0.5, 1.5) * FOLLOW_AGAIN_SECONDS)
        except Stopped:
            pass

    def come(self) -> Come | None:
        """Return how far it has come since this was asked last, None where it has not.

        Where nothing is left to tell, that is as far as its subscription: it need not look at that again.
        """
        subscriber = self._subscriber
        if self._inbox.empty and subscriber is not None and not subscriber.closed:
            reached = self._live.follower.place(subscriber.reached)
            self.place = max(self.place, reached, key=attrgetter("position"))
        if self.place == self._noted:
            return None
        self._noted, sent, self._courier.sent = self.place, self._courier.sent, 0
        return Come(self._courier.rule.name, self.revision, self.place, None, sent)

    async def _follow(self) -> None:
        """Tell what one subscription gives, until it ends."""
        self._inbox = inbox = Inbox()
        try:
            self._subscriber = subscriber = await self._subscribe(inbox)
        except Refused as refused:
            cause = refused.errors[0].original_error
            await self._ended(code_of(cause) if isinstance(cause, RecountError) else "", str(refused))
            return
        try:
            while (message := await inbox.first()) is not None:
                await self._tell(message)
                inbox.take()
        finally:
            self._subscriber = None
            subscriber.cancel()
        for error in inbox.errors:
            await self._ended((error.get("extensions") or {}).get("code", ""), error["message"])

    async def _tell(self, message: Message) -> None:
        rule, behind = self._courier.rule, message.cursor
        assert behind is not None, "events have a place"
        await self._courier.bring(lambda: telling_of(rule, message), self.place, behind)
        self.place = behind

    async def _subscribe(self, inbox: Inbox) -> Subscriber:
        followed = self._followed
        # Of a document that was changed, the messages of one event may be others: it is told anew.
        changed = self.place.ordinal and not followed.several
        subscriber = await self._live.subscribe(
            followed.document,
            followed.request,
            Context(self._services, followed.caller),
            inbox,
            after=ResumePoint(max(self.place.position - 1, 0)) if changed else self.place,
            origins=self._courier.rule.origins,
        )
        assert isinstance(subscriber, Subscriber), "what has positions has a feed"
        return subscriber

    async def _ended(self, code: str, said: str) -> None:
        """Stop where the log does not hold our place any more; else the subscription is begun anew."""
        if code in _LOST_PLACE:
            name = self._courier.rule.name
            mend = f"recount reactions replay {name} --after N tells all after N again"
            await self._courier.stop(
                self.place, f"the log does not hold its place any more: {said}. To go on: {mend}"
            )
        _log.info("reaction_follows_anew", reaction=self._courier.rule.name, code=code)
