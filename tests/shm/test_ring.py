"""The ring against a plain queue, and its edges as tables."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shm.ring import HEADER_BYTES, SMALLEST_BYTES, Consumer, Producer, RingError, create, size_bytes


def ring(capacity: int = SMALLEST_BYTES) -> tuple[Producer, Consumer, memoryview]:
    memory = memoryview(bytearray(size_bytes(capacity)))
    create(memory, capacity)
    return Producer(memory), Consumer(memory), memory


def taken(consumer: Consumer, limit: int = 64) -> list[bytes]:
    records = [bytes(record) for record in consumer.poll(limit)]
    consumer.release(len(records))
    return records


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 247, 248, 249, 255, 256, 257, 1024, 5000])
def test_a_record_of_any_length_arrives_whole(length: int) -> None:
    producer, consumer, _ = ring()
    record = bytes(n % 251 for n in range(length))
    done = producer.publish(record)
    records = taken(consumer)
    while not done:
        done = producer.flush()
        records += taken(consumer)
    assert records == [record]
    assert not producer.blocked


def test_records_come_in_order_around_the_end_many_times() -> None:
    producer, consumer, _ = ring()
    for number in range(500):
        record = bytes([number % 256]) * (number * 37 % 240)
        assert producer.publish(record)
        assert taken(consumer) == [record]


def test_a_full_ring_holds_the_record_back_until_something_is_released() -> None:
    producer, consumer, _ = ring()
    count = 0
    while producer.publish(b"x" * 200):
        count += 1
    assert producer.blocked
    with pytest.raises(RingError, match="flush"):
        producer.publish(b"y")
    assert not producer.flush()
    assert taken(consumer, 1) == [b"x" * 200]
    assert producer.flush()
    assert len(taken(consumer)) == count


def test_polled_records_stay_as_they_are_until_released() -> None:
    producer, consumer, _ = ring()
    producer.publish(b"first")
    producer.publish(b"second")
    first, second = consumer.poll()
    while producer.publish(b"z" * 100):
        pass
    assert (bytes(first), bytes(second)) == (b"first", b"second")
    consumer.release(1)
    with pytest.raises(ValueError, match="released"):
        bytes(first)
    assert bytes(second) == b"second"


def test_more_cannot_be_released_than_was_polled() -> None:
    _, consumer, _ = ring()
    with pytest.raises(RingError, match="1 records released, 0 are out"):
        consumer.release(1)


def test_poll_takes_no_more_than_its_limit() -> None:
    producer, consumer, _ = ring()
    for letter in b"abcde":
        producer.publish(bytes([letter]))
    assert taken(consumer, 2) == [b"a", b"b"]
    assert taken(consumer, 2) == [b"c", b"d"]
    assert taken(consumer, 2) == [b"e"]


def test_a_record_larger_than_the_ring_passes_while_another_is_still_held() -> None:
    producer, consumer, _ = ring()
    producer.publish(b"held")
    (held,) = consumer.poll()
    large = bytes(range(256)) * 20
    done = producer.publish(large)
    assert not done
    assert consumer.poll() == []  # its first frames are copied, but not released: the held record lies before them
    assert bytes(held) == b"held"
    consumer.release(1)
    records: list[bytes] = []
    while not records:
        done = done or producer.flush()
        records = taken(consumer)
    assert done
    assert records == [large]


def test_an_unpublished_frame_is_not_seen() -> None:
    producer, consumer, memory = ring()
    producer.publish(b"whole")
    words = memory[:HEADER_BYTES].cast("Q")
    before = words[8]
    producer.publish(b"torn")
    words[8] = before  # as if the producer had died before its last store
    assert taken(consumer) == [b"whole"]


def test_a_successor_does_not_take_the_end_of_a_record_for_a_record() -> None:
    producer, consumer, memory = ring()
    assert not producer.publish(b"long" * 1000)
    assert consumer.poll() == []  # takes the first frames, and dies
    successor = Consumer(memory)
    while not producer.flush():
        assert successor.poll() == []
    producer.publish(b"next")
    assert taken(successor) == [b"next"]


def test_a_record_that_begins_within_another_is_refused() -> None:
    producer, consumer, memory = ring()
    assert not producer.publish(b"long" * 1000)
    memory[HEADER_BYTES:].cast("Q")[(256 + 8) // 8] = 2 << 32 | 256
    with pytest.raises(RingError, match="without an end"):
        consumer.poll()


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [(0, 1, "no ring"), (1, SMALLEST_BYTES * 2, "its memory has"), (1, 1000, "power of two")],
)
def test_foreign_memory_is_refused(word: int, value: int, message: str) -> None:
    _, _, memory = ring()
    memory[:HEADER_BYTES].cast("Q")[word] = value
    with pytest.raises((RingError, ValueError), match=message):
        Consumer(memory)


@pytest.mark.parametrize("header", [0, 9 << 32, 1 << 32 | 4000, 5 << 32 | 1])
def test_a_broken_frame_is_refused(header: int) -> None:
    producer, consumer, memory = ring()
    producer.publish(b"good")
    memory[HEADER_BYTES:].cast("Q")[0] = header
    with pytest.raises(RingError, match="holds no frame"):
        consumer.poll()


@pytest.mark.parametrize("capacity", [0, 8, 512, 1000, 3000])
def test_a_capacity_is_a_power_of_two_and_not_tiny(capacity: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        size_bytes(capacity)


class RingMachine(RuleBasedStateMachine):
    """The ring and a deque, given the same records, tell the same story."""

    def __init__(self) -> None:
        super().__init__()
        self.producer, self.consumer, self.memory = ring()
        self.model: deque[bytes] = deque()
        self.out: deque[bytes] = deque()
        self.views: deque[memoryview] = deque()
        self.sent = 0

    @precondition(lambda self: not self.producer.blocked)
    @rule(length=st.one_of(st.integers(0, 40), st.integers(0, 300), st.integers(0, 3000)))
    def publish(self, length: int) -> None:
        record = bytes((self.sent + n) % 256 for n in range(length))
        self.sent += 1
        self.model.append(record)
        self.producer.publish(record)

    @rule()
    def flush(self) -> None:
        self.producer.flush()

    @rule(limit=st.integers(1, 5))
    def poll(self, limit: int) -> None:
        for view in self.consumer.poll(limit):
            assert bytes(view) == self.model[0]
            self.out.append(self.model.popleft())
            self.views.append(view)

    @precondition(lambda self: bool(self.views))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.views)))
        self.consumer.release(count)
        for _ in range(count):
            self.views.popleft()
            self.out.popleft()

    @invariant()
    def what_is_out_stays_as_it_was(self) -> None:
        assert [bytes(view) for view in self.views] == list(self.out)

    def teardown(self) -> None:
        self.consumer.release(len(self.views))
        for _ in range(10_000):
            if not self.model and not self.producer.blocked:
                break
            self.producer.flush()
            for record in taken(self.consumer):
                assert record == self.model.popleft()
        assert not self.model


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
