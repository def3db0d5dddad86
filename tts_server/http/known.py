"""Requests that came before and whose answers are kept: answered without a second look at what they ask.

    route, key, type and body of a request ─► what its checks found ─► limits ─► the answer, if memory still has it
                                              ▲
                     noted when the ordinary passage (handlers.py) found its answer in the cache

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
from tts_server.errors import TTSError
from tts_server.http.guard import Guard, presented
from tts_server.http.kept import parts
from tts_server.http.middlewares import CLIENT_GONE, SERVER, Handler, attend, id_of, route_of, tell_done, tell_errors
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


class _Checked(NamedTuple):
    """What is known of a request."""

    caller: Caller | None
    """Whose key it has; None: it has none."""
    until_s: float
    """When the key expires, by time.time(); never, if there is none."""
    generation: int
    """Of the keys."""
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
    """An answer that was given, of which log and metrics are still to be told."""

    request_id: str
    method: str
    route: str
    status: int
    first_audio_s: float
    duration_s: float
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
        self._given: list[_Given] = []
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
        checked = _Checked(holder, until_s, generation, self._services.gateway.voices(), characters, key)
        self._checked[_name(request, route, body)] = checked
        if len(self._checked) > MOST_KNOWN:
            self._checked.popitem(last=False)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware, to be the outermost: give a known request its answer, leave all others to the next one."""
        since_s = time.perf_counter()
        found = self._find(request)
        if found is None:
            return await handler(request)
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
            if caller is not None and value is not None and checked.voices == gateway.voices():
                self._checked.move_to_end(name)
                return _Found(route, caller, checked.characters, checked.key, value)
            del self._checked[name]
        request[BODY] = body
        return None

    def _caller(self, request: web.Request, checked: _Checked) -> Caller | None:
        """Whose request it is now; None if the ordinary passage is to say who, or that nobody may ask so."""
        keys = self._guard.keys
        if keys is not None and (keys.generation != checked.generation or time.time() >= checked.until_s):
            return None
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
        kept, body = parts(found.value)
        head = b"HTTP/1.1 200 OK\r\n%b%b" % (kept, self._of_this_one(len(body), request_id, window))
        first_audio_s = time.perf_counter() - since_s
        status = CLIENT_GONE  # unless it is sent: what leaves here as an exception is a cancellation
        try:
            if (transport := _write(request, head, body)).get_write_buffer_size():
                await send(request.writer.drain(), self._services.limits.write_timeout_s, transport)
            status = int(HTTPStatus.OK)
        except ClientGone:
            cut(request)
        finally:
            duration_s = time.perf_counter() - since_s
            if not self._given:  # all of one turn of the loop at once: that takes a third of the time
                asyncio.get_running_loop().call_soon(self._tell)
            who, what = found.caller.id, (request.method, found.route)
            self._given.append(_Given(request_id, *what, status, first_audio_s, duration_s, who, found.key))

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
        for request_id, method, route, status, first_audio_s, duration_s, caller, key in given:
            cache.count_hit(key)
            meter.first_audio(first_audio_s)
            tell_done(meter, request_id, method, route, status, duration_s, caller=caller)


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


def _write(request: web.Request, head: bytes, body: memoryview) -> asyncio.Transport:
    """Past aiohttp's writer, which makes one copy of both: uvloop gives them to the kernel as they are, in one call."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ClientGone
    transport.writelines((head, body))
    return transport


async def _fail(error: BaseException, _: web.Request) -> NoReturn:
    raise error
