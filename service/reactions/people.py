"""Tells people: a text in a chat, a mail or whatever else Apprise has an address for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from service.reactions.addresses import PrivateAddress, refuse_private, refuse_private_address
from service.reactions.rules import MessageTable
from service.reactions.target import NotTaken, Telling
from service.reactions.templates import EXTRA, rendered

if TYPE_CHECKING:
    from apprise import NotifyBase


class PeopleTarget:
    """A rule's message to people. What renders to nothing is not sent."""

    def __init__(self, table: MessageTable, private_hosts: frozenset[str]) -> None:
        self._table, self._private_hosts = table, private_hosts

    async def tell(self, telling: Telling, timeout_seconds: float) -> None:
        """Return once the service behind the address took it. Raises NotTaken."""
        title, text = self._rendered(telling)
        if not text:
            return
        try:
            plugin = _plugin(self._table.url.read())
        except ValueError as error:
            raise NotTaken(str(error)) from None
        for host in _hosts(plugin):
            await refuse_private(host, self._private_hosts)
        plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout_seconds
        try:
            async with asyncio.timeout(timeout_seconds):
                taken = await plugin.async_notify(body=text, title=title, body_format=self._table.format)
        except TimeoutError:
            raise NotTaken(f"no answer came within {timeout_seconds:g} seconds") from None
        except Exception as error:
            raise NotTaken(f"it could not be sent: {type(error).__name__}") from None
        if not taken:
            raise NotTaken(f"{plugin.service_name} did not take it")

    def shown(self, telling: Telling) -> str:
        """Return the text, below its title."""
        title, text = self._rendered(telling)
        return f"{title}\n\n{text}" if title else text

    def _rendered(self, telling: Telling) -> tuple[str, str]:
        """Return title and text. A title is no HTML in either format: it is the subject of a mail."""
        is_html = self._table.format == "html"
        text = rendered(self._table.text, telling.data, html=is_html)
        return rendered(self._table.title, telling.data), text


def message_faults(table: MessageTable, private_hosts: frozenset[str]) -> list[str]:
    """Say what is wrong with the address of a message."""
    try:
        plugin = _plugin(table.url.read())
    except ValueError as error:
        return [f"url {error}"]
    try:
        for host in _hosts(plugin):
            refuse_private_address(host, private_hosts)
    except PrivateAddress as error:
        return [f"url: {error.reason}"]
    return []


def _plugin(url: SecretStr) -> NotifyBase:
    """Return what sends to an address. Raises ValueError, which quotes nothing of it."""
    try:
        from apprise import Apprise
    except ImportError:
        raise ValueError(EXTRA) from None
    plugin = Apprise.instantiate(url.get_secret_value(), suppress_exceptions=True)
    if plugin is None:
        raise ValueError("is no address of Apprise's, such as slack://…, mailto://… or msteams://…")
    plugin.redirects = False  # also where the address asks for them
    return plugin


def _hosts(plugin: Any) -> set[str]:
    """Return the host that an address names itself; a service that has hosts of its own names none."""
    if smtp := getattr(plugin, "smtp_host", None):  # a mail's other host is that of an address
        return {smtp.strip("[]").lower()}
    named = any("{host}" in template for template in plugin.templates)
    return {plugin.host.strip("[]").lower()} if named and plugin.host else set()
