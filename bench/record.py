"""A result as it is kept: what was measured, how, and on what. `docs/bench.md` describes every field.

The schema is the classes themselves: pydantic reads them, their docstrings and what a file says.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import psutil
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from bench.engine import cpu_name
from bench.figures import Spread
from bench.level import Level
from bench.peer_felt import PeersResult
from bench.usage import ProcessUse
from inference.cores import usable_cores

SCHEMA: Final = 1
"""Of the form of a record; another number is another form."""
_PACKAGES: Final = ("tts-server", "onnxruntime", "numpy", "aiohttp", "uvloop")


@dataclass(frozen=True, slots=True)
class Machine:
    """What it was measured on. It names no host."""

    cpu: str
    cores: int
    """That may be used."""
    memory_gib: float
    kernel: str
    python: str
    versions: Mapping[str, str]
    """Of the packages that matter."""


@dataclass(frozen=True, slots=True)
class Method:
    """How requests were made."""

    language: str
    """Of the texts: zh, en, mixed or seed."""
    length: str
    """Of the texts: short, sentence, paragraph or mixed."""
    repeat: float
    """The part of requests whose text was asked for before."""
    text_seed: int
    voice: str
    engine: str | None
    """None: the server's first."""
    audio_format: str
    streamed: bool
    cache: bool
    """Whether the server that was started cached; of another one it is not known."""
    server: Literal["started", "running"]
    """Whether the bench started it, or it ran already."""
    serve: tuple[str, ...]
    """Options of the server that was started."""
    clients: int
    """Client processes, on the same machine."""
    users_wait_s: tuple[float, float]
    """Between an answer and a user's next request, uniform."""
    arrivals: str
    """Of an open loop: poisson or constant."""
    warmup_s: float
    """Before each level."""
    slo_ms: float
    deadline_ms: int | None
    """That requests named as X-Deadline-Ms; None: none."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Of `bench http`, `seed` and `underruns`: levels of load, one after another."""

    kind: Literal["http", "seed", "underruns"]
    method: Method
    levels: tuple[Level, ...]
    sustained_per_s: float | None = None
    """Of a search: the highest rate that held the SLO; None if none was searched for."""


@dataclass(frozen=True, slots=True)
class SoakPoint:
    """A look at a server that is under load for long."""

    requests: int
    """Answered so far."""
    rss_mib: float
    """Of all its processes."""
    open_files: int
    segments: int
    """Of shared memory."""


@dataclass(frozen=True, slots=True)
class SoakResult:
    """Of `bench soak`."""

    kind: Literal["soak"]
    method: Method
    requests: int
    seconds: float
    errors: Mapping[str, int]
    rss_mib_per_1000: float
    """By how much memory grows with a thousand requests, by the later half of the points: the first fills caches."""
    open_files_grown: int
    """From the first point of the second half to the last."""
    segments_grown: int
    points: tuple[SoakPoint, ...]
    processes: tuple[ProcessUse, ...]


@dataclass(frozen=True, slots=True)
class ColdstartResult:
    """Of `bench coldstart`; milliseconds from the start of the process."""

    kind: Literal["coldstart"]
    serve: tuple[str, ...]
    rounds: int
    cold_ready_ms: Spread
    """Until it served, its models still to be prepared."""
    cold_first_audio_ms: Spread
    """Until the first byte of audio of a request sent then."""
    warm_ready_ms: Spread
    """With models prepared by an earlier start."""
    warm_first_audio_ms: Spread


@dataclass(frozen=True, slots=True)
class EfficiencyRound:
    """Limit and server, one after the other."""

    limit_audio_s_per_s: float
    """The nets alone on all cores."""
    served_audio_s_per_s: float
    client_cores: float
    """What clients and the watching process took from the server."""
    limit_other_cores: float
    """What other programs took from the nets alone."""
    served_other_cores: float | None
    """What they took from the server; None if that is not known."""
    ratio: float
    """Served by limit."""
    ratio_without_client: float
    """Served by the limit of the cores that clients left."""


@dataclass(frozen=True, slots=True)
class EfficiencyResult:
    """Of `bench efficiency`."""

    kind: Literal["efficiency"]
    pack: str
    method: Method
    users: int
    rounds: tuple[EfficiencyRound, ...]
    ratio: Spread
    ratio_without_client: Spread
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Vips:
    """What VIPs felt under one load: until the last byte, or streamed until the first audio."""

    asked: int
    errors: Mapping[str, int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    stages_ms: Mapping[str, float]
    """Where the time went, the mean; as of a Level."""
    client_lag_p99_ms: float
    """How late their own client's event loop was."""
    client_cores: float
    server_cores: float
    """Of all the server's processes."""
    server_waited: float
    """Seconds in a second that the server's own process was ready and had no core."""
    workers_waited: float
    """The same of all its workers together."""
    other_cores: float | None
    """What programs took that are no part of this."""


@dataclass(frozen=True, slots=True)
class Others:
    """What became of the standard callers who overloaded the server."""

    asked: int
    answered_qps: float
    goodput_qps: float
    """Answered rightly within the SLO."""
    refused: int
    """429 and 503."""
    errors: Mapping[str, int]
    client_cores: float


@dataclass(frozen=True, slots=True)
class VipTurn:
    """VIPs alone, and beside others, one after the other."""

    round: int
    streamed: bool
    alone: Vips
    loaded: Vips
    others: Others


@dataclass(frozen=True, slots=True)
class VipResult:
    """Of `bench vip`."""

    kind: Literal["vip"]
    method: Method
    """Of the others: VIPs ask for short texts, and name no deadline."""
    vips_per_s: float
    capacity_qps: float
    """What users who do not wait are answered, measured at the start with the others' texts."""
    offered_qps: float
    seconds: float
    turns: tuple[VipTurn, ...]
    whole_p95_ratio: Spread | None
    """VIPs' p95 loaded by their p95 alone, of each round; whole answers by their last byte."""
    first_audio_p95_ratio: Spread | None
    """The same of streamed answers, by their first audio."""


@dataclass(frozen=True, slots=True)
class PairRound:
    """Two ways to serve, one after the other."""

    first_audio_s_per_s: float
    second_audio_s_per_s: float
    first_client_cores: float
    """What clients and the watching process took from the first."""
    second_client_cores: float
    first_other_cores: float | None
    """What other programs took; None if that is not known."""
    second_other_cores: float | None
    first_p95_ms: float | None
    second_p95_ms: float | None
    ratio: float
    """Second by first."""
    ratio_without_client: float
    """The same, what the clients took from each given back to it."""


@dataclass(frozen=True, slots=True)
class PairResult:
    """Of `bench instances` and `bench batching`."""

    kind: Literal["instances", "batching"]
    method: Method
    first: str
    """In words."""
    second: str
    users: int
    rounds: tuple[PairRound, ...]
    ratio: Spread
    ratio_without_client: Spread
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class IdleResult:
    """Of `bench idle`."""

    kind: Literal["idle"]
    serve: tuple[str, ...]
    seconds: float
    processes: tuple[ProcessUse, ...]
    """Of a server that nobody asks for anything."""


@dataclass(frozen=True, slots=True)
class CachedRound:
    """A bare handler and the server, one after the other."""

    bare_qps: float
    bare_cpu_us: float
    """Of its process, for each answer."""
    bare_busy: float
    """The part of a core that it took: below 0.9 something else bounded it."""
    cached_qps: float
    """Of the server, from its cache."""
    cached_cpu_us: float
    """Of its parent process."""
    cached_busy: float
    qps_ratio: float
    """The server's by the bare handler's."""
    cpu_ratio: float
    """The bare handler's time for an answer by the server's."""


@dataclass(frozen=True, slots=True)
class CachedResult:
    """Of `bench cached`."""

    kind: Literal["cached"]
    serve: tuple[str, ...]
    answer_bytes: int
    connections: int
    shared_core: bool
    """Whether there was but one, for the client too."""
    rounds: tuple[CachedRound, ...]
    qps_ratio: Spread
    cpu_ratio: Spread


AnyResult = (
    LoadResult
    | SoakResult
    | ColdstartResult
    | EfficiencyResult
    | VipResult
    | PeersResult
    | PairResult
    | IdleResult
    | CachedResult
)
Result = Annotated[AnyResult, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Record:
    """A result, and what it was measured on."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)

    schema_version: Literal[1]
    date: str
    """When it ended, UTC."""
    machine: Machine
    result: Result
    note: str = ""
    """What the reader should know."""


class RecordError(ValueError):
    """A file is no record; the message says where it is none."""


def record(result: AnyResult, note: str = "") -> Record:
    """A result of now, on this machine."""
    return Record(SCHEMA, datetime.now(UTC).isoformat(timespec="seconds"), machine(), result, note)


def machine() -> Machine:
    """What all runs on here."""
    return Machine(
        cpu=cpu_name(),
        cores=len(usable_cores()),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={name: _version(name) for name in _PACKAGES},
    )


def write(found: Record, file: Path) -> None:
    """As JSON."""
    file.write_bytes(_adapter().dump_json(found, indent=1) + b"\n")


def read(file: Path) -> Record:
    """What `write` has written. RecordError if it is none."""
    try:
        return _adapter().validate_json(file.read_bytes())
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise RecordError(f"{file} is no result of `bench`: {place}: {first['msg']}") from error


def schema() -> dict[str, Any]:
    """The form of a record, as JSON Schema."""
    return _adapter().json_schema(mode="serialization")


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout that is not installed
        return "(not installed)"
