"""Keeps reactions off private addresses: a rule's URL must not lead to what only this machine can reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from service.errors import reason_of
from service.reactions.target import NotTaken

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddress(NotTaken):
    """A target's host has only addresses that are not public."""

    def __init__(self) -> None:
        super().__init__(
            "its host is on a private address; where that is meant, name the host in `private_hosts`"
        )


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, also the one that is inside of it.

    >>> [is_public(each) for each in ("93.184.215.14", "10.0.0.1", "::ffff:127.0.0.1", "::1")]
    [True, False, False, False]
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if found in _NAT64:
            inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inside:
            return is_public(str(inside))
    return found.is_global and not found.is_multicast


def is_address(host: str) -> bool:
    """Whether a host is an address, which nobody resolves, rather than a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class PublicResolver(AbstractResolver):
    """Finds the public addresses of names, and any of the hosts that are allowed.

    What it returns is what is connected to: a name cannot be another one between the check and its use.
    """

    def __init__(self) -> None:
        self.private_hosts: frozenset[str] = frozenset()
        self._names = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return where to connect to. Raises PrivateAddress, and OSError for a name that there is not."""
        found = await self._names.resolve(host, port, family)
        if host.lower() in self.private_hosts:
            return found
        public = [each for each in found if is_public(each["host"])]
        if not public:
            raise PrivateAddress
        return public

    async def close(self) -> None:
        """Let go of whatever resolves names."""
        await self._names.close()


def refuse_private_address(host: str, private_hosts: frozenset[str]) -> None:
    """Raise PrivateAddress for a host that is a private address itself, unless it is allowed."""
    if host not in private_hosts and is_address(host) and not is_public(host):
        raise PrivateAddress


async def refuse_private(host: str, private_hosts: frozenset[str]) -> None:
    """Raise NotTaken for a host that has no public address, unless it is allowed by name.

    For what connects by itself: between this and its use the name can become another one.
    """
    refuse_private_address(host, private_hosts)
    if host in private_hosts or is_address(host):
        return
    resolver = PublicResolver()
    try:
        await resolver.resolve(host)
    except OSError as error:
        raise NotTaken(f"its host is not known: {reason_of(error)}") from None
    finally:
        await resolver.close()
