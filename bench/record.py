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
    """Of `bench http` and `bench seed`: levels of load, one after another."""

    kind: Literal["http", "seed"]
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


Result = Annotated[LoadResult | SoakResult | ColdstartResult | EfficiencyResult, Field(discriminator="kind")]


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


def record(result: LoadResult | SoakResult | ColdstartResult | EfficiencyResult, note: str = "") -> Record:
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
