"""Two real processes at one ring: nothing torn, nothing lost, whoever is killed and whenever."""

from __future__ import annotations

import os
import random
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shm.ring import Consumer, Producer, create, size_bytes
from shm.segment import Segment

CAPACITY = 1 << 16


def record(number: int) -> bytes:
    """A numbered record of a length of its own, with a checksum; now and then one that takes several frames."""
    length = number * 7919 % 300 if number % 1000 else 50_000
    body = number.to_bytes(8, "little") + bytes([number % 256]) * length
    return body + zlib.crc32(body).to_bytes(4, "little")


def number_of(data: memoryview) -> int:
    """The record's number; fails if it is not whole."""
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    return int.from_bytes(data[:8], "little")


@contextmanager
def shared_ring() -> Iterator[memoryview]:
    segment = Segment.create(size_bytes(CAPACITY))
    create(segment.memory, CAPACITY)
    try:
        yield segment.memory
    finally:
        segment.close()


@contextmanager
def child(run: Callable[[], None], core: int | None = None) -> Iterator[int]:
    """A forked process that runs until it is killed. Forked, for a thousand spawned ones would take minutes."""
    pid = os.fork()
    if pid == 0:
        try:
            if core is not None:
                os.sched_setaffinity(0, {core})
            run()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def publish_all(memory: memoryview, first: int = 0, last: int | None = None) -> None:
    producer = Producer(memory)
    number = first
    while last is None or number < last:
        done = producer.publish(record(number))
        while not done:
            os.sched_yield()
            done = producer.flush()
        number += 1


def consume_for(memory: memoryview) -> None:
    consumer = Consumer(memory)
    while True:
        records = consumer.poll(8)
        for data in records:
            number_of(data)
        consumer.release(len(records))


def kill_producer(moment_s: float) -> None:
    with shared_ring() as memory:
        consumer = Consumer(memory)
        expected = 0

        def take() -> int:
            records = consumer.poll()
            for data in records:
                nonlocal expected
                assert number_of(data) == expected
                expected += 1
            consumer.release(len(records))
            return len(records)

        with child(lambda: publish_all(memory)):
            until = time.monotonic() + moment_s
            while time.monotonic() < until:
                take()
        while take():  # what it published before its death is whole; the rest does not exist
            pass
        consumer.close()


def kill_consumer(moment_s: float) -> None:
    with shared_ring() as memory:
        producer = Producer(memory)
        number = 0
        with child(lambda: consume_for(memory)):
            until = time.monotonic() + moment_s
            while time.monotonic() < until:
                if not producer.blocked:
                    producer.publish(record(number))
                    number += 1
                producer.flush()
        successor = Consumer(memory)  # what was not released is still there, from a record's beginning
        expected = None
        while records := successor.poll():
            for data in records:
                found = number_of(data)
                assert expected is None or found == expected
                expected = found + 1
            successor.release(len(records))
        assert expected is None or producer.blocked or expected == number
        successor.close()
        producer.close()


def kill_both_sides_in_turn(times: int) -> None:
    moments = random.Random(4)
    for turn in range(times):
        (kill_producer if turn % 2 else kill_consumer)(moments.uniform(0.0, 0.006))


def test_a_killed_side_leaves_no_torn_record() -> None:
    kill_both_sides_in_turn(60)


@pytest.mark.stress
def test_a_thousand_killed_sides_leave_no_torn_record() -> None:
    kill_both_sides_in_turn(1000)


def exchange(count: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    with shared_ring() as memory:
        consumer = Consumer(memory)
        with child(lambda: publish_all(memory, 0, count), cores[-1]):
            expected = 0
            while expected < count:
                records = consumer.poll(256)
                for data in records:
                    assert number_of(data) == expected
                    expected += 1
                consumer.release(len(records))
                if not records:
                    os.sched_yield()
        consumer.close()


def test_two_processes_exchange_numbered_records() -> None:
    exchange(30_000)


@pytest.mark.stress
def test_two_processes_exchange_ten_million_records() -> None:
    exchange(10_000_000)
