"""Names and addresses of hosts: as they stand in a URL, and whether only this machine reaches them."""

from __future__ import annotations

import functools
import ipaddress


def near_url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a service that listens on `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return a host as it stands before a port."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name is what it says: it is not looked up."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
