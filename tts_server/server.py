"""The server's life: start, serve, drain, stop. `_live` is its table of contents.

The first SIGTERM or SIGINT asks it to finish what it has accepted; the second ends that at once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import uvloop
from aiohttp import web

from inference import slices
from shm import segment
from tts_server import door, listener
from tts_server.cache import Cache
from tts_server.connections import BoundedSite, Connections
from tts_server.gateway import SpeechGateway
from tts_server.http.app import create_admin_app, create_app
from tts_server.http.encoders import Encoders
from tts_server.http.known import KNOWN
from tts_server.http.services import SERVICES, Limits, Services
from tts_server.jobs.service import Jobs
from tts_server.jobs.store import SharedFolder
from tts_server.logs import get_logger, logging_to
from tts_server.metrics import Metrics
from tts_server.overload import Overload
from tts_server.pool import StartError
from tts_server.release import version
from tts_server.remote.dashscope import DashScope
from tts_server.router import Backend, Router
from tts_server.speech import Gateway
from tts_server.systemd import Notifier
from tts_server.trace import open_tracing

if TYPE_CHECKING:
    from socket import socket

    from tts_server.config import Settings

DONE, FAILED = 0, 1

_CLOSE_S: Final = 3.0
"""After the time to drain: for websockets to close (their clients have two seconds to agree), and for requests that
were cancelled to say so."""
_STOP_S: Final = 10.0
"""For the gateway to end its workers. It kills those that do not end by themselves, long before."""
_ECHO_S: Final = 0.1
"""A signal this soon after the first is the same one: `timeout` and others tell a process, and then its group."""
_BACKLOG: Final = 4096
"""Connections that wait to be accepted, when many come at once; the kernel's own bound (somaxconn) is the same."""
_GC_THRESHOLDS: Final = (5_000, 20, 20)
"""New containers before a look at the youngest, and so on; what a cycle keeps alive meanwhile is a few MB."""
_OPEN_FILES: Final = 65_536
"""A connection is an open file. The usual limit of 1,024 would be met long before the queue is full."""

log = get_logger(__name__)


class RunningGateway(Backend, Protocol):
    """All that requests are for."""

    @property
    def cache(self) -> Cache | None:
        """Where it keeps what was said; whole answers are kept there too."""
        ...

    @property
    def overload(self) -> Overload | None:
        """Who looks how busy it is."""
        ...


def all_engines(settings: Settings, metrics: Metrics) -> Router:
    """Those of this machine, and those of others."""
    remote = DashScope.of(settings, metrics, os.environ)
    return Router(settings, metrics, SpeechGateway(settings, metrics), () if remote is None else (remote,))


def run(
    settings: Settings,
    strange_variables: Sequence[str] = (),
    make_gateway: Callable[[Settings, Metrics], RunningGateway] = all_engines,
) -> int:
    """Serve until told to stop; the exit code of the process. What goes wrong is in the log, on standard error."""
    with logging_to(2, settings.log_level, settings.log_format, os.environ):
        for variable in strange_variables:
            log.warning("no such setting", variable=variable)
        for name in segment.sweep():
            log.info("removed shared memory of a server that is gone", segment=name)
        _allow_open_files()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_live(settings, make_gateway))
        except Exception as error:
            log.error("server failed", exc_info=error)  # noqa: TRY400  (with its traceback, where all else is logged)
            return FAILED


async def _live(settings: Settings, make_gateway: Callable[[Settings, Metrics], RunningGateway]) -> int:
    slices.shorten()  # of this thread, the event loop's: it has little to do at a time, and all wait for it
    signals, notifier, metrics = _Signals(), Notifier.of(os.environ), Metrics()
    gateway = make_gateway(settings, metrics)
    encoders = Encoders(settings.encoder_threads)
    jobs = Jobs(settings, gateway, metrics)
    services = Services(
        gateway, metrics, encoders, _limits(settings), cache=gateway.cache, jobs=jobs, load=gateway.overload
    )
    held = AsyncExitStack()
    try:
        # A port that is taken is told before the slow part; nobody is let in before its end.
        sockets = listener.open_sockets(settings.host, settings.port, os.environ, reuse_port=settings.reuse_port)
        admin = (
            [] if settings.admin_port is None else listener.open_sockets(settings.admin_host, settings.admin_port, {})
        )
        guard = await held.enter_async_context(door.guarding(settings, sockets))
        await jobs.prepare()
        await _unless(signals.stop, gateway.start())
        if signals.stop.is_set():
            return DONE
        tracing = open_tracing(settings.otlp_endpoint, metrics, os.environ)
        if tracing is not None:
            held.push_async_callback(tracing.close)
        _settle_memory()
        app = create_app(services, version=version(), guard=guard, admin_apart=bool(admin), tracing=tracing)
        app.on_response_prepare.append(_last_answer)
        bounds = door.bounds(settings, metrics.connection_cut)
        # a trace has to have all of a request's way
        speaking = bounds if tracing is not None else replace(bounds, at_once=app[KNOWN].at_once)
        runner = await _listen(app, sockets, settings, speaking)
        if admin:  # until the end: whoever drains is not ready, and says so
            admin_runner = await _listen(create_admin_app(services), admin, settings, bounds)
            held.push_async_callback(admin_runner.cleanup)
            log.info("probes and metrics", url=listener.url(admin[0]))
        async with _in_background(metrics.watch_loop(), notifier.keep_alive(lambda: _healthy(gateway)), jobs.run()):
            _tell_ready(notifier, gateway, sockets)
            await signals.stop.wait()

            notifier.tell("STOPPING=1", "STATUS=finishing what was accepted")
            await _unless(signals.now, _drain(runner, gateway, settings.drain_s))
        if signals.now.is_set():
            log.warning("stopped at once", cancelled=await gateway.drain(0))
            return FAILED
    except (listener.ListenError, door.DoorError, SharedFolder, StartError) as error:
        log.error(str(error))  # noqa: TRY400  (where it was raised is not for who can mend it)
        return FAILED
    else:
        return DONE
    finally:
        await _stop(gateway)
        await held.aclose()
        encoders.close()
        signals.ignore()


class _Signals:
    """What the process was told."""

    _NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.now = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._first_s = 0.0
        for number in self._NUMBERS:
            self._loop.add_signal_handler(number, self._caught, number)

    def _caught(self, number: signal.Signals) -> None:
        if not self.stop.is_set():
            log.info("told to stop", signal=number.name)
            self._first_s = self._loop.time()
            self.stop.set()
        elif self._loop.time() - self._first_s > _ECHO_S:
            log.info("told to stop at once", signal=number.name)
            self.now.set()

    def ignore(self) -> None:
        """All is done; one signal more, while the process ends, must not spoil its exit code."""
        for number in self._NUMBERS:
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


async def _listen(
    app: web.Application, sockets: Sequence[socket], settings: Settings, bounds: Connections
) -> web.AppRunner:
    runner = web.AppRunner(
        app,
        handler_cancellation=True,  # a client that goes away stops its work
        access_log=None,  # the middlewares log requests, with what aiohttp does not know of them
        keepalive_timeout=settings.keepalive_s,
        shutdown_timeout=settings.drain_s,
    )
    await runner.setup()
    for bound in sockets:
        await BoundedSite(runner, bound, bounds, backlog=_BACKLOG).start()
    return runner


async def _last_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Once the server drains, each connection ends with the answer it is at."""
    if request.app[SERVICES].gateway.draining:
        response.force_close()


def _tell_ready(notifier: Notifier, gateway: Gateway, sockets: Sequence[socket]) -> None:
    url = listener.url(sockets[0])
    engines = ", ".join(gateway.ready())
    log.info("serving", url=url, engines=engines)
    example = """-H 'Content-Type: application/json' -d '{"text": "你好。Hello."}' -o hello.wav"""
    sys.stdout.write(f"Speaking at {url}; try:  curl {url}/api/tts {example}\n")
    sys.stdout.flush()
    notifier.tell("READY=1", f"STATUS=serving {engines} at {url}")


def _healthy(gateway: Gateway) -> bool:
    """Whether waiting is better than a restart by the watchdog: somebody can speak, or this is the end anyway."""
    return gateway.draining or any(gateway.ready().values())


async def _drain(runner: web.AppRunner, gateway: RunningGateway, drain_s: float) -> None:
    """Close the door, let those inside be served for so long, and show out the rest."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + drain_s
    for site in runner.sites:
        await site.stop()
    for connection in runner.server.connections if runner.server else ():
        if connection._waiter is not None:  # noqa: SLF001  (it waits for its next request; aiohttp has no other word)
            connection.force_close()
    # aiohttp's own shutdown would stop reading at once, in the middle of bodies and websockets: it comes last.
    cancelled = await gateway.drain(drain_s)
    log.info("drained", cancelled=cancelled)
    try:
        async with asyncio.timeout_at(max(until_s, loop.time()) + _CLOSE_S):
            await runner.shutdown()  # websockets are told
            await runner.cleanup()  # and answers given to the last byte, if their clients take them
    except TimeoutError:
        log.warning("connections cut")


async def _stop(gateway: RunningGateway) -> None:
    try:
        async with asyncio.timeout(_STOP_S):
            await gateway.stop()
    except TimeoutError:
        log.warning("workers do not end", after_s=_STOP_S)
    log.info("stopped")


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work; stop it if the event comes first."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.wait({working, waiting}, timeout=_CLOSE_S)


@asynccontextmanager
async def _in_background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _limits(settings: Settings) -> Limits:
    return Limits(
        tts_characters=settings.max_text_chars,
        job_characters=settings.jobs_max_text_chars,
        body_bytes=settings.max_body_bytes,
        deadline_s=settings.deadline_s,
        write_timeout_s=settings.write_timeout_s,
    )


def _settle_memory() -> None:
    """Keep the garbage collector from stopping the event loop.

    In 1,920 requests (2 shared cores, 64,000 objects after the start) it ran 149 times, once for 83 ms: it walked over
    all that was loaded. With that set aside, a full run took 0.4 ms. Requests leave hardly any cycles, so it may run
    seven times as seldom: then it ran once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
