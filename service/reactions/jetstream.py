"""Publishes what a rule tells to a stream of NATS JetStream's, which drops what comes again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from service.reactions.addresses import PrivateAddress, refuse_private, refuse_private_address
from service.reactions.rules import JetStreamTable
from service.reactions.target import NotTaken, Telling
from service.reactions.templates import EXTRA

if TYPE_CHECKING:
    from nats.aio.client import Client

SCHEMES = ("nats", "tls", "ws", "wss")


class JetStream:
    """A rule's subject, by one connection that is made anew when it is lost."""

    def __init__(self, table: JetStreamTable, private_hosts: frozenset[str]) -> None:
        self._table, self._private_hosts = table, private_hosts
        self._client: Client | None = None

    async def tell(self, telling: Telling, timeout_seconds: float) -> None:
        """Return once a stream has it. Raises NotTaken."""
        from nats.errors import Error
        from nats.js.errors import NoStreamResponseError

        try:
            async with asyncio.timeout(timeout_seconds):
                client = await self._connected(timeout_seconds)
                await client.jetstream().publish(
                    self._table.subject, telling.body(), headers={"Nats-Msg-Id": telling.id}
                )
            return
        except NoStreamResponseError:
            reason = f"no stream takes the subject {self._table.subject}"
        except TimeoutError:
            reason = f"no answer came within {timeout_seconds:g} seconds"
        except (Error, OSError) as error:
            reason = f"it could not be reached: {type(error).__name__}"
        except ValueError as error:
            reason = str(error)
        await self.close()
        raise NotTaken(reason)

    def shown(self, telling: Telling) -> str:
        """Return what is published."""
        return telling.body().decode()

    async def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            await client.close()

    async def _connected(self, timeout_seconds: float) -> Client:
        if self._client is None or not self._client.is_connected:
            await self.close()
            url = self._table.url.read()
            await refuse_private(_host(url), self._private_hosts)
            import nats

            credentials = self._table.credentials_file
            self._client = await nats.connect(
                url.get_secret_value(),
                allow_reconnect=False,
                connect_timeout=max(int(timeout_seconds), 1),
                error_cb=_say_nothing,
                **({} if credentials is None else {"user_credentials": str(credentials)}),
            )
        return self._client


async def _say_nothing(_: Exception) -> None:
    """What goes wrong is told by whoever publishes."""


def jetstream_faults(table: JetStreamTable, private_hosts: frozenset[str]) -> list[str]:
    """Say what is wrong with the address of a stream."""
    try:
        import nats  # noqa: F401
    except ImportError:
        return [EXTRA]
    try:
        refuse_private_address(_host(table.url.read()), private_hosts)
    except ValueError as error:
        return [f"url {error}"]
    except PrivateAddress as error:
        return [f"url: {error.reason}"]
    return []


def _host(url: SecretStr) -> str:
    """Raises ValueError for what is no address of a server."""
    try:
        parts = urlsplit(url.get_secret_value())
        host = (parts.hostname or "").lower() if parts.scheme in SCHEMES else ""
    except ValueError:
        host = ""
    if not host:
        raise ValueError("is no address such as nats://streams.example.com:4222")
    return host
