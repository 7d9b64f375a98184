"""Tries a rule on what happened lately, without moving its place."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.answer.limits import Limits
from schema.build import build_schema
from schema.context import Context, Services
from schema.live.feed import Subscriber
from schema.live.subscribe import Live
from schema.resume import ResumePoint
from service.config import Settings
from service.errors import NoReactions, NothingToTry, ReactionNotTaken, ReactionUnknown
from service.reactions.document import span
from service.reactions.inbox import Inbox
from service.reactions.rules_file import Reaction, read_rules
from service.reactions.target import NotTaken, Telling
from service.reactions.targets import Targets
from service.reactions.telling import telling_at, telling_of

EVENTS_LOOKED_AT: Final = 10_000
DAYS_ASKED: Final = 7
LOOK_SECONDS: Final = 0.05


async def try_rule(services: Services, settings: Settings, name: str, *, send: bool) -> str:
    """Return what a rule would send for the newest event that it tells; with `send` it is sent, too.

    One that tells at set times asks of the last week. The id says that it is a trial, so that a receiver does
    not take the real one for a repeat. Raises NoReactions, ReactionsRefused, ReactionUnknown, NothingToTry,
    ReactionNotTaken.
    """
    if settings.reactions is None:
        raise NoReactions
    operations = Operations(build_schema(), Limits(cost_max=settings.graphql_cost_max))
    live = Live(services, operations)
    try:
        file = await read_rules(settings.reactions, operations)
        known = {reaction.rule.name: reaction for reaction in file.reactions}
        if name not in known:
            raise ReactionUnknown(name, known)
        reaction = known[name]
        async with Targets() as targets:
            target = targets.of(reaction.rule, file.private_hosts)
            if reaction.rule.every is None:
                telling = await _newest(reaction, live, services)
            else:
                telling = await _asked(reaction, operations, services)
            if telling is None:
                raise NothingToTry(name, EVENTS_LOOKED_AT)
            telling = replace(telling, id=f"{telling.id}_trial_{secrets.token_hex(4)}")
            if send:
                await target.tell(telling, reaction.rule.timeout_seconds)
            return target.shown(telling)
    except NotTaken as refused:
        raise ReactionNotTaken(name, refused.reason) from None
    finally:
        await live.close()
        operations.close()


async def _newest(reaction: Reaction, live: Live, services: Services) -> Telling | None:
    """Return what a rule tells of the newest of the last events that it tells anything of."""
    followed, inbox = reaction.followed, Inbox()
    head = await services.store.head()
    subscriber = await live.subscribe(
        followed.document,
        followed.request,
        Context(services, followed.caller),
        inbox,
        after=ResumePoint(max(head - EVENTS_LOOKED_AT, 0)),
        origins=reaction.rule.origins,
    )
    assert isinstance(subscriber, Subscriber), "what has positions has a feed"
    newest = None
    try:
        end = live.follower.position
        while not (inbox.empty and (inbox.errors or subscriber.reached >= end)):
            if inbox.empty:
                await asyncio.sleep(LOOK_SECONDS)
            elif (message := await inbox.first()) is not None:
                newest = telling_of(reaction.rule, message) or newest
                inbox.take()
        return newest
    finally:
        subscriber.cancel()


async def _asked(reaction: Reaction, operations: Operations, services: Services) -> Telling | None:
    followed, now = reaction.followed, datetime.now(UTC)
    variables = span(followed.document, now - timedelta(days=DAYS_ASKED), now)
    request = Request(followed.request.query, {**followed.request.variables, **variables})
    answer = await operations.execute(request, Context(services, followed.caller), only_queries=True)
    return telling_at(reaction.rule, answer.body, now.strftime("%Y%m%dT%H%MZ"))
