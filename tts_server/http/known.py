"""Requests that came before and whose answers are kept: answered without a second look at what they ask.

    all bytes of a request                 ─┐
    route, key, type and body of a request ─┴► what its checks found ─► limits ─► the answer, if memory still has it
                                              ▲
                     noted when the ordinary passage (handlers.py) found its answer in the cache

A client that keeps its connection sends the same bytes each time: those are not even parsed (`at_once`), unless it is
its address by which the caller is known. Else it is the middleware (`answer`) that knows a request.

What is noted holds as long as the keys are those that were read then. Who is known by his address, and what anybody has
left, is asked each time, of those whom the ordinary passage asks. A request that wants anything special takes that one;
one that is refused is told so by it. Neither texts nor keys are noted, but a hash over both.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Final, NamedTuple, NoReturn

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import istr

from tts_server.caller import Caller
from tts_server.connections import Connection
from tts_server.errors import TTSError
from tts_server.http.guard import ANYBODY, Guard, presented
from tts_server.http.kept import parts
from tts_server.http.middlewares import (
    CLIENT_GONE,
    SERVER,
    Handler,
    attend,
    id_of,
    new_id,
    route_of,
    tell_done,
    tell_errors,
)
from tts_server.http.sending import ClientGone, cut, send
from tts_server.http.services import BODY, CALLER, Services
from tts_server.limits import Window, nearer
from tts_server.speech import Voice

ROUTES: Final = frozenset({"/api/tts", "/v1/audio/speech", "/audio/speech"})
"""Without the page's preview, which may be switched off."""
MOST_KNOWN: Final = 4096
"""Some 500 bytes each. As many answers as the cache has by default, if each lasts a second and a half."""
SHORT_BYTES: Final = 4096
"""Of a body: most are, and are there when their headers are."""
_DEADLINE: Final = istr("X-Deadline-Ms")
_PRIORITY: Final = istr("X-Priority")
_API_KEY: Final = istr("X-API-Key")
_OWN_ID: Final = istr("X-Request-Id")


class _Checked(NamedTuple):
    """What is known of a request."""

    caller: Caller | None
    """Whose key it has; None: it has none."""
    until_s: float
    """When the key expires, by time.time(); never, if there is none."""
    generation: int
    """Of the keys."""
    route: str
    voices: tuple[Voice, ...]
    """Those there were."""
    characters: int
    key: str
    """Of the answer in the cache."""


class _Found(NamedTuple):
    """An answer to be given again."""

    route: str
    caller: Caller
    characters: int
    key: str
    value: bytes


class _Given(NamedTuple):
    """An answer that is given, of which log and metrics are to be told."""

    request_id: str
    method: str
    route: str
    since_s: float
    """When the request came, by time.perf_counter()."""
    first_audio_s: float
    """When its answer was there, by the same clock."""
    caller: str
    key: str


class _Sent(web.StreamResponse):
    """Stands for an answer that has gone out."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection is of further use: where it is not, the request takes the ordinary passage."""
        return True

    async def prepare(self, _: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing is left to do."""
        return None

    async def write_eof(self, _: bytes = b"") -> None:
        """Nothing is left to do."""


_SENT: Final = _Sent()


class Known:
    """The requests that one server knows."""

    def __init__(self, services: Services, guard: Guard) -> None:
        self._services = services
        self._guard = guard
        self._checked: OrderedDict[bytes, _Checked] = OrderedDict()
        self._heard: OrderedDict[bytes, _Checked] = OrderedDict()
        self._given: list[tuple[_Given, int, float]] = []  # with their statuses and when they ended
        self._slow: set[asyncio.Task[None]] = set()
        self._date_s, self._date = 0, ""

    def __len__(self) -> int:
        return len(self._checked)

    def note(self, request: web.Request, caller: Caller, body: bytes, characters: int, key: str) -> None:
        """The answer of that key was found for this request, which has so many characters to be spoken, as one of this
        caller's.
        """
        route = route_of(request)
        if route not in ROUTES or len(body) > SHORT_BYTES:
            return
        keys, generation, holder, until_s = self._guard.keys, 0, None, math.inf
        if keys is not None:
            generation = keys.generation  # before all else: a thread may be reading them this very moment
            if keys.needed and (secret := presented(request)):
                found = keys.look_up(secret)
                if found is None or found[0] != caller:  # changed since he was let in
                    return
                holder, until_s = found
        checked = _Checked(holder, until_s, generation, route, self._services.gateway.voices(), characters, key)
        self._checked[_name(request, route, body)] = checked
        if len(self._checked) > MOST_KNOWN:
            self._checked.popitem(last=False)
        self._note_heard(request, body, checked)

    def at_once(self, connection: Connection, heard: bytes) -> bool:
        """Answer a request of which these are all bytes, if they are known; whether it was. Nothing is counted if not.

        The connection is at no other request, and nothing waits to be sent on it.
        """
        since_s = time.perf_counter()
        cache, limiter = self._services.cache, self._guard.limiter
        if cache is None or not limiter.alone or self._services.gateway.draining:
            return False
        checked = self._heard.get(name := _hash(heard))
        if checked is None or (caller := checked.caller) is None:
            return False
        value = cache.memory.recall(checked.key)
        if value is None or not self._holds(checked):
            del self._heard[name]
            return False
        try:
            limiter.enter(caller)
        except TTSError:
            return False
        try:
            window = limiter.both(caller, checked.characters, or_none=True)
        except TTSError:
            limiter.leave(caller)
            return False
        self._heard.move_to_end(name)
        given = _Given(new_id(), "POST", checked.route, since_s, time.perf_counter(), caller.id, checked.key)
        transport = connection.transport
        assert transport is not None, "somebody has just been heard on it"  # noqa: S101
        transport.writelines(self._written(value, given.request_id, window))
        if transport.get_write_buffer_size():
            self._slow.add(waiting := asyncio.get_running_loop().create_task(self._wait_for(connection, given, caller)))
            waiting.add_done_callback(self._slow.discard)
        else:
            limiter.leave(caller)
            self._note_given(given, HTTPStatus.OK)
        return True

    async def end(self, _: web.Application) -> None:
        """Wait until those have their answers to whom they were sent at once."""
        if self._slow:
            await asyncio.wait(self._slow, timeout=self._services.limits.write_timeout_s)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware, to be the outermost: give a known request its answer, leave all others to the next one."""
        since_s = time.perf_counter()
        try:
            found = self._find(request)
            return await (handler(request) if found is None else self._answer(request, found, since_s))
        finally:
            if isinstance(request.protocol, Connection):
                request.protocol.heard = b""  # with a text and a key in it

    async def _answer(self, request: web.Request, found: _Found, since_s: float) -> web.StreamResponse:
        try:
            window = await self._enter(found.caller, found.characters)
        except BaseException as error:  # noqa: BLE001  (whatever it is: told, logged and counted as anywhere else)
            request[CALLER] = found.caller
            return await attend(request, partial(tell_errors, handler=partial(_fail, error)))
        try:
            await self._give(request, found, window, since_s)
        finally:
            self._guard.limiter.leave(found.caller)
        return _SENT

    def _find(self, request: web.Request) -> _Found | None:
        """The answer, if this is a known request and memory has it. Nothing is counted yet."""
        cache, gateway, route = self._services.cache, self._services.gateway, route_of(request)
        if route not in ROUTES or cache is None or not self._checked or not _is_plain(request) or gateway.draining:
            return None
        body = request.content.read_nowait()
        name = _name(request, route, body)
        checked = self._checked.get(name)
        if checked is not None:
            caller = self._caller(request, checked)
            value = cache.memory.recall(checked.key)
            if caller is not None and value is not None and self._holds(checked):
                self._checked.move_to_end(name)
                self._note_heard(request, body, checked)
                return _Found(route, caller, checked.characters, checked.key, value)
            del self._checked[name]
        request[BODY] = body
        return None

    def _note_heard(self, request: web.Request, body: bytes, checked: _Checked) -> None:
        caller = checked.caller or (ANYBODY if self._guard.asks_nobody(request) else None)
        if caller is not None and (heard := _heard(request, body)):
            self._heard[_hash(heard)] = checked._replace(caller=caller)
            if len(self._heard) > MOST_KNOWN:
                self._heard.popitem(last=False)

    def _holds(self, checked: _Checked) -> bool:
        """Whether what was found would be found again."""
        keys = self._guard.keys
        if keys is not None and (keys.generation != checked.generation or time.time() >= checked.until_s):
            return False
        return checked.voices == self._services.gateway.voices()

    def _caller(self, request: web.Request, checked: _Checked) -> Caller | None:
        """Whose request it is now; None if the ordinary passage is to say that nobody may ask so."""
        if checked.caller is not None:
            return checked.caller
        try:
            return self._guard.identify(request)
        except TTSError:
            return None

    async def _enter(self, caller: Caller, characters: int) -> Window | None:
        """Count a request that begins to be served: what is left. Unless this fails, `Limiter.leave` must follow."""
        limiter = self._guard.limiter
        limiter.enter(caller)
        try:
            if limiter.alone:
                return limiter.both(caller, characters)
            return nearer(await limiter.request(caller), await limiter.characters(caller, characters))
        except BaseException:
            limiter.leave(caller)
            raise

    async def _give(self, request: web.Request, found: _Found, window: Window | None, since_s: float) -> None:
        request_id = id_of(request)
        answer = self._written(found.value, request_id, window)
        given = _Given(
            request_id, request.method, found.route, since_s, time.perf_counter(), found.caller.id, found.key
        )
        status = CLIENT_GONE  # unless it is sent: what leaves here as an exception is a cancellation
        try:
            if (transport := _write(request, answer)).get_write_buffer_size():
                await send(request.writer.drain(), self._services.limits.write_timeout_s, transport)
            status = int(HTTPStatus.OK)
        except ClientGone:
            cut(request)
        finally:
            self._note_given(given, status)

    async def _wait_for(self, connection: Connection, given: _Given, caller: Caller) -> None:
        """Until the rest of an answer that was given at once has gone out."""
        status = CLIENT_GONE
        transport = connection.transport
        try:
            await send(connection.drained(), self._services.limits.write_timeout_s, transport)
            status = int(HTTPStatus.OK)
        except ClientGone:
            if transport is not None:
                transport.abort()
        finally:
            self._guard.limiter.leave(caller)
            self._note_given(given, status)

    def _note_given(self, given: _Given, status: int) -> None:
        if not self._given:  # all of one turn of the loop at once: that takes a third of the time
            asyncio.get_running_loop().call_soon(self._tell)
        self._given.append((given, status, time.perf_counter()))

    def _written(self, value: bytes, request_id: str, window: Window | None) -> tuple[bytes, memoryview]:
        """What is kept as it goes out: the head and the body."""
        kept, body = parts(value)
        return b"HTTP/1.1 200 OK\r\n%b%b" % (kept, self._of_this_one(len(body), request_id, window)), body

    def _of_this_one(self, length: int, request_id: str, window: Window | None) -> bytes:
        """The headers that follow those that are kept, in the order that aiohttp has them in, and the empty line."""
        limits = "" if window is None else window.written()
        now_s = int(time.time())
        if now_s != self._date_s:
            self._date_s, self._date = now_s, formatdate(now_s, usegmt=True)
        return (
            f"Content-Length: {length}\r\nDate: {self._date}\r\nServer: {SERVER}\r\n{limits}"
            f"X-Request-Id: {request_id}\r\n\r\n"
        ).encode()

    def _tell(self) -> None:
        """Log and metrics, of what was given since."""
        given, self._given = self._given, []
        meter, cache = self._services.meter, self._services.cache
        assert cache is not None, "answers came from there"  # noqa: S101
        for (request_id, method, route, since_s, first_audio_s, caller, key), status, ended_s in given:
            cache.count_hit(key)
            meter.first_audio(first_audio_s - since_s)
            tell_done(meter, request_id, method, route, status, ended_s - since_s, caller=caller)


KNOWN: Final = web.AppKey("known", Known)


def _is_plain(request: web.Request) -> bool:
    """Whether it wants nothing special, its body is there, and its connection goes on."""
    headers, content = request.headers, request.content
    return (
        content.is_eof()
        and content.total_bytes <= min(SHORT_BYTES, request.client_max_size)
        and content.exception() is None
        and request.version == HttpVersion11
        and request.keep_alive
        and hdrs.CACHE_CONTROL not in headers
        and _DEADLINE not in headers
        and _PRIORITY not in headers
    )


def _name(request: web.Request, route: str, body: bytes) -> bytes:
    """What the checks of a plain request depend on, as a hash. No header has a line end in it."""
    headers = request.headers
    asked = f"{route}\n{headers.get(hdrs.CONTENT_TYPE)}\n{headers.get(hdrs.AUTHORIZATION)}\n{headers.get(_API_KEY)}\n"
    return hashlib.sha256(asked.encode(errors="surrogateescape") + body).digest()


def _hash(heard: bytes) -> bytes:
    """Of all bytes of a request."""
    return hashlib.sha256(heard).digest()


def _heard(request: web.Request, body: bytes) -> bytes:
    """All bytes of a plain request that came in one piece with nothing before or behind it; none, if it did not, or has
    an id of its own.
    """
    connection, headers = request.protocol, request.headers
    if not isinstance(connection, Connection) or not _is_plain(request) or request.method != "POST":
        return b""
    _, _, after_head = connection.heard.partition(b"\r\n\r\n")  # a packed body is another than the one that was sent
    return (
        connection.heard
        if body and after_head == body and _OWN_ID not in headers and hdrs.EXPECT not in headers
        else b""
    )


def _write(request: web.Request, answer: tuple[bytes, memoryview]) -> asyncio.Transport:
    """Past aiohttp's writer, which makes one copy of both: uvloop gives them to the kernel as they are, in one call."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ClientGone
    transport.writelines(answer)
    return transport


async def _fail(error: BaseException, _: web.Request) -> NoReturn:
    raise error
