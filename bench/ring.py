"""The shared-memory ring beside what Python has for the same: `multiprocessing.Queue`, `Pipe` and a Unix socket.

Two pinned processes. One way: messages are sent as fast as the other side takes them, and the clock stops when it has
answered for the last. There and back: a small message is echoed; `ring, awake` looks at its cursors for a moment before
it sleeps on the doorbell, all others sleep at once. The receiver looks at the first and last byte of a message.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import socket
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Final, Protocol

from bench.engine import cpu_name
from inference.cores import choose, pin
from shm.doorbell import Doorbell
from shm.ring import Consumer, Producer, create, size_bytes
from shm.segment import Segment

SIZES_BYTES: Final = (64, 4096, 1 << 20)  # a cancel, a job, some twenty seconds of speech
_CAPACITY: Final = 1 << 23  # two messages of a MiB under way at a time
_AWAKE_S: Final = 200e-6
_COUNT, _ECHO, _ANSWER, _END = b"\0", b"\1", b"\2", b"\3"
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Way:
    """One transport's figures."""

    transport: str
    messages_per_s: Mapping[int, float]
    """By size in bytes, one way."""
    gigabytes_per_s: Mapping[int, float]
    round_trip_p50_us: float
    round_trip_p99_us: float


@dataclass(frozen=True, slots=True)
class RingResult:
    """What was measured, and on what."""

    ways: tuple[Way, ...]
    ring_over_queue: Mapping[int, float]
    """Messages per second of the ring over those of the queue, by size."""
    seconds: float
    cpu: str
    os: str
    date: str


class _End(Protocol):
    """One side of a two-way transport; handed to the spawned peer as it is."""

    def open(self) -> None: ...
    def send(self, message: bytes) -> None: ...
    def receive(self) -> bytes | memoryview: ...
    def done(self) -> None: ...
    def close(self) -> None: ...


def measure(*, seconds: float = 1.0) -> RingResult:
    """Measure every transport, `seconds` for each figure."""
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds:g}; it must be more than 0")
    ways = tuple(_measure(name, make, seconds) for name, make in _TRANSPORTS.items())
    ring, queue = ways[0], next(way for way in ways if way.transport == "Queue")
    return RingResult(
        ways,
        {size: ring.messages_per_s[size] / queue.messages_per_s[size] for size in SIZES_BYTES},
        seconds,
        cpu_name(),
        platform.platform(),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def report(result: RingResult) -> str:
    """The result for people."""
    heads = [f"{_size(size)}/s" for size in SIZES_BYTES]
    rows = [
        f"{result.cpu}, {result.os}",
        "",
        f"{'':14}" + "".join(f"{head:>14}" for head in heads) + f"{'GB/s at 1 MiB':>16}{'p50 µs':>10}{'p99 µs':>10}",
    ]
    for way in result.ways:
        counts = "".join(f"{way.messages_per_s[size]:>14,.0f}" for size in SIZES_BYTES)
        trips = f"{way.round_trip_p50_us:>10.1f}{way.round_trip_p99_us:>10.1f}"
        rows.append(f"{way.transport:14}{counts}{way.gigabytes_per_s[SIZES_BYTES[-1]]:>16.2f}{trips}")
    times = ", ".join(f"{ratio:.1f} × at {_size(size)}" for size, ratio in result.ring_over_queue.items())
    return "\n".join([*rows, "", f"ring over Queue: {times}"])


def write_json(result: RingResult, file: Path) -> None:
    """The result for programs."""
    file.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


def _measure(name: str, make: Callable[[ExitStack], tuple[_End, _End]], seconds: float) -> Way:
    here, there = choose(2)
    with ExitStack() as stack:
        ours, theirs = make(stack)
        peer = _SPAWN.Process(target=_peer, args=(theirs, there), daemon=True)
        peer.start()
        stack.callback(peer.join)
        theirs.close()
        before = os.sched_getaffinity(0)
        pin([here])
        stack.callback(pin, before)
        ours.open()
        stack.callback(ours.close)
        stack.callback(ours.send, _END)
        _ask(ours, _ECHO)  # the peer is up
        counts = {size: _one_way(ours, size, seconds) for size in SIZES_BYTES}
        trips = _round_trips(ours, seconds)
    return Way(
        name,
        counts,
        {size: count * size / 1e9 for size, count in counts.items()},
        statistics.median(trips) * 1e6,
        trips[int(len(trips) * 0.99)] * 1e6,
    )


def _one_way(end: _End, size: int, seconds: float) -> float:
    message = _COUNT * size
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(16):
            end.send(message)
        count += 16
    _ask(end, _ANSWER)
    return count / (time.perf_counter() - start)


def _round_trips(end: _End, seconds: float) -> list[float]:
    """Sorted, in seconds."""
    trips, message = [], _ECHO * SIZES_BYTES[0]
    start = now = time.perf_counter()
    while now - start < seconds:
        before = now
        _ask(end, message)
        now = time.perf_counter()
        trips.append(now - before)
    return sorted(trips)


def _ask(end: _End, message: bytes) -> None:
    end.send(message)
    end.receive()
    end.done()


def _peer(end: _End, core: int) -> None:
    pin([core])
    end.open()
    while True:
        message = end.receive()
        kind, last = bytes(message[:1]), bytes(message[-1:])
        answer = bytes(message) if kind in {_ECHO, _ANSWER} else b""
        end.done()
        if last == _END:
            end.close()
            return
        if answer:
            end.send(answer)


class _RingEnd:
    def __init__(self, outgoing: str, incoming: str, bell: Doorbell, awake_s: float) -> None:
        self._names = outgoing, incoming
        self._bell = bell
        self._awake_s = awake_s

    def open(self) -> None:
        self._segments = [Segment.attach(name) for name in self._names]
        self._producer = Producer(self._segments[0].memory)
        self._consumer = Consumer(self._segments[1].memory)

    def send(self, message: bytes) -> None:
        done = self._producer.publish(message)
        self._bell.ring()
        while not done:
            os.sched_yield()
            done = self._producer.flush()

    def receive(self) -> memoryview:
        until = time.perf_counter() + self._awake_s
        while not (records := self._consumer.poll(1)):
            if time.perf_counter() >= until:
                self._bell.wait()
        return records[0]

    def done(self) -> None:
        self._consumer.release(1)

    def close(self) -> None:
        if hasattr(self, "_producer"):
            self._producer.close()
            self._consumer.close()
            for segment in self._segments:
                segment.close()
        self._bell.close()


class _QueueEnd:
    def __init__(self, outgoing: Queue[bytes], incoming: Queue[bytes]) -> None:
        self._outgoing, self._incoming = outgoing, incoming

    def open(self) -> None:
        pass

    def send(self, message: bytes) -> None:
        self._outgoing.put(message)

    def receive(self) -> bytes:
        message: bytes = self._incoming.get()
        return message

    def done(self) -> None:
        pass

    def close(self) -> None:
        pass


class _PipeEnd:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self) -> None:
        pass

    def send(self, message: bytes) -> None:
        self._connection.send_bytes(message)

    def receive(self) -> bytes:
        return self._connection.recv_bytes()

    def done(self) -> None:
        pass

    def close(self) -> None:
        self._connection.close()


class _SocketEnd:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def open(self) -> None:
        self._file = self._socket.makefile("rb", buffering=1 << 16)

    def send(self, message: bytes) -> None:
        self._socket.sendall(len(message).to_bytes(4, "little") + message)

    def receive(self) -> bytes:
        message: bytes = self._file.read(int.from_bytes(self._file.read(4), "little"))
        return message

    def done(self) -> None:
        pass

    def close(self) -> None:
        self._socket.close()


def _ring(stack: ExitStack, awake_s: float) -> tuple[_End, _End]:
    names = []
    for _ in range(2):
        segment = Segment.create(size_bytes(_CAPACITY))
        stack.callback(segment.close)
        create(segment.memory, _CAPACITY)
        names.append(segment.name)
    ours, theirs = Doorbell.pair()
    return _RingEnd(names[0], names[1], ours, awake_s), _RingEnd(names[1], names[0], theirs, awake_s)


def _queue(_: ExitStack) -> tuple[_End, _End]:
    # bounded, as a server's queue must be; else a fast sender measures only its memory
    there, back = (_SPAWN.Queue(64) for _ in range(2))
    return _QueueEnd(there, back), _QueueEnd(back, there)


def _pipe(_: ExitStack) -> tuple[_End, _End]:
    ours, theirs = _SPAWN.Pipe()
    return _PipeEnd(ours), _PipeEnd(theirs)


def _socket(_: ExitStack) -> tuple[_End, _End]:
    ours, theirs = socket.socketpair()
    return _SocketEnd(ours), _SocketEnd(theirs)


_TRANSPORTS: Final[Mapping[str, Callable[[ExitStack], tuple[_End, _End]]]] = {
    "ring, awake": lambda stack: _ring(stack, _AWAKE_S),
    "ring, asleep": lambda stack: _ring(stack, 0.0),
    "Queue": _queue,
    "Pipe": _pipe,
    "Unix socket": _socket,
}
