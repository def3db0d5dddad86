"""All that lies between one process and another that it spawned: a ring each way, a board of words, and a doorbell.

    byte 0      board: 32 words; each written by the spawned side alone, read by the other at any time
    byte 256    ring from host to guest
    behind it   ring from guest to host

The host makes the segment and is told of the guest's death by the doorbell; the guest attaches, and ends with the host.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from shm.doorbell import Doorbell
from shm.ring import HEADER_BYTES, Consumer, Producer, create, size_bytes
from shm.segment import Segment

BOARD_WORDS: Final = 32
_BOARD_BYTES: Final = BOARD_WORDS * 8


@dataclass(frozen=True, slots=True)
class Address:
    """What the guest needs to attach. An argument of the spawned process, and nothing else: it carries a descriptor."""

    segment: str
    to_guest_bytes: int
    bell: Doorbell


class Channel:
    """One side of it. One thread."""

    def __init__(self, segment: Segment, outgoing: memoryview, incoming: memoryview, bell: Doorbell) -> None:
        self.bell = bell
        self._segment = segment
        self._views = (outgoing, incoming)
        self._producer = Producer(outgoing)
        self._consumer = Consumer(incoming)
        self._waiting: deque[bytes | bytearray] = deque()
        self.board = segment.memory[:_BOARD_BYTES].cast("Q")
        """The words; what each means is the two sides' affair."""

    @classmethod
    def create(cls, *, to_guest_bytes: int, to_host_bytes: int) -> tuple[Channel, Address]:
        """The host's side, and what to hand to the guest. SegmentError if there is not so much shared memory."""
        ours, theirs = Doorbell.pair()
        try:
            segment = Segment.create(memory_bytes(to_guest_bytes, to_host_bytes))
        except BaseException:
            ours.close()
            theirs.close()
            raise
        to_guest, to_host = _rings(segment, to_guest_bytes)
        create(to_guest, to_guest_bytes)
        create(to_host, to_host_bytes)
        return cls(segment, to_guest, to_host, ours), Address(segment.name, to_guest_bytes, theirs)

    @classmethod
    def attach(cls, address: Address) -> Channel:
        """The guest's side. SegmentError if the host has ended."""
        segment = Segment.attach(address.segment)
        to_guest, to_host = _rings(segment, address.to_guest_bytes)
        return cls(segment, to_host, to_guest, address.bell)

    def send(self, record: bytes | bytearray) -> bool:
        """Send a record, or what there is room for; False if some must wait: `flush` when the bell has rung.

        Never waits. How much may pile up here is for the caller to bound.
        """
        self._waiting.append(record)
        return self.flush()

    def flush(self) -> bool:
        """Send what waits, as far as there is room; whether nothing is left."""
        if not self._waiting and not self._producer.blocked:
            return True
        sent = not self._producer.blocked or self._producer.flush()
        while sent and self._waiting:
            sent = self._producer.publish(self._waiting[0])
            self._waiting.popleft()  # the ring keeps hold of what it has begun
        self.bell.ring()
        return sent

    def receive(self, limit: int = 64) -> list[memoryview]:
        """The next records, at most `limit`; views of the ring until they are released."""
        records = self._consumer.poll(limit)
        if not records and self._consumer.release(0):  # parts of a long one were taken, and left room for the next
            self.bell.ring()
        return records

    def release(self, count: int) -> None:
        """Give back the oldest `count` records, and tell the other side if it may be waiting for room."""
        if self._consumer.release(count):
            self.bell.ring()

    def close(self) -> None:
        """Let go of everything; the host also removes the memory."""
        self.board.release()
        self._producer.close()
        self._consumer.close()
        for view in self._views:
            view.release()
        self._segment.close()
        self.bell.close()


def memory_bytes(to_guest_bytes: int, to_host_bytes: int) -> int:
    """Shared memory that a channel takes."""
    return _BOARD_BYTES + size_bytes(to_guest_bytes) + size_bytes(to_host_bytes)


def _rings(segment: Segment, to_guest_bytes: int) -> tuple[memoryview, memoryview]:
    middle = _BOARD_BYTES + HEADER_BYTES + to_guest_bytes
    return segment.memory[_BOARD_BYTES:middle], segment.memory[middle:]
