"""Sends what a reaction tells to a webhook, signed as standardwebhooks.com says."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from service.errors import reason_of
from service.reactions.addresses import PrivateAddress, refuse_private_address
from service.reactions.rules import WebhookTable
from service.reactions.target import NotTaken, Telling
from service.reactions.templates import EXTRA
from service.sleekplan.answers import retry_after

if TYPE_CHECKING:
    from standardwebhooks import Webhook

WAIT_SECONDS_MAX: Final = 3_600.0
"""No receiver is left alone for longer, whatever it asks."""
PREFIX: Final = "whsec_"
SECRET_BYTES: Final = (24, 64)
GONE: Final = 410
"""By which a receiver says that it wants nothing more, ever."""


class SignedWebhook:
    """A rule's webhook. Its address and secret are read at each message, so that both can be changed."""

    def __init__(
        self, table: WebhookTable, session: aiohttp.ClientSession, private_hosts: frozenset[str]
    ) -> None:
        self._table, self._session, self._private_hosts = table, session, private_hosts

    async def tell(self, telling: Telling, timeout_seconds: float) -> None:
        """Return once it was answered 2xx. Raises NotTaken."""
        try:
            url, secret = self._table.url.read(), self._table.secret.read()
            _checked(url, self._private_hosts)
        except ValueError as error:
            raise NotTaken(str(error)) from None
        body = telling.body()
        headers = signed(secret, telling.id, datetime.now(UTC), body)
        failed: NotTaken | None = None
        try:
            # A limit of aiohttp's swallows a cancellation at the same moment: the rule would go on.
            async with (
                asyncio.timeout(timeout_seconds),
                self._session.post(
                    url.get_secret_value(),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as answer,
            ):
                return _judge(answer)
        except TimeoutError:
            failed = NotTaken(f"no answer came within {timeout_seconds:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = NotTaken(f"it could not be reached: {_why(error)}")
        # Outside the block: chained to aiohttp's error, a traceback would hold the address.
        raise failed

    def shown(self, telling: Telling) -> str:
        """Return the body."""
        return telling.body().decode()


def signed(secret: SecretStr, id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message. Raises ValueError for a secret that is none."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Recount",
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": _signer(secret).sign(id, at, body.decode()),
    }


def webhook_faults(table: WebhookTable, private_hosts: frozenset[str]) -> Iterator[str]:
    """Say what is wrong with address and secret, as far as that can be told before the first message."""
    try:
        _checked(table.url.read(), private_hosts)
    except ValueError as error:
        yield f"url {error}"
    except PrivateAddress as error:
        yield f"url: {error.reason}"
    try:
        _signer(table.secret.read())
    except ValueError as error:
        yield f"secret {error}"


def _signer(secret: SecretStr) -> Webhook:
    """Raises ValueError, which quotes nothing of the secret."""
    try:
        from standardwebhooks import Webhook
    except ImportError:
        raise ValueError(EXTRA) from None
    try:
        size = len(base64.b64decode(secret.get_secret_value().removeprefix(PREFIX), validate=True))
    except ValueError:
        size = 0
    if not SECRET_BYTES[0] <= size <= SECRET_BYTES[1]:
        raise ValueError(f"is no secret: {PREFIX} and 24 to 64 bytes in Base64 (openssl rand -base64 32)")
    return Webhook(secret.get_secret_value())


def _checked(url: SecretStr, private_hosts: frozenset[str]) -> None:
    """Raise ValueError for an address that is none, PrivateAddress for one that is not to be reached."""
    try:
        parts = urlsplit(url.get_secret_value())
        host, right = (parts.hostname or "").lower(), parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        host, right = "", False
    if not host or not right:
        raise ValueError("is no address such as https://crm.example.com/hooks")
    if parts.scheme == "http" and host not in private_hosts:
        raise ValueError("must begin with https: what is sent would be readable on the way")
    refuse_private_address(host, private_hosts)


def _judge(answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    wait = retry_after(answer.headers, datetime.now(UTC))
    raise NotTaken(
        f"it answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else ""),
        wait_seconds=None if wait is None else min(max(wait, 0.0), WAIT_SECONDS_MAX),
        ends=status == GONE,
    )


def _why(error: Exception) -> str:
    """Return what kind of failure it was; the texts of aiohttp's errors name the address."""
    cause = getattr(error, "os_error", None)
    return reason_of(cause if isinstance(cause, OSError) else error)
