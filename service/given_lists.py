"""Reads settings that are lists and no secrets: origins, boards' addresses, whom a trusted proxy lets in."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.given_secrets import entries, scopes_of, split_product
from service.scopes import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYBODY = "*"


@dataclass(frozen=True)
class BoardAddress:
    """Where people see a board; with a product, that product's."""

    address: str
    product_id: int | None = None

    def __str__(self) -> str:
        return self.address if self.product_id is None else f"{self.address}@{self.product_id}"


@dataclass(frozen=True)
class GroupScopes:
    """What people of a group may do once a trusted proxy has let them in; `*` is everybody."""

    group: str
    scopes: frozenset[Scope]
    product_id: int | None = None

    def __str__(self) -> str:
        product = "" if self.product_id is None else f"@{self.product_id}"
        return f"{self.group}:{'+'.join(sorted(self.scopes))}{product}"


def parse_origins(text: str) -> list[str]:
    """Read origins such as `https://board.example.com,http://localhost:3000`. Raises ValueError."""
    origins = [part.strip() for part in text.split(",") if part.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("must be origins as browsers send them: a scheme and a host, without a path")
    return origins


def parse_boards(text: str) -> list[BoardAddress]:
    """Read addresses such as `https://a.example.com,https://b.example.com@5456534244`. Raises ValueError."""
    boards = []
    for number, entry in entries(text):
        address, product_id = split_product(number, entry)
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be addresses such as https://board.example.com, without a query")
        boards.append(BoardAddress(address.rstrip("/"), product_id))
    products = [board.product_id for board in boards]
    if len(set(products)) < len(products):
        raise ValueError("gives one product two addresses, or none several; write each as address@product")
    return boards


def parse_networks(text: str) -> list[Network]:
    """Read addresses and networks such as `127.0.0.1,10.8.0.0/16`. Raises ValueError."""
    networks = []
    for number, entry in entries(text):
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError as error:
            raise ValueError(f"entry {number} is neither an address nor a network: {error}") from None
    return networks


def parse_group_scopes(text: str) -> list[GroupScopes]:
    """Read what groups may do, as `team@example.com:read+personal@5456534244,*:read`. Raises ValueError."""
    found = []
    for number, entry in entries(text):
        group, colon, rest = entry.rpartition(":")
        if not group or not colon:
            raise ValueError(f"entry {number} must be a group and its scopes, as product:read+personal")
        names, product_id = split_product(number, rest)
        found.append(GroupScopes(group, scopes_of(number, names), product_id))
    return found


def header_name(text: str) -> str:
    """Return the name of a header. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise ValueError("must be the name of a header, such as X-Forwarded-User")
    return text
