"""Who may come in, and how much he may have.

Every route needs a key unless it stands in `OPEN_ROUTES`, and there are none that need a key but are not limited. What
a caller may have spoken is decided where the text is known: `choose` and `permit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeVar

from aiohttp import web

from tts_server.address import Address, customer, parse, parse_hop
from tts_server.caller import ANONYMOUS, LOWEST_PRIORITY, STANDARD, TIERS, Caller, Tier
from tts_server.errors import Forbidden, InvalidRequest, NotFound, Unauthorized
from tts_server.http.middlewares import Handler
from tts_server.http.services import CALLER, SERVICES
from tts_server.keys import KeyStore
from tts_server.limits import Limiter, Window, nearer
from tts_server.speech import SpeechRequest, Voice

T = TypeVar("T")
Network = IPv4Network | IPv6Network

OPEN_ROUTES: Final = frozenset(
    {
        # Probes: those who ask have no key, and must not be kept waiting.
        *("/healthz", "/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready"),
        # What this program can do, and nothing of what is done here. A browser that opens them has no key to send.
        *("/openapi.json", "/docs", "/", "/web/{name}"),
    }
)
KEY_ROUTES: Final = frozenset({"/metrics"})
"""Not for strangers, even where they are let in: it tells how much all others speak."""
ANYBODY: Final = Caller("anybody", STANDARD, Tier(priority=TIERS[STANDARD].priority))
"""Where nobody is asked who he is: the server is for this machine alone."""
_MOST_HOPS: Final = 16


@dataclass(frozen=True, slots=True)
class Guard:
    """Whom one server lets in."""

    keys: KeyStore | None = None
    limiter: Limiter = field(default_factory=Limiter)
    anonymous: Tier | None = None
    """What those without a key may have; None: nothing, once there are keys."""
    open: bool = True
    """Whether nobody is asked as long as there are no keys."""
    proxies: tuple[Network, ...] = ()
    """Whose X-Forwarded-For is believed."""

    def identify(self, request: web.BaseRequest) -> Caller:
        """Who this is. Unauthorized if he may not come in."""
        keys = self.keys
        if keys is None or not keys.needed:
            if self.open:
                _refuse_strange_pages(request)
                return ANYBODY
        elif secret := presented(request):
            caller = keys.find(secret)
            if caller is None:
                raise Unauthorized("this key opens nothing here: it is wrong, has been revoked, or has expired")
            return caller
        if self.anonymous is None:
            raise Unauthorized("a key is needed: send it as `Authorization: Bearer …` or as `X-API-Key: …`")
        return Caller(f"address:{self._address(request)}", ANONYMOUS, self.anonymous)

    def asks_nobody(self, request: web.BaseRequest) -> bool:
        """Whether nobody is asked who he is, and where a request may come from is told by its headers alone."""
        if not self.open or (self.keys is not None and self.keys.needed) or request.transport is None:
            return False
        return isinstance(request.transport.get_extra_info("peername"), tuple)

    def _address(self, request: web.BaseRequest) -> str:
        """Of the caller, or of the provider's customer that he is."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        if not isinstance(peer, tuple):
            return "local"  # a Unix socket
        address = parse(peer[0])
        if address is not None and self._is_proxy(address):
            # Each proxy adds whom it heard it from, so the last that is no proxy of ours is as far as can be believed.
            hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")[-_MOST_HOPS:]
            for hop in reversed(hops):
                said = parse_hop(hop)
                if said is None:
                    break
                address = said
                if not self._is_proxy(said):
                    break
        return str(address) if address is None else customer(address)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self.proxies)


GUARD: Final = web.AppKey("guard", Guard)
_WINDOW: Final = web.RequestKey("window", Window)


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may come in, before anything of the body is read."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    if route in OPEN_ROUTES:
        return await handler(request)
    guard = request.app[GUARD]
    request[CALLER] = caller = guard.identify(request)
    if route in KEY_ROUTES and caller.tier == ANONYMOUS:
        raise Unauthorized("this needs a key, even where other routes need none")
    guard.limiter.enter(caller)
    try:
        _note(request, await guard.limiter.request(caller))
        return await handler(request)
    finally:
        guard.limiter.leave(caller)


async def tell_limits(request: web.Request, response: web.StreamResponse) -> None:
    """What the caller has left, on every answer to somebody who is limited; called as headers are about to go."""
    if (window := request.get(_WINDOW)) is not None and "RateLimit-Limit" not in response.headers:
        response.headers.update(window.headers())


def allowed_voices(request: web.Request) -> tuple[Voice, ...]:
    """The voices that this caller may have speak."""
    caller, voices = request[CALLER], request.app[SERVICES].gateway.voices()
    if caller.voices is None and caller.engines is None:
        return voices
    return tuple(voice for voice in voices if caller.allows(voice))


def choose(request: web.Request, find: Callable[[tuple[Voice, ...]], T]) -> T:
    """What `find` finds among the voices that this caller may use. Forbidden if it would among all, NotFound if not."""
    allowed = allowed_voices(request)
    try:
        return find(allowed)
    except NotFound:
        everything = request.app[SERVICES].gateway.voices()
        if len(allowed) == len(everything):
            raise
        find(everything)
        names = ", ".join(dict.fromkeys(f"{voice.id} of {voice.engine}" for voice in allowed)) or "none"
        raise Forbidden(f"your key is not for this voice or engine; it is for: {names}") from None


async def permit(request: web.Request, wanted: SpeechRequest) -> SpeechRequest:
    """The same with the caller's priority, its characters counted. RateLimited if he has had too many."""
    guard = request.app[GUARD]
    request[CALLER] = caller = guard.identify(request)  # again: a websocket lives long, and keys are revoked
    wanted = replace(wanted, priority=priority(request))
    _note(request, await guard.limiter.characters(caller, len(wanted.text)))
    return wanted


async def permit_job(request: web.Request, characters: int) -> None:
    """Count a job's, but no more than a quarter of a minute's: it is for long texts, and spoken when others are not."""
    caller = request[CALLER]
    count = min(characters, (caller.may.characters_per_min or 4 * characters) // 4)
    _note(request, await request.app[GUARD].limiter.characters(caller, count))


def priority(request: web.Request) -> int:
    """As his tier has it, or lower (a larger number) if X-Priority asks for that."""
    own = request[CALLER].may.priority
    asked = request.headers.get("X-Priority")
    if asked is None:
        return own
    if not (asked.isascii() and asked.isdigit() and len(asked) == 1):
        raise InvalidRequest(
            f"X-Priority must be a whole number from 0, which is first, to {LOWEST_PRIORITY}", param="X-Priority"
        )
    return max(own, int(asked))


def _note(request: web.Request, window: Window | None) -> None:
    if (now := nearer(request.get(_WINDOW), window)) is not None:
        request[_WINDOW] = now


def _refuse_strange_pages(request: web.BaseRequest) -> None:
    """Forbidden, if this comes from a page of somebody else's in a browser on this machine.

    Nobody is asked who he is here, so a page must not be able to ask instead: not by another origin, nor by a name of
    its own that it has made lead here (DNS rebinding).
    """
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not isinstance(peer, tuple):  # a Unix socket, which no page can reach
        return
    host = request.headers.get("Host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    if host and parse(name.strip("[]")) is None and name != "localhost" and not name.endswith(".localhost"):
        raise Forbidden(
            f"this server is open to its own machine and does not answer to the name {name!r}; make keys, or start it "
            "with --allow-anonymous",
            code="strange_host",
        )
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise Forbidden(
            "this server is open to its own machine and answers no pages of others; make keys", code="strange_origin"
        )


def presented(request: web.BaseRequest) -> str:
    """The key that was sent, if there is one."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if secret and scheme.lower() == "bearer":
        return secret.strip()
    return request.headers.get("X-API-Key", "").strip()
