"""The facts that `doctor.py` judges: read from the kernel, asked of Redis, tried. Nothing is changed by asking."""

from __future__ import annotations

import asyncio
import ctypes
import http.client
import ipaddress
import math
import os
import platform
import resource
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from yarl import URL

from inference.cores import control_groups, read_topology
from shm.segment import free_bytes
from tts_server import doctor, listener
from tts_server.command import UsageError
from tts_server.doctor import Clock, Finding, Redis
from tts_server.ffmpeg import find_ffmpeg
from tts_server.gateway import StartError, cores_of_express, cores_of_workers
from tts_server.keys import KeysError, read_keys
from tts_server.pool import shared_memory_bytes
from tts_server.trace import collector_of

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.config_sources import Effective

_PATIENCE_S: Final = 2.0
"""For Redis, and for a server that may answer at the port."""
_PINGS: Final = 5
_SENTENCE: Final = "今天天气很好，我们去公园走一走。"
_SPOKEN: Final = 3  # times; the fastest counts, for others may have had the core meanwhile
_TIMEX_BYTES: Final = 512  # struct timex has 208; nobody minds the rest
_NOT_SYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_UNLIMITED_BYTES: Final = 1 << 60  # what version 1 of control groups shows for no limit is near 2**63


def examine(effective: Effective) -> Iterator[Finding]:
    """One finding after the other, as they are found; the voices, which speak, take some seconds."""
    settings = effective.settings
    yield doctor.check_variables(effective.strange)
    topology = read_topology()
    try:
        cores = cores_of_workers(settings)
        workers, express = len(cores), len(cores_of_express(settings, cores))
        yield doctor.check_cores(
            len(topology.cores), os.cpu_count() or 1, topology.quota_cpus, workers, settings.instance[1]
        )
    except StartError as error:
        workers, express = len(topology.cores), 0
        yield Finding("cores", "fail", "the cores named are not to be had", str(error))
    everyone, express = workers * len(settings.engines), express * len(settings.engines)
    yield doctor.check_processor(*processor())
    available, limit = memory_mib()
    yield doctor.check_memory(available, limit, everyone + express, settings.cache_bytes / 2**20)
    spare = 0 if settings.express_workers else shared_memory_bytes(express)  # what nobody asked for is left out
    needed = shared_memory_bytes(everyone + express) - spare
    yield doctor.check_shared_memory(free_bytes(), needed, spare)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield doctor.check_open_files(math.inf if hard == resource.RLIM_INFINITY else hard, settings.max_queued)
    yield doctor.check_clock(clock())
    yield from _folders(settings)
    yield _door(settings)
    yield _port(settings)
    yield doctor.check_redis(asyncio.run(_redis(settings.redis_url)) if settings.redis_url else None)
    yield doctor.check_ffmpeg(find_ffmpeg())
    yield _traces(settings)
    for name in settings.engines:
        yield _voice(name, settings)


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, str, frozenset[str]]:
    """Its name, its architecture, and what it can do, as the kernel lists it."""
    fields: dict[str, str] = {}
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        pass  # no Linux: its flags stay unknown
    flags = frozenset((fields.get("flags") or fields.get("Features", "")).split())
    return fields.get("model name") or platform.processor() or "processor", platform.machine(), flags


def memory_mib(root: Path = Path("/")) -> tuple[float, float]:
    """What is available to this process, and the smallest limit of the control groups around it, or infinity."""
    available, limit = float(psutil.virtual_memory().available), math.inf
    files = [(folder / "memory.max", folder / "memory.current") for folder in control_groups(root, "")]
    files += [
        (folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes")
        for folder in control_groups(root, "memory")
    ]
    for most, used in files:
        bound = _bytes(most)
        if bound is not None and bound < _UNLIMITED_BYTES:
            limit = min(limit, bound)
            available = min(available, max(0, bound - (_bytes(used) or 0)))
    return available / 2**20, limit / 2**20


def _bytes(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not there; `max`
        return None


def clock() -> Clock:
    """How this machine keeps time."""
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    try:
        name = source.read_text(encoding="ascii").strip()
    except OSError:
        name = ""
    return Clock(time.gmtime().tm_year, time.clock_getres(time.CLOCK_MONOTONIC), name, _synchronised())


def _synchronised() -> bool | None:
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(
            ctypes.create_string_buffer(_TIMEX_BYTES)
        )  # asks, sets nothing
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONISED


def _folders(settings: Settings) -> Iterator[Finding]:
    state, cache = settings.state_dir, settings.cache_dir
    problem = _why_not(lambda: _try_to_write(state))
    free_mib = 0.0 if problem else psutil.disk_usage(str(_existing(state))).free / 2**20
    yield doctor.check_state_folder(str(state), problem, free_mib, settings.jobs_disk_reserve_mib)
    yield doctor.check_cache_folder(str(cache), _why_not(lambda: _try_the_cache(cache)))


def _try_the_cache(folder: Path) -> None:
    from inference.prepared import check_ours

    if folder.exists():
        check_ours(folder)
    _try_to_write(folder)


def _try_to_write(folder: Path) -> None:
    """OSError if a file cannot be made in it, or a folder that is not there yet cannot be made."""
    with tempfile.TemporaryFile(dir=_existing(folder)):
        pass


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _why_not(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _door(settings: Settings) -> Finding:
    problem, keys = "", 0
    try:
        keys = len(read_keys(settings.keys_path)) if settings.keys_path.exists() else 0
    except (KeysError, OSError) as error:
        problem = str(error)
    return doctor.check_door(problem, keys, local=_is_local(settings.host), anonymous=settings.allow_anonymous)


def _is_local(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False  # an address of nobody: the port tells that
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    try:
        for opened in listener.open_sockets(settings.host, settings.port, {}, reuse_port=settings.reuse_port):
            opened.close()
    except listener.ListenError as error:
        return doctor.check_port(where, str(error), answered=_answers(settings.host, settings.port))
    return doctor.check_port(where, "", answered=False)


def _answers(host: str, port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (not bound to: asked)
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200 and b'"live"' in answer.read(1024)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def _redis(url: str) -> Redis | str:
    from redis import asyncio as redis
    from redis.exceptions import RedisError

    try:
        client = redis.Redis.from_url(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S)
    except ValueError as error:
        raise UsageError(f"redis_url is no URL of a Redis: {error}") from error
    try:
        async with client:
            waits = []
            for _ in range(_PINGS + 1):
                began = time.perf_counter()
                await client.ping()
                waits.append(time.perf_counter() - began)
            told = await client.info()
    except (RedisError, OSError) as error:
        return str(error) or type(error).__name__
    return Redis(
        ping_ms=min(waits[1:]) * 1e3,  # the first one also connects
        version=str(told.get("redis_version", "redis")),
        maxmemory_bytes=int(told.get("maxmemory", 0)),
        policy=str(told.get("maxmemory_policy", "unknown")),
        appendonly=bool(int(told.get("aof_enabled", 0))),
    )


def _traces(settings: Settings) -> Finding:
    collector = collector_of(settings.otlp_endpoint, os.environ)
    if collector is None:
        return doctor.check_traces(None, "", installed=True)
    try:
        import tts_server.tracing  # noqa: F401  (whether it can be)
    except ImportError:
        return doctor.check_traces(collector, "", installed=False)
    return doctor.check_traces(collector, _why_not(lambda: _try_to_reach(collector)), installed=True)


def _try_to_reach(url: str) -> None:
    place = URL(url)
    socket.create_connection((place.host or "", place.port or 0), _PATIENCE_S).close()


def _voice(name: str, settings: Settings) -> Finding:
    from inference.frontend.reading import read
    from inference.pack import PackError
    from inference.voice import Voice

    folder = Path(name) if "/" in name else settings.voices_dir / name
    try:
        voice = Voice.load(folder)
    except PackError as error:
        return doctor.check_voice(name, str(error), 0.0)
    phones = read(_SENTENCE).sentences[0].phones
    best = 0.0
    for _ in range(_SPOKEN):
        began = time.perf_counter()
        speech = voice.speak(phones, speaker=voice.pack.speakers[0].name)
        best = max(best, len(speech.audio) / speech.sample_rate_hz / (time.perf_counter() - began))
    return doctor.check_voice(name, "", best)
