"""The sockets to listen at: those that systemd opened, or our own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from typing import Final

_FIRST_FD: Final = 3  # sd_listen_fds(3)


class ListenError(Exception):
    """There is nowhere to listen; the message says why and what to do."""


def open_sockets(host: str, port: int, environ: Mapping[str, str], *, reuse_port: bool = False) -> list[socket.socket]:
    """Sockets that are bound, so that nobody else gets the port, and do not listen yet.

    With `reuse_port` others of the same user get it too, if they also say so; only who listens gets connections.

    systemd's own (LISTEN_FDS) come before host and port; they already listen, and who connects waits there.
    """
    if environ.get("LISTEN_PID") == str(os.getpid()):
        fds = range(_FIRST_FD, _FIRST_FD + int(environ.get("LISTEN_FDS", "0")))
        return [socket.socket(fileno=fd) for fd in fds]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(f"{host} is no address of this machine ({error.strerror}); choose one with --host") from error
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            # With port 0 the first gets any, and the others the same one.
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            sockets.append(
                _bind(socket.AddressFamily(family), (address[0], chosen, *address[2:]), reuse_port=reuse_port)
            )
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise ListenError(_why(host, port, error)) from error
    return sockets


def url(bound: socket.socket) -> str:
    """How to reach it from this machine."""
    if bound.family == socket.AF_UNIX:
        return f"unix:{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (not bound to: shown)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind(family: socket.AddressFamily, address: tuple[str | int, ...], *, reuse_port: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for old connections
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1
            )  # IPv4 has a socket of its own, or is not meant
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _why(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use; choose another with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; choose one with --host"
        case errno.EACCES:
            return f"port {port} needs rights that this process lacks; choose one above 1023 with --port"
        case _:
            return f"{host}:{port} cannot be listened at: {error.strerror}"
