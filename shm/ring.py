"""A ring of records between one producer and one consumer, in memory both can see.

    byte 0     magic, capacity        written once, by `create`
    byte 64    published              bytes ever published; written by the producer alone
    byte 128   released               bytes ever released; written by the consumer alone
    byte 192   data[capacity]

Cursors only grow; a cursor's place in the data is the cursor modulo the capacity, and `published - released` bytes are
in use. Each lies in a cache line of its own, so that the two sides do not take it from one another.

    frame      header (length | kind << 32), payload, up to 7 bytes of padding
    WHOLE      a record
    FIRST, MORE, LAST   the parts of a longer one
    SKIP       no payload: the next frame lies at the start of the data

A frame never wraps, so a record of one frame can be read where it lies. Longer records are cut into frames.

Legal moves:
1. The producer writes frames into free bytes, and then stores `published` behind them.
2. The consumer reads `published`, and then what lies before it.
3. The consumer stores `released` behind what nobody needs any more, in order.

So a producer that dies has either published a frame or not, and half a record is never taken for one. Cursors are
stored as whole words: `struct.pack_into` clears its bytes first, and the other side then sees 0.
"""

from __future__ import annotations

import platform
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_MAGIC: Final = 0x474E_4952_5354_5431  # TTSRING, layout 1
_MAGIC_AT, _CAPACITY_AT, _PUBLISHED_AT, _RELEASED_AT = 0, 1, 8, 16  # in words of 8 bytes
HEADER_BYTES: Final = 192
_WORD: Final = 8
_WHOLE, _FIRST, _MORE, _LAST, _SKIP = 1, 2, 3, 4, 5

SMALLEST_BYTES: Final = 1024
LONGEST_RECORD_BYTES: Final = 1 << 28
"""A quarter of a GiB, over an hour of speech: more than any sender has reason to send, and a bound for the reader's
memory.
"""

_fence: Callable[[], object]
if platform.machine() in {"x86_64", "AMD64"}:
    # Stores become visible in their order, and loads happen in theirs; nothing to do.
    def _fence() -> None:
        pass
else:
    _lock = threading.Lock()

    def _fence() -> None:
        with _lock:  # taking a lock orders memory: Python's only fence
            pass


class RingError(Exception):
    """The ring's memory is not what the two sides agreed on, or a side broke the rules."""


def size_bytes(capacity: int) -> int:
    """Bytes of memory that a ring needs for `capacity` bytes of data, a power of two."""
    if capacity < SMALLEST_BYTES or capacity & (capacity - 1):
        raise ValueError(f"the capacity of a ring is a power of two from {SMALLEST_BYTES} on, not {capacity}")
    return HEADER_BYTES + capacity


def create(memory: memoryview, capacity: int) -> None:
    """Lay out an empty ring in zeroed memory of `size_bytes(capacity)`, before either side opens it."""
    if len(memory) < size_bytes(capacity):
        raise ValueError(f"a ring of {capacity} bytes needs {size_bytes(capacity)} bytes of memory, not {len(memory)}")
    with memory[:HEADER_BYTES] as head, head.cast("Q") as words:
        words[_CAPACITY_AT] = capacity
        words[_PUBLISHED_AT] = words[_RELEASED_AT] = 0
        words[_MAGIC_AT] = _MAGIC


class _Side:
    """What both sides have in common: the memory as words and as bytes."""

    def __init__(self, memory: memoryview) -> None:
        with memory[:HEADER_BYTES] as head, head.cast("Q") as words:
            magic, capacity = words[_MAGIC_AT], words[_CAPACITY_AT]
        if magic != _MAGIC:
            raise RingError("this memory holds no ring")
        if len(memory) < size_bytes(capacity):
            raise RingError(f"the ring says {capacity} bytes, its memory has {len(memory) - HEADER_BYTES}")
        self.capacity = capacity
        self._cursors = memory[:HEADER_BYTES].cast("Q")
        self._bytes = memory[HEADER_BYTES : HEADER_BYTES + capacity]
        self._words = self._bytes.cast("Q")

    def close(self) -> None:
        """Let go of the memory, so that its owner can close it."""
        for view in (self._cursors, self._words, self._bytes):
            view.release()


class Producer(_Side):
    """The side that publishes. One thread of one process."""

    def __init__(self, memory: memoryview) -> None:
        super().__init__(memory)
        self.longest_frame = self.capacity // 4  # so that three can be under way, and padding is never the half
        self._published: int = self._cursors[_PUBLISHED_AT]
        self._released: int = self._cursors[_RELEASED_AT]  # as last seen
        self._rest: memoryview | None = None
        self._begun = False  # whether a frame of the rest's record is out already

    @property
    def blocked(self) -> bool:
        """Whether part of a record still waits for room."""
        return self._rest is not None

    def publish(self, record: bytes | bytearray | memoryview) -> bool:
        """Put a record into the ring; False if some of it must wait for room: then `flush` until that says True.

        The record must not change until it is published whole. RingError while an earlier one waits.
        """
        if self._rest is not None:
            raise RingError("a record still waits for room: flush it first")
        view = memoryview(record).cast("B")
        if len(view) > LONGEST_RECORD_BYTES:
            raise ValueError(f"a record has at most {LONGEST_RECORD_BYTES} bytes, not {len(view)}")
        self._rest = view
        return self.flush()

    def flush(self) -> bool:
        """Publish what waits, as far as there is room; True when nothing is left. Wake the consumer either way."""
        rest = self._rest
        if rest is None:
            return True
        while True:
            length = min(len(rest), self.longest_frame)
            at = self._claim(length)
            if at is None:
                self._rest = rest
                return False
            self._bytes[at + _WORD : at + _WORD + length] = rest[:length]
            rest = rest[length:]
            kind = (_MORE if rest else _LAST) if self._begun else (_FIRST if rest else _WHOLE)
            self._words[at // _WORD] = length | kind << 32
            self._published += _WORD + _padded(length)
            _fence()
            self._cursors[_PUBLISHED_AT] = self._published
            self._begun = bool(rest)
            if not rest:
                self._rest = None
                return True

    def _claim(self, length: int) -> int | None:
        """Where a frame of so many bytes may be written; None if there is no room yet."""
        need = _WORD + _padded(length)
        at = self._published & (self.capacity - 1)
        skip = self.capacity - at if self.capacity - at < need else 0
        if self._published + skip + need - self._released > self.capacity:
            self._released = self._cursors[_RELEASED_AT]
            _fence()
            if self._published + skip + need - self._released > self.capacity:
                return None
        if not skip:
            return at
        self._words[at // _WORD] = _SKIP << 32
        self._published += skip
        return 0


class Consumer(_Side):
    """The side that reads. One thread of one process."""

    def __init__(self, memory: memoryview) -> None:
        super().__init__(memory)
        self._payload = self._bytes.toreadonly()
        self._read: int = self._cursors[_RELEASED_AT]
        # A frame takes a quarter of the ring at most, and with skipping not twice that.
        self._crowded = self.capacity // 2 - 4 * _WORD
        self._told = self._read  # what had been released when `release` last answered
        self._partial: bytearray | None = None
        self._polled: deque[tuple[memoryview, int]] = deque()  # records handed out, and where each ends

    def poll(self, limit: int = 64) -> list[memoryview]:
        """The next records, at most `limit`. They are views of the ring until they are released: copy what is kept."""
        published: int = self._cursors[_PUBLISHED_AT]
        _fence()
        records: list[memoryview] = []
        while self._read != published and len(records) < limit:
            record = self._next(published)
            if record is not None:
                records.append(record)
                self._polled.append((record, self._read))
        if not self._polled:
            self._release_to(self._read)  # frames of an unfinished record are copied and need their place no more
        return records

    def release(self, count: int) -> bool:
        """Give back the oldest `count` polled records. Their views are void from here on; so is what was made of them,
        though a numpy array does not know it: copy what is kept.

        True if the ring was so full that the producer may be waiting for room. On a machine that delays stores it may,
        very rarely, be False although it waits: a producer should look again by itself now and then.
        """
        if count > len(self._polled):
            raise RingError(f"{count} records released, {len(self._polled)} are out")
        for _ in range(count):
            record, end = self._polled[0]
            record.release()
            self._polled.popleft()
            self._release_to(end if self._polled else self._read)
        published: int = self._cursors[_PUBLISHED_AT]  # after the stores: who was not waiting yet has seen the room
        before, self._told = self._told, self._cursors[_RELEASED_AT]
        return published - before > self._crowded

    def close(self) -> None:
        """Void every record still out, and let go of the memory."""
        for record, _ in self._polled:
            record.release()
        self._polled.clear()
        self._payload.release()
        super().close()

    def _next(self, published: int) -> memoryview | None:
        """Step over one frame; the record that it completes, if any."""
        at = self._read & (self.capacity - 1)
        header: int = self._words[at // _WORD]
        length, kind = header & 0xFFFF_FFFF, header >> 32
        step = self.capacity - at if kind == _SKIP else _WORD + _padded(length)
        if not _WHOLE <= kind <= _SKIP or step > published - self._read or at + step > self.capacity:
            raise RingError(f"byte {self._read} of the ring holds no frame")
        self._read += step
        if kind == _SKIP:
            return None
        if (self._partial is None) == (kind in {_MORE, _LAST}):
            if self._partial is None:
                return None  # the end of a record whose beginning was taken by a consumer that died
            raise RingError("a record without an end")
        payload = self._payload[at + _WORD : at + _WORD + length]
        if kind == _WHOLE:
            return payload
        whole = self._partial = bytearray() if self._partial is None else self._partial
        whole += payload
        payload.release()
        if len(whole) > LONGEST_RECORD_BYTES:
            raise RingError("a record without an end")
        if kind != _LAST:
            return None
        self._partial = None
        return memoryview(whole).toreadonly()

    def _release_to(self, end: int) -> None:
        _fence()
        self._cursors[_RELEASED_AT] = end


def _padded(length: int) -> int:
    return (length + _WORD - 1) & -_WORD
