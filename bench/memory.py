"""What workers cost in memory: real ones, started one after another, and what it goes into in one of them.

USS is what a process has for itself, and would give back by ending; PSS adds its share of what it has in common with
others; RSS counts that in full. So the cost of one more worker is what the sum of all PSS grows by: that of the workers
and of the zygote they are forked from.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from bench.engine import SENTENCES, BenchError, cpu_name
from inference.heap import give_back
from inference.pack import load_pack
from inference.protocol import Chunk, Failure, Job, Ready, Stop, WorkerSpec, decode, encode
from inference.zygote import PRELOAD, Zygote
from shm.channel import Channel

if TYPE_CHECKING:
    from inference.engine import Engine

MOST_WORKERS: Final = 64
_PATIENCE_S: Final = 120.0  # for a worker to load and to speak, on a machine that does other things as well
_TO_WORKER_BYTES, _TO_SERVER_BYTES = 1 << 16, 1 << 20
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of one process, in MiB."""

    rss_mib: float
    pss_mib: float
    uss_mib: float


@dataclass(frozen=True, slots=True)
class Part:
    """What a step of a worker's start adds to its memory; all together are less than a worker has, for they leave out
    what was freed and not given back.
    """

    name: str
    rss_mib: float
    uss_mib: float


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """What was measured, and on what."""

    pack: str
    shared_weights: bool
    zygote: Usage
    """Of the process that they are forked from, in the end."""
    workers: tuple[Usage, ...]
    """With all of them running, each having spoken the bench's sentences."""
    total_pss_mib: tuple[float, ...]
    """Of the zygote and one worker, and two, …"""
    one_more_mib: float
    """By how much the last worker raised the total: for all but the first, what is common exists already."""
    parts: tuple[Part, ...]
    cpu: str
    versions: Mapping[str, str]
    date: str


def measure(pack_folder: Path, *, workers: int = 3, shared_weights: bool = True) -> MemoryResult:
    """Start so many workers, one after another, and take one apart.

    ValueError if that cannot be measured, PackError if the pack is broken, BenchError if a process fails.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"workers is {workers}; it must be 1 to {MOST_WORKERS}")
    pack = load_pack(pack_folder)
    load = _load_shared if shared_weights else _load_own
    with ExitStack() as stack:
        spec = WorkerSpec(pack_folder.resolve(), Path(stack.enter_context(tempfile.TemporaryDirectory())), load=load)
        if shared_weights:
            _alone(_prepare, spec)  # a server finds the prepared model there on all but its first start
        parts = _alone(_take_apart, spec)
        zygote = stack.enter_context(closing(Zygote(PRELOAD)))
        processes: list[psutil.Process] = []
        totals = []
        for _ in range(workers):
            processes.append(stack.enter_context(_worker(zygote, spec, pack.speakers[0].name)))
            assert zygote.pid is not None, "it has just forked: this is a bug"  # noqa: S101
            first, *usages = (_usage(process) for process in (psutil.Process(zygote.pid), *processes))
            totals.append(first.pss_mib + sum(usage.pss_mib for usage in usages))
    return MemoryResult(
        pack=pack.name,
        shared_weights=shared_weights,
        zygote=first,
        workers=tuple(usages),
        total_pss_mib=tuple(totals),
        one_more_mib=totals[-1] - (totals[-2] if workers > 1 else 0),
        parts=parts,
        cpu=cpu_name(),
        versions={
            "python": platform.python_version(),
            "onnxruntime": version("onnxruntime"),
            "os": platform.platform(),
        },
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def report(result: MemoryResult) -> str:
    """The result for people."""
    rows = [
        f"{result.pack}, weights {'shared' if result.shared_weights else 'not shared'}",
        f"{result.cpu}, " + ", ".join(f"{name} {number}" for name, number in result.versions.items()),
        "",
        f"{'worker':<24}{'RSS MiB':>10}{'PSS MiB':>10}{'USS MiB':>10}{'all PSS':>10}",
    ]
    zygote = result.zygote
    rows.append(f"{'zygote':<24}{zygote.rss_mib:>10.1f}{zygote.pss_mib:>10.1f}{zygote.uss_mib:>10.1f}")
    for number, (usage, total) in enumerate(zip(result.workers, result.total_pss_mib, strict=True), start=1):
        rows.append(f"{number:<24}{usage.rss_mib:>10.1f}{usage.pss_mib:>10.1f}{usage.uss_mib:>10.1f}{total:>10.1f}")
    rows += ["", f"{'where it goes':<24}{'RSS MiB':>10}{'':>10}{'USS MiB':>10}"]
    rows += [f"{part.name:<24}{part.rss_mib:>10.1f}{'':>10}{part.uss_mib:>10.1f}" for part in result.parts]
    return "\n".join([*rows, "", f"one more worker: {result.one_more_mib:.1f} MiB"])


def write_json(result: MemoryResult, file: Path) -> None:
    """The result for programs."""
    file.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _usage(process: psutil.Process) -> Usage:
    memory = process.memory_full_info()
    return Usage(memory.rss / 2**20, memory.pss / 2**20, memory.uss / 2**20)


def _load_shared(spec: WorkerSpec) -> Engine:
    return _load(spec, spec.cache_dir)


def _load_own(spec: WorkerSpec) -> Engine:
    return _load(spec, None)


def _load(spec: WorkerSpec, cache_dir: Path | None) -> Engine:
    from inference.parallel import ParallelEngine
    from inference.voice import Voice

    return ParallelEngine(Voice.load(spec.pack, cache_dir=cache_dir))


@contextmanager
def _worker(zygote: Zygote, spec: WorkerSpec, speaker: str) -> Iterator[psutil.Process]:
    """A worker that has spoken."""
    channel, address = Channel.create(to_guest_bytes=_TO_WORKER_BYTES, to_host_bytes=_TO_SERVER_BYTES)
    try:
        process = zygote.fork(spec, address)
    except BaseException:
        channel.close()
        raise
    finally:
        address.bell.close()  # so that its end is heard here
    try:
        _wait(channel)
        for number, text in enumerate(SENTENCES.read_text(encoding="utf-8").splitlines()):
            channel.send(encode(Job(number, speaker, 1.0, 0.0, 0.0, urgent=False, skip_samples=0, text=text)))
            _wait(channel)
        yield psutil.Process(process.pid)
        channel.send(encode(Stop()))
        process.join(5)
    finally:
        process.kill()
        process.join()
        channel.close()


def _wait(channel: Channel) -> None:
    """Until the worker is ready, or has spoken what it was given."""
    deadline = time.monotonic() + _PATIENCE_S
    done = False
    while not done:
        if not channel.bell.wait(1.0):
            raise BenchError("a worker ended before its time; why is said above")
        if time.monotonic() > deadline:
            raise BenchError(f"a worker said nothing for {_PATIENCE_S:g} s")
        records = channel.receive()
        for record in records:
            match decode(record):
                case Ready() | Chunk(last=True):
                    done = True
                case Failure(message=why):
                    raise BenchError(f"a worker could not speak: {why}")
        if records:
            channel.release(len(records))


def _alone(measured: Callable[[WorkerSpec, Connection], None], spec: WorkerSpec) -> tuple[Part, ...]:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=measured, args=(spec, theirs), name="bench-memory", daemon=True)
    process.start()
    theirs.close()
    try:
        parts: tuple[Part, ...] = ours.recv()
    except EOFError as error:
        raise BenchError("a measuring process ended before its time; why is said above") from error
    finally:
        ours.close()
        process.join()
    return parts


def _prepare(spec: WorkerSpec, pipe: Connection) -> None:
    _load_shared(spec)
    pipe.send(())


def _take_apart(spec: WorkerSpec, pipe: Connection) -> None:
    """Do as a worker does, and look at the memory after each step, without what only waits to be used again."""
    process, parts, before = psutil.Process(), [], Usage(0, 0, 0)

    def step(name: str) -> None:
        nonlocal before
        gc.collect()
        give_back()
        now = _usage(process)
        parts.append(Part(name, now.rss_mib - before.rss_mib, now.uss_mib - before.uss_mib))
        before = now

    import numpy  # noqa: F401, ICN001  for its memory

    step("Python, numpy")
    import rjieba  # noqa: F401

    step("Chinese words")
    import pypinyin  # noqa: F401

    step("Chinese readings")
    from inference.frontend.reading import read, warm

    read("你好")
    step("Chinese, what is ours")
    read("hello")
    step("English readings")
    warm()
    step("English sounded out")
    import inference.session  # noqa: F401

    step("onnxruntime")
    from inference.engine import Task
    from inference.utterance import Manner, Utterance

    assert spec.load is not None, "a worker is told how to load: this is a bug"  # noqa: S101
    engine = spec.load(spec)
    step("voice")
    for text in SENTENCES.read_text(encoding="utf-8").splitlines():
        for sentence in read(text).sentences:
            engine.add(Task(0, Utterance(sentence.phones, Manner(engine.speakers[0])), urgent=False))
            while engine.has_work:
                engine.step()
    step("working buffers")
    pipe.send(tuple(parts))
