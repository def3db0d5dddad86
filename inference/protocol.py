"""What the server and a worker say to one another, and how it lies in a record. The standard library alone.

    server → worker    Job, Cancel, Stop
    worker → server    Ready, Script, Chunk, Failure

A record is one byte that says which, a fixed part, and what is left. Nothing is pickled: a record may come from a
process that is about to die.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from inference.engine import Engine

BEAT: Final = 0
"""Word of a channel's board: rounds of the worker's loop so far. It stands still while the worker waits for work."""
RUNNING_COUNT: Final = 1
"""How many jobs the worker is busy with."""
FIRST_RUNNING: Final = 2
"""Their ids, from here on."""
RUNNING_WORDS: Final = 30


def running_jobs(board: memoryview) -> tuple[int, ...] | None:
    """The jobs that a worker is, or was, busy with; None if it is not known which."""
    count = board[RUNNING_COUNT]
    return tuple(board[FIRST_RUNNING : FIRST_RUNNING + count]) if count <= RUNNING_WORDS else None


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker is to be."""

    pack: Path
    cache_dir: Path | None = None
    """Where processes share their weights; each has its own, if there is none."""
    cores: tuple[int, ...] = ()
    """Where it may run; where it was started, if empty."""
    nice: int = 0
    """How much it gives way to the server's event loop, which must wake at once."""
    short_slices: bool = False
    """Whether it gets a core as soon as it has work, in mid-slice of a nicer one."""
    load: Callable[[WorkerSpec], Engine] | None = None
    """A function of a module, for other engines than the pack's own."""


class Code(IntEnum):
    """Why a job failed."""

    NOTHING_TO_SAY = 1  # the text has nothing that can be spoken
    BAD_OVERRIDE = 2  # a reading given in the text is none
    TOO_LONG = 3  # one sentence of it has more phones than the engine can hold
    ENGINE = 4  # the engine raised: its own fault


class ProtocolError(Exception):
    """A record that nobody wrote: the two sides are of different releases, or memory was damaged."""


@dataclass(frozen=True, slots=True)
class Job:
    """Speak. Either a whole text, of which the first line is spoken and the others are given back as phones, or one
    such line.
    """

    id: int
    speaker: str
    speed: float
    pitch_semitones: float
    gain_db: float
    urgent: bool
    """Somebody waits to hear the beginning: let it go before the rest is made."""
    skip_samples: int
    """Samples that are known already, from a worker that died: they are made again and not sent."""
    text: str = ""
    phones: bytes = b""
    """Four bytes for each phone, as `Phone.ids`."""
    due_s: float = 0.0
    """What is due first is spoken first. By the server's clock: it is only compared."""
    marked: bool = False
    """Whether the script of a text is to tell where its words are written."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody wants that job's audio any more."""

    job_id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is held, then end."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded its voice and spoken with it."""

    capacity: int
    """Jobs it can hold."""
    sample_rate_hz: int
    repeatable: bool
    """Whether a job gives the same samples each time, so that one that was cut short can be taken up elsewhere."""


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of a text, to be spoken by whoever is free."""

    phones: bytes
    pause_after_s: float
    marks: bytes = b""
    """Four numbers of 32 bits for each word, as `inference.script.Mark` has them."""


@dataclass(frozen=True, slots=True)
class Script:
    """How a job's text is read. Its first line follows as chunks under the job's own id."""

    job_id: int
    started_s: float
    """When the worker took up the text, by the machine's monotonic clock."""
    read_s: float
    lines: tuple[Line, ...]
    unspoken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio of a job: the next samples after those it has sent before."""

    job_id: int
    last: bool
    infer_s: float
    samples: int
    """How many there are; there may be none in the last chunk."""
    data: bytes | memoryview
    """The samples, of 16 bits, in the machine's byte order; behind them, with a line's first, what `timing` makes."""

    @property
    def pcm(self) -> bytes | memoryview:
        """The samples alone."""
        return self.data[: 2 * self.samples]

    @property
    def timing(self) -> bytes | memoryview:
        """What stands behind them."""
        return self.data[2 * self.samples :]


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that ends without all of its audio."""

    job_id: int
    code: Code
    message: str


ToWorker = Job | Cancel | Stop
FromWorker = Ready | Script | Chunk | Failure

_JOB: Final = struct.Struct("=BQfff??dQII")  # …, bytes of the speaker's name, bytes of text (the rest is phones)
_ID: Final = struct.Struct("=BQ")
_READY: Final = struct.Struct("=BII?")
_SCRIPT: Final = struct.Struct("=BQddII")  # …, lines, bytes of the unspoken characters
_LINE: Final = struct.Struct("=IIf")  # bytes of phones, of marks, pause
_CHUNK: Final = struct.Struct("=BQ?dI")
_COUNT: Final = struct.Struct("=I")
_FAILURE: Final = struct.Struct("=BQB")
CHUNK_HEADER_BYTES: Final = _CHUNK.size + -_CHUNK.size % 2
"""Where the samples of a chunk begin; even, so that they can be read in place."""

_KIND_JOB, _KIND_CANCEL, _KIND_STOP, _KIND_READY, _KIND_SCRIPT, _KIND_CHUNK, _KIND_FAILURE = range(1, 8)


def encode(message: ToWorker | FromWorker) -> bytes:  # noqa: PLR0911  (one return for each message)
    """The message as a record. For chunks, `chunk_header` spares a copy of the samples."""
    match message:
        case Job():
            speaker, text = message.speaker.encode(), message.text.encode()
            head = _JOB.pack(
                _KIND_JOB,
                message.id,
                message.speed,
                message.pitch_semitones,
                message.gain_db,
                message.urgent,
                message.marked,
                message.due_s,
                message.skip_samples,
                len(speaker),
                len(text),
            )
            return b"".join((head, speaker, text, message.phones))
        case Cancel():
            return _ID.pack(_KIND_CANCEL, message.job_id)
        case Stop():
            return bytes([_KIND_STOP])
        case Ready():
            return _READY.pack(_KIND_READY, message.capacity, message.sample_rate_hz, message.repeatable)
        case Script():
            unspoken = "\0".join(message.unspoken).encode()
            head = _SCRIPT.pack(
                _KIND_SCRIPT, message.job_id, message.started_s, message.read_s, len(message.lines), len(unspoken)
            )
            sizes = (_LINE.pack(len(line.phones), len(line.marks), line.pause_after_s) for line in message.lines)
            parts = (part for line in message.lines for part in (line.phones, line.marks))
            return b"".join((head, *sizes, unspoken, *parts))
        case Chunk():
            head = chunk_header(message.job_id, last=message.last, infer_s=message.infer_s, samples=message.samples)
            return head + bytes(message.data)
        case Failure():
            return _FAILURE.pack(_KIND_FAILURE, message.job_id, message.code) + message.message.encode()


def chunk_header(job_id: int, *, last: bool, infer_s: float, samples: int) -> bytes:
    """What stands in front of a chunk's samples."""
    return _CHUNK.pack(_KIND_CHUNK, job_id, last, infer_s, samples).ljust(CHUNK_HEADER_BYTES, b"\0")


def timing(ends: bytes = b"") -> bytes:
    """When each phone of a line ends, in samples of 32 bits, and how many these are: so it is found behind samples."""
    return ends + _COUNT.pack(len(ends) // 4)


def split_timing(data: bytes) -> tuple[memoryview, bytes]:
    """What stands before a timing, and the timing."""
    count_at = len(data) - _COUNT.size
    at = count_at - 4 * _COUNT.unpack_from(data, count_at)[0]
    return memoryview(data)[:at], data[at:]


def phone_ends(timing: bytes) -> memoryview:
    """The numbers of a timing."""
    return memoryview(timing)[: -_COUNT.size].cast("i")


def decode(record: bytes | memoryview) -> ToWorker | FromWorker:
    """The message in a record. A chunk's samples are a view of the record: copy them before it is released."""
    view = memoryview(record)
    try:
        return _DECODERS[view[0]](view)
    except (KeyError, IndexError, struct.error, ValueError) as error:
        raise ProtocolError(f"a record of {len(view)} bytes is no message ({error})") from error


def _job(view: memoryview) -> Job:
    _, id_, speed, pitch, gain, urgent, marked, due_s, skip, speaker_bytes, text_bytes = _JOB.unpack_from(view)
    text_at = _JOB.size + speaker_bytes
    phones_at = text_at + text_bytes
    return Job(
        id_,
        str(view[_JOB.size : text_at], "utf-8"),
        speed,
        pitch,
        gain,
        urgent,
        skip,
        str(view[text_at:phones_at], "utf-8"),
        bytes(view[phones_at:]),
        due_s,
        marked,
    )


def _script(view: memoryview) -> Script:
    _, job_id, started_s, read_s, count, unspoken_bytes = _SCRIPT.unpack_from(view)
    sizes = [_LINE.unpack_from(view, _SCRIPT.size + number * _LINE.size) for number in range(count)]
    at = _SCRIPT.size + count * _LINE.size
    unspoken = str(view[at : at + unspoken_bytes], "utf-8")
    at += unspoken_bytes
    lines = []
    for phones_bytes, marks_bytes, pause_s in sizes:
        marks_at = at + phones_bytes
        lines.append(Line(bytes(view[at:marks_at]), pause_s, bytes(view[marks_at : marks_at + marks_bytes])))
        at = marks_at + marks_bytes
    if at != len(view):
        raise ValueError("its parts do not add up")
    return Script(job_id, started_s, read_s, tuple(lines), tuple(unspoken.split("\0")) if unspoken else ())


def _chunk(view: memoryview) -> Chunk:
    _, job_id, last, infer_s, samples = _CHUNK.unpack_from(view)
    data = view[CHUNK_HEADER_BYTES:]
    if 2 * samples > len(data):
        raise ValueError("it has fewer samples than it says")
    return Chunk(job_id, last, infer_s, samples, data)


def _failure(view: memoryview) -> Failure:
    _, job_id, code = _FAILURE.unpack_from(view)
    return Failure(job_id, Code(code), str(view[_FAILURE.size :], "utf-8"))


_DECODERS: Final[dict[int, Callable[[memoryview], ToWorker | FromWorker]]] = {
    _KIND_JOB: _job,
    _KIND_CANCEL: lambda view: Cancel(_ID.unpack_from(view)[1]),
    _KIND_STOP: lambda _: Stop(),
    _KIND_READY: lambda view: Ready(*_READY.unpack_from(view)[1:]),
    _KIND_SCRIPT: _script,
    _KIND_CHUNK: _chunk,
    _KIND_FAILURE: _failure,
}
