"""How many seconds of audio a voice makes per second of one core: a pinned process on each, whole sentences, no server.

Every process warms up on each sentence, waits until all are ready, then goes round the list until the time is over.
Text is read beforehand: this measures the voice alone.
"""

from __future__ import annotations

import json
import multiprocessing
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from inference.cores import choose, pin, usable_cores
from inference.frontend.phones import Phone
from inference.pack import load_pack

if TYPE_CHECKING:
    from inference.utterance import Utterance

SENTENCES: Final = Path(__file__).with_name("sentences.txt")
_SPAWN: Final = multiprocessing.get_context("spawn")  # as workers are started: nothing inherited but the arguments


class BenchError(Exception):
    """A measuring process did not come through; its own message is on standard error."""


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What was measured, and on what."""

    pack: str
    precision: str
    batch: int
    x_realtime_per_core: float
    """Seconds of audio per second of one core, the mean over cores that were all busy."""
    per_core: tuple[float, ...]
    audio_seconds: float
    """Audio made on all cores together."""
    seconds: float
    """How long each core was measured."""
    sentence_seconds: tuple[float, float]
    """The shortest and the longest sentence."""
    cpu: str
    versions: Mapping[str, str]
    date: str


@dataclass(frozen=True, slots=True)
class _Task:
    pack_folder: Path
    sentences: tuple[tuple[Phone, ...], ...]
    speaker: str
    batch: int
    seconds: float
    core: int


@dataclass(frozen=True, slots=True)
class _Count:
    audio_s: float
    elapsed_s: float
    shortest_s: float
    longest_s: float


def measure(
    pack_folder: Path,
    *,
    seconds: float = 10.0,
    cores: int | None = None,
    batch: int = 1,
    precision: str | None = None,
    sentences: Sequence[tuple[Phone, ...]] | None = None,
) -> EngineResult:
    """Measure the pack on `cores` cores (all this process may use, if None).

    ValueError if that cannot be measured, PackError if the pack is broken, BenchError if a process fails.
    """
    usable = usable_cores()
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds:g}; it must be more than 0")
    if batch < 1:
        raise ValueError(f"batch is {batch}; it must be 1 or more")
    if cores is not None and not 1 <= cores <= len(usable):
        raise ValueError(f"cores is {cores}; this process may use 1 to {len(usable)}")
    pack = load_pack(pack_folder)
    if precision not in {None, pack.precision}:
        raise ValueError(f"the pack {pack.name!r} is {pack.precision}, not {precision}; name one that is with --pack")
    spoken = tuple(sentences if sentences is not None else read_sentences())
    tasks = [
        _Task(pack_folder.resolve(), spoken, pack.speakers[0].name, batch, seconds, core)
        for core in choose(cores or len(usable))
    ]
    counts = _run_all(tasks)
    per_core = tuple(count.audio_s / count.elapsed_s for count in counts)
    return EngineResult(
        pack=pack.name,
        precision=pack.precision,
        batch=batch,
        x_realtime_per_core=sum(per_core) / len(per_core),
        per_core=per_core,
        audio_seconds=sum(count.audio_s for count in counts),
        seconds=seconds,
        sentence_seconds=(min(count.shortest_s for count in counts), max(count.longest_s for count in counts)),
        cpu=cpu_name(),
        versions={
            "python": platform.python_version(),
            "onnxruntime": version("onnxruntime"),
            "os": platform.platform(),
        },
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def read_sentences() -> list[tuple[Phone, ...]]:
    """The bench's own sentences, of 2–8 s in both languages, as phones."""
    from inference.frontend.reading import read

    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    return [sentence.phones for line in lines for sentence in read(line).sentences]


def report(result: EngineResult) -> str:
    """The result for people."""
    shortest, longest = result.sentence_seconds
    rows = [
        f"{result.pack} ({result.precision}), batch {result.batch}, sentences of {shortest:.1f} to {longest:.1f} s",
        f"{result.cpu}, " + ", ".join(f"{name} {number}" for name, number in result.versions.items()),
        "",
        "core    × real time",
        *(f"{number:>4}    {speed:>11.1f}" for number, speed in enumerate(result.per_core)),
        f"mean    {result.x_realtime_per_core:>11.1f}    {result.audio_seconds:.0f} s of audio in {result.seconds:g} s",
    ]
    return "\n".join(rows)


def write_json(result: EngineResult, file: Path) -> None:
    """The result for programs."""
    file.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _run_all(tasks: Sequence[_Task]) -> list[_Count]:
    pipes = [_SPAWN.Pipe() for _ in tasks]
    processes = [
        _SPAWN.Process(target=_run_one, args=(task, theirs), name=f"bench-{number}", daemon=True)
        for number, (task, (_, theirs)) in enumerate(zip(tasks, pipes, strict=True))
    ]
    try:
        for process, (_, theirs) in zip(processes, pipes, strict=True):
            process.start()
            theirs.close()  # so that its end, too, is heard here
        for ours, _ in pipes:
            ours.recv()  # warm
        for ours, _ in pipes:
            ours.send(None)  # go
        return [ours.recv() for ours, _ in pipes]
    except (EOFError, ConnectionError) as error:
        raise BenchError("a measuring process ended before its time; why is said above") from error
    finally:
        for process, (ours, _) in zip(processes, pipes, strict=True):
            ours.close()
            if process.pid is not None:
                process.join(timeout=5)
                process.kill()
                process.join()


def _run_one(task: _Task, pipe: Connection) -> None:
    pin([task.core])
    # After pinning: onnxruntime looks at the affinity as it loads.
    from inference.utterance import Manner, Utterance
    from inference.voice import Voice

    voice = Voice.load(task.pack_folder)
    utterances = [Utterance(phones, Manner(task.speaker)) for phones in task.sentences]
    batches = _batches(utterances, task.batch)
    lengths = [speech.seconds for batch in batches for speech in voice.speak_batch(batch)]  # warm-up
    pipe.send(None)
    pipe.recv()
    audio_s, rounds, start = 0.0, 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - start) < task.seconds:
        audio_s += sum(speech.seconds for speech in voice.speak_batch(batches[rounds % len(batches)]))
        rounds += 1
    pipe.send(_Count(audio_s, elapsed_s, min(lengths), max(lengths)))


def _batches(utterances: list[Utterance], size: int) -> list[list[Utterance]]:
    """Neighbours in length together, as a server would do it: the shorter ones are padded to the longest."""
    enough = sorted(utterances * -(-size // len(utterances)), key=lambda utterance: len(utterance.phones))
    starts = range(0, len(enough), size)
    return [enough[min(start, len(enough) - size) :][:size] for start in starts]


def cpu_name() -> str:
    """The processor as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
