"""What is well with a machine and what is not, from facts about it: each check is a function of its facts alone.

`doctor_facts.py` finds the facts. A finding says what is, and unless all is well what to change and why.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import orjson

Level = Literal["ok", "warn", "fail"]
"""Nothing to do; it will serve, but not as it could; it will not serve."""

SERVER_MIB: Final = 128
"""The server process itself: 81 MiB after its start, with room for requests."""
ZYGOTE_MIB: Final = 256
"""What workers are forked from and share: 200 MiB."""
WORKER_MIB: Final = 128
"""One worker, beside that: 30 to 40 MiB after its first sentences; what it remembers of words grows for thousands."""
SLOW: Final = 20.0
"""Times real time, on one core: below it a paragraph's first audio takes longer than anybody likes to wait."""
NEAR_MS: Final = 5.0
"""What the cache waits for Redis (cache_redis.ANSWER_S): a slower one is asked in vain."""
OLDEST_YEAR: Final = 2025
"""No release is older than this, so no clock can rightly be."""
COARSE_S: Final = 0.001
_COSTLY_CLOCKS: Final = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies"})
"""Read by leaving the processor, in a microsecond or more; the others take 30 ns."""
_FILES_BESIDE: Final = 512
"""Open files that are no connections: rings, doorbells, the cache, jobs and their audio."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    level: Level
    found: str
    advice: str = ""
    """What to change, and why. Empty if there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Redis:
    """A Redis that answers, as it tells of itself."""

    ping_ms: float
    version: str
    maxmemory_bytes: int
    policy: str
    appendonly: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """How this machine keeps time."""

    year: int
    resolution_s: float
    """Of the clock that only goes forward."""
    source: str
    """Where the kernel takes it from; empty if it does not say."""
    synchronised: bool | None
    """With other clocks, by the kernel's own word; None if it cannot be asked."""


def worst(findings: Iterable[Finding]) -> Level:
    """The level of all of them together."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "ok"


def check_cores(usable: int, machine: int, quota_cpus: float, workers: int, instances: int) -> Finding:
    """`workers` of each engine of this instance, on the cores that affinity, control group and quota leave."""
    quota = "" if math.isinf(quota_cpus) else f", time for {quota_cpus:g} of them"
    found = f"{usable} of {machine} usable{quota}; {workers} to each engine"
    mine = max(1, math.ceil(min(usable, quota_cpus) / instances))
    if quota_cpus < 1:
        why = "a container is stopped for the rest of each tenth of a second once its time is used, in mid-sentence"
        return Finding("cores", "warn", found, f"give the container a whole core or more (cpus: 1): {why}")
    if workers > mine:
        why = "workers of one engine that share a core only wait for one another"
        return Finding("cores", "warn", found, f"set workers to auto, or to {mine}: {why}")
    return Finding("cores", "ok", found)


def check_processor(name: str, machine: str, flags: Collection[str]) -> Finding:
    """What the kernels of onnxruntime can use; `flags` as the kernel lists them."""
    if machine in {"x86_64", "AMD64"}:
        if {"avx512_vnni", "avx_vnni"} & set(flags):
            return Finding("processor", "ok", f"{name}: int8 by {'AVX-512 ' if 'avx512_vnni' in flags else 'AVX-'}VNNI")
        lacks = "products of int8 take several instructions instead of one, so the voices are slower than they could be"
        if "avx2" in flags:
            wide = "AVX-512" if "avx512f" in flags else "AVX2"
            return Finding("processor", "warn", f"{name}: {wide}, no VNNI", f"choose a processor with VNNI: {lacks}")
        why = "a virtual machine often hides what its host has; let it see the host's (cpu type `host`)"
        return Finding(
            "processor", "warn", f"{name}: no AVX2", f"{why}, for without it speech takes many times as long"
        )
    if machine in {"aarch64", "arm64"}:
        if "asimddp" in flags:
            return Finding("processor", "ok", f"{name}: int8 by dot products (asimddp)")
        return Finding("processor", "warn", f"{name}: no asimddp", "choose ARMv8.2 or later: int8 is slow without")
    return Finding(
        "processor", "warn", f"{name} ({machine})", "measure with `tts-server bench engine`: nobody has here"
    )


def check_memory(available_mib: float, limit_mib: float, workers: int, cache_mib: float) -> Finding:
    """`workers` of all engines; `limit_mib` is the container's, or infinite. What others use is not available."""
    needed = SERVER_MIB + ZYGOTE_MIB + workers * WORKER_MIB + cache_mib
    limit = "" if math.isinf(limit_mib) else f" (limit {limit_mib:.0f})"
    found = f"{available_mib:.0f} MiB available{limit}, {needed:.0f} wanted for {workers} workers and the cache"
    advice = "give it more, or serve fewer engines (--engines standard), fewer workers or express_workers, or a "
    advice += "smaller cache_bytes"
    if available_mib < needed / 2:
        return Finding("memory", "fail", found, f"{advice}: the kernel would kill workers, again and again")
    if available_mib < needed:
        return Finding("memory", "warn", found, f"{advice}: under load the kernel may kill workers")
    return Finding("memory", "ok", found)


def check_shared_memory(free_bytes: int, needed_bytes: int, express_bytes: int = 0) -> Finding:
    """The rings between server and workers; `serve` refuses to start without them. `express_bytes`: beside that, for
    express workers that it starts only where there is room.
    """
    wanted_bytes = needed_bytes + express_bytes
    found = f"{free_bytes / 2**20:.0f} MiB free, {wanted_bytes / 2**20:.0f} are needed"
    if free_bytes < wanted_bytes:
        more = math.ceil(wanted_bytes * 2 / 2**20)
        advice = f"docker: --shm-size {more}m; Kubernetes: an emptyDir of medium Memory at /dev/shm; a machine: "
        advice += "mount -o remount,size=1G /dev/shm. Audio goes from the workers to the server through it"
        if free_bytes >= needed_bytes:
            return Finding("shared memory", "warn", found, f"{advice}; as it is VIPs get no workers of their own")
        return Finding("shared memory", "fail", found, advice)
    return Finding("shared memory", "ok", found)


def check_voice(name: str, problem: str, x_realtime: float) -> Finding:
    """A pack: `problem` is why it cannot be used, or empty; `x_realtime` how fast it spoke just now, on one core."""
    if problem:
        return Finding(f"voice {name}", "fail", "cannot be used", problem)
    found = f"whole, and speaks {x_realtime:.0f} times as fast as one listens"
    if x_realtime < SLOW:
        advice = (
            "see what else runs on these cores, and whether the machine is throttled: measure again when it is idle"
        )
        return Finding(f"voice {name}", "warn", found, advice)
    return Finding(f"voice {name}", "ok", found)


def check_redis(state: Redis | str | None) -> Finding:
    """None: no Redis is configured; a string: why it does not answer."""
    if state is None:
        return Finding("redis", "ok", "none configured; one instance needs none")
    if isinstance(state, str):
        advice = "start it, or correct redis_url; until then each instance counts and caches for itself"
        return Finding("redis", "warn", f"does not answer: {state}", advice)
    most = f"maxmemory {state.maxmemory_bytes >> 20} MiB, {state.policy}"
    found = f"{state.version} answers in {state.ping_ms:.1f} ms; {most}"
    wrong = []
    if state.ping_ms > NEAR_MS:
        wrong.append(f"put it nearer: nobody waits longer than {NEAR_MS:g} ms for the cache")
    if not state.maxmemory_bytes:
        wrong.append("set maxmemory: what was said is kept for a week, and fills the machine before that")
    if state.policy == "noeviction":
        wrong.append("set maxmemory-policy allkeys-lru: when it is full nothing new would be kept, nor limits counted")
    if state.appendonly:
        wrong.append(
            "set appendonly no if others do not need it: all of this can be made again, and syncing delays answers"
        )
    return Finding("redis", "warn" if wrong else "ok", found, "; ".join(wrong))


def check_port(where: str, problem: str, *, answered: bool) -> Finding:
    """Whether the server could listen there; `answered`: another tts-server does already."""
    if answered:
        return Finding("port", "ok", f"{where} is held by a tts-server that answers")
    if problem:
        return Finding("port", "fail", f"{where} is not free", problem)
    return Finding("port", "ok", f"{where} is free")


def check_door(problem: str, keys: int, *, local: bool, anonymous: bool) -> Finding:
    """Who will get in. `problem` is what is wrong with the file of keys; `local`: this machine alone can reach it."""
    if problem:
        return Finding("door", "fail", "the keys cannot be read", problem)
    whom = f"keys: {keys}" if keys else "no keys"
    if not keys and not anonymous and not local:
        advice = "make one with `tts-server keys add NAME`, or let everybody in with --allow-anonymous"
        return Finding("door", "fail", "others can reach it and there are no keys: it will not start", advice)
    if anonymous:
        whom += "; strangers are tier anonymous"
    elif not keys:
        whom += "; this machine is let in without"
    return Finding("door", "ok", whom)


def check_clock(clock: Clock) -> Finding:
    """Waits and deadlines go by one clock, which only goes forward; keys' ends, limits and logs by the other."""
    known = {True: "synchronised", False: "not synchronised", None: "nobody says whether it is synchronised"}
    found = f"{known[clock.synchronised]}; source {clock.source or 'unknown'}"
    if clock.year < OLDEST_YEAR:
        return Finding("clock", "fail", f"it is the year {clock.year}", "set the clock: keys end and jobs expire by it")
    if clock.resolution_s > COARSE_S:
        return Finding(
            "clock", "warn", found, "use a kernel with high resolution timers: batches wait for milliseconds"
        )
    if clock.source in _COSTLY_CLOCKS:
        return Finding(
            "clock", "warn", found, "boot with clocksource=tsc if the machine has it: this one is slow to read"
        )
    if clock.synchronised is False:
        advice = "run chrony or systemd-timesyncd: instances that count limits together must agree on the time"
        return Finding("clock", "warn", found, advice)
    return Finding("clock", "ok", found)


def check_open_files(hard: float, max_queued: int) -> Finding:
    """`hard` is the limit that the server may raise itself to; a connection is an open file."""
    needed = max_queued + _FILES_BESIDE
    found = f"up to {hard:g}"
    if hard < needed:
        advice = f"raise the hard limit to {needed} or more (LimitNOFILE=, --ulimit nofile=): as many requests may wait"
        return Finding("open files", "fail" if hard < _FILES_BESIDE else "warn", found, advice)
    return Finding("open files", "ok", found)


def check_state_folder(path: str, problem: str, free_mib: float, reserve_mib: int) -> Finding:
    """Keys, settings and jobs; without it the server does not start."""
    found = f"{path}, {free_mib:.0f} MiB free"
    if problem:
        advice = "make it writable for the user of the server, or name another with --state-dir"
        return Finding("state folder", "fail", f"{path} cannot be written: {problem}", advice)
    if free_mib <= reserve_mib:
        advice = f"free some space, or lower jobs_disk_reserve_mib ({reserve_mib}): no job is accepted as it is"
        return Finding("state folder", "warn", found, advice)
    return Finding("state folder", "ok", found)


def check_cache_folder(path: str, problem: str) -> Finding:
    """Prepared models, which workers map together."""
    if problem:
        advice = (
            "make it a folder that the user of the server alone can write: each worker has its weights for itself else"
        )
        return Finding("cache folder", "warn", f"{path}: {problem}", advice)
    return Finding("cache folder", "ok", path)


def check_ffmpeg(program: str | None) -> Finding:
    """Optional: AAC alone needs it."""
    if program is None:
        return Finding("ffmpeg", "ok", "none: aac is refused; put one on the PATH, or pip install 'tts-server[aac]'")
    return Finding("ffmpeg", "ok", program)


def check_traces(collector: str | None, problem: str, *, installed: bool) -> Finding:
    """Optional. `problem` says why the collector cannot be reached."""
    if collector is None:
        return Finding("traces", "ok", "no collector is named, so there are none")
    if not installed:
        return Finding("traces", "warn", f"none for {collector}", "OpenTelemetry is not there: 'tts-server[otel]'")
    if problem:
        advice = "they are dropped and counted, nobody waits; OTLP over HTTP is mostly at port 4318"
        return Finding("traces", "warn", f"{collector} is not reached: {problem}", advice)
    return Finding("traces", "ok", f"go to {collector}")


def check_variables(strange: Sequence[str]) -> Finding:
    """Variables in the environment that look like settings."""
    if strange:
        return Finding(
            "settings", "warn", f"no such setting: {'; '.join(strange)}", "correct the name: it has no effect"
        )
    return Finding("settings", "ok", "every variable is known")


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each, its advice below it; then what it comes to."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:4}  {finding.name:{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':4}  {'':{width}}  -> {finding.advice}")
    sums = {"ok": "all is well", "warn": "it will serve; see what is marked warn", "fail": "it will not serve as it is"}
    return "\n".join([*lines, "", sums[worst(findings)]])


def as_json(findings: Sequence[Finding]) -> str:
    """The same for programs: `{"level": "warn", "findings": [{"name", "level", "found", "advice"}, …]}`."""
    listing = {"level": worst(findings), "findings": [asdict(finding) for finding in findings]}
    return orjson.dumps(listing, option=orjson.OPT_INDENT_2).decode()
