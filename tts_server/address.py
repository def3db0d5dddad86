"""Addresses of callers as sockets and proxies write them, and how many of them are one caller."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_HOST_BITS: Final = 64
"""Of IPv6: one customer of a provider has as many addresses."""


@lru_cache(maxsize=256)  # the same few come with every request; a header's name has 8 KiB at most
def parse(name: str) -> Address | None:
    """An address, without its zone; what IPv6 only wraps (::ffff:1.2.3.4) as IPv4. None if it is none."""
    try:
        parsed = ip_address(name.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


def parse_hop(hop: str) -> Address | None:
    """The same of a hop in X-Forwarded-For, to which some proxies add the port: 1.2.3.4:5678, [2001:db8::1]:80."""
    hop = hop.strip()
    if hop.startswith("["):
        inside, bracket, port = hop[1:].partition("]")
        return parse(inside) if bracket and (not port or _is_port(port)) else None
    host, colon, _ = hop.partition(":")
    return parse(host) if colon and _is_port(hop[len(host) :]) else parse(hop)


def customer(address: Address) -> str:
    """Whom an address stands for: itself, or all that a provider's customer has."""
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS)}/{_HOST_BITS}"


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()
