"""The door of a server, as its settings have it: who may come in, and how connections are bounded."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tts_server.address import parse
from tts_server.caller import ANONYMOUS
from tts_server.connections import Connections
from tts_server.http.guard import Guard
from tts_server.keys import KeysError, KeyStore
from tts_server.limits import Limiter
from tts_server.logs import get_logger

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.shared_limits import RedisCounters

log = get_logger(__name__)


class DoorError(Exception):
    """The server must not open as it is set; the message says why and what to do."""


@asynccontextmanager
async def guarding(settings: Settings, sockets: Sequence[socket.socket]) -> AsyncIterator[Guard]:
    """A guard that knows the keys, and sees when they change. DoorError if strangers would get in unasked."""
    keys = KeyStore(settings.keys_path, settings.tiers)
    try:
        await asyncio.to_thread(keys.load)
    except KeysError as error:
        raise DoorError(str(error)) from error
    among_us = all(_is_local(bound) for bound in sockets)
    anonymous = settings.tiers[ANONYMOUS] if settings.allow_anonymous else None
    if not len(keys) and anonymous is None:
        if not among_us:
            raise DoorError(
                f"others than this machine could reach {_name(sockets)}, and there are no keys in {keys.file}; make "
                "one with `tts-server keys add NAME`, or let everybody in with --allow-anonymous"
            )
        if keys.needed:
            log.warning("nobody can come in: the file of keys has none", file=str(keys.file))
    proxies = tuple(ipaddress.ip_network(proxy) for proxy in settings.trusted_proxies)
    open_to_all = among_us and anonymous is None
    shared = _shared(settings.redis_url)
    watching = asyncio.create_task(keys.watch())
    try:
        yield Guard(keys, Limiter(shared), anonymous, open_to_all, proxies)
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        if shared is not None:
            await shared.close()


def bounds(settings: Settings, cut: Callable[[str], None]) -> Connections:
    """For connections; `cut` is called with the reason when one is."""
    proxies = [ipaddress.ip_network(proxy) for proxy in settings.trusted_proxies]

    def exempt(peer: str) -> bool:
        address = parse(peer)
        return address is None or address.is_loopback or any(address in proxy for proxy in proxies)

    return Connections(settings.header_timeout_s, settings.max_connections_per_address, cut, exempt)


def _shared(redis_url: str | None) -> RedisCounters | None:
    if redis_url is None:
        return None
    from tts_server.shared_limits import RedisCounters  # with its libraries, which cost memory and time

    try:
        return RedisCounters(redis_url)
    except ValueError as error:
        raise DoorError(f"redis_url is no URL of a Redis: {error}") from error


def _is_local(bound: socket.socket) -> bool:
    if bound.family == socket.AF_UNIX:
        return True
    address = parse(bound.getsockname()[0])
    return address is not None and address.is_loopback


def _name(sockets: Sequence[socket.socket]) -> str:
    return ", ".join(str(bound.getsockname()[0]) for bound in sockets if not _is_local(bound))
