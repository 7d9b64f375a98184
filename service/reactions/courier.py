"""Brings a rule's messages to its target: each tried until it is taken, or given up as the rule says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import stamina
import structlog

from projections.lease import Lease
from schema.resume import ResumePoint
from service.reactions.cursors import Cursors, ReactionState, SenderTurn
from service.reactions.rules import Rule
from service.reactions.target import NotTaken, Target, Telling

PAUSE_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 300.0
"""The longest between two tries, where the target does not ask for more."""

_log = structlog.get_logger(__name__)


class Stopped(Exception):
    """The rule ended itself, and says so in the database."""


class Courier:
    """The way to a rule's target; `sent` counts what was taken."""

    def __init__(
        self, rule: Rule, state: ReactionState, target: Target, cursors: Cursors, lease: Lease
    ) -> None:
        self.rule, self.sent = rule, 0
        self._turn = SenderTurn(rule.name, state.revision, lease.task, lease.epoch)
        self._target, self._cursors, self._lease = target, cursors, lease
        self._failing_since = state.failing_since

    async def bring(self, make: Callable[[], Telling | None], here: ResumePoint, behind: ResumePoint) -> None:
        """Return once what is made is taken or skipped; there may be nothing to tell.

        `here` is the rule's place before it, `behind` the one after. Raises Stopped where the rule ends here.
        """
        try:
            telling = make()
            if telling is None:
                return
            async for attempt in stamina.retry_context(
                on=_again,
                attempts=None,
                timeout=self._seconds_left(),
                wait_initial=PAUSE_SECONDS,
                wait_max=PAUSE_SECONDS_MAX,
                wait_jitter=PAUSE_SECONDS,
            ):
                with attempt:
                    await self._try(telling)
        except NotTaken as refused:
            await self._give_up(refused, here, behind)
            return
        self.sent += 1
        if self._failing_since is not None:
            await self._cursors.recovered(self._turn)
            self._failing_since = None

    async def stop(self, place: ResumePoint, problem: str) -> None:
        """End the rule at a place. Raises Stopped."""
        await self._cursors.stop(self._turn, place, problem)
        _log.warning("reaction_stopped", reaction=self.rule.name, position=place.position, reason=problem)
        raise Stopped

    async def _try(self, telling: Telling) -> None:
        while not self._lease.is_sure:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            await self._target.tell(telling, self.rule.timeout_seconds)
        except NotTaken as refused:
            since = await self._cursors.failed(self._turn, refused.reason)
            self._failing_since = since or self._failing_since
            raise

    def _seconds_left(self) -> float:
        """For how long what is to be told next may still be tried."""
        tried = timedelta() if self._failing_since is None else datetime.now(UTC) - self._failing_since
        # No time at all would mean for ever.
        return max((timedelta(hours=self.rule.retry_hours) - tried).total_seconds(), 0.001)

    async def _give_up(self, refused: NotTaken, here: ResumePoint, behind: ResumePoint) -> None:
        self._failing_since = None
        if self.rule.then == "stop" or refused.ends:
            await self.stop(here, refused.reason)
        await self._cursors.skip(self._turn, behind, refused.reason)
        _log.warning(
            "reaction_skipped", reaction=self.rule.name, position=behind.position, reason=refused.reason
        )


def _again(error: Exception) -> bool | float:
    """Whether a message is tried again, and after how many seconds where its target said that."""
    if not isinstance(error, NotTaken) or error.final:
        return False
    if error.wait_seconds is not None:
        return error.wait_seconds + random.uniform(0, PAUSE_SECONDS)
    return True
