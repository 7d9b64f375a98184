"""Makes the target of each rule, with what all of them share."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

import aiohttp

from service.reactions.addresses import PublicResolver
from service.reactions.jetstream import JetStream, jetstream_faults
from service.reactions.people import PeopleTarget, message_faults
from service.reactions.rules import Rule
from service.reactions.target import Target
from service.reactions.webhook import SignedWebhook, webhook_faults


class Targets:
    """Where the rules of a file send to, until the block ends."""

    async def __aenter__(self) -> Targets:
        self._resolver = PublicResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self._resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._streams: list[JetStream] = []
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams:
            await stream.close()
        await self._session.close()
        await self._resolver.close()

    def of(self, rule: Rule, private_hosts: frozenset[str]) -> Target:
        """Return a rule's target."""
        self._resolver.private_hosts = private_hosts
        if rule.webhook is not None:
            return SignedWebhook(rule.webhook, self._session, private_hosts)
        if rule.message is not None:
            return PeopleTarget(rule.message, private_hosts)
        assert rule.jetstream is not None, "a rule has a target"
        self._streams.append(JetStream(rule.jetstream, private_hosts))
        return self._streams[-1]


def target_faults(rule: Rule, private_hosts: frozenset[str]) -> Iterable[tuple[str, str]]:
    """Say what is wrong with where a rule sends to, with the member that says it."""
    if rule.webhook is not None:
        return [("webhook", said) for said in webhook_faults(rule.webhook, private_hosts)]
    if rule.message is not None:
        return [("message", said) for said in message_faults(rule.message, private_hosts)]
    assert rule.jetstream is not None, "a rule has a target"
    return [("jetstream", said) for said in jetstream_faults(rule.jetstream, private_hosts)]
