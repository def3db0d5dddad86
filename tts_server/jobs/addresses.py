"""Where the server may call back: the public internet, and nothing behind its own firewall.

Names are not judged, for they can mean one address when they are checked and another when they are used. What is judged
is the address of each connection, as it is about to be made.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""Networks that lead to IPv4, whose address is in the last 32 bits."""

AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class PrivateAddress(OSError):
    """A callback would go to an address that is none of the public internet."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "callbacks may not go to private addresses")


def is_public(host: str) -> bool:
    """Whether this address is one that strangers may have us call. ValueError if it is no address."""
    address = ip_address(host.partition("%")[0])  # fe80::1%eth0
    return all(
        one.is_global and not (one.is_multicast or one.is_reserved or getattr(one, "is_site_local", False))
        for one in _meant(address)
    )


def public_socket(info: AddrInfo) -> socket.socket:
    """A socket for a connection to a public address: aiohttp's `socket_factory`. PrivateAddress if it is none."""
    family, kind, protocol, _, where = info
    if family not in {socket.AF_INET, socket.AF_INET6} or not is_public(str(where[0])):
        raise PrivateAddress
    return socket.socket(family, kind, protocol)


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, or what it stands for where IPv4 is wrapped into IPv6."""
    if isinstance(address, IPv4Address):
        return [address]
    if any(address in network for network in _NAT64):
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address, address.sixtofour]
    if address.teredo:
        return [address, *address.teredo]
    return [address]
