"""The worker's loop in this process, at the other end of a real channel."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from inference.engine import Broken, Engine, Piece, Task
from inference.parallel import LONGEST_LINE_PHONES, PLANNED_PHONES, SHORT_PHONES, ParallelEngine
from inference.protocol import (
    Cancel,
    Chunk,
    Code,
    Failure,
    FromWorker,
    Job,
    Ready,
    Script,
    Stop,
    ToWorker,
    decode,
    encode,
    running_jobs,
)
from inference.utterance import Manner, Utterance
from inference.voice import Prosody, Voice
from inference.worker import Worker
from shm.channel import Channel
from tests.engines import RAISE, AutoregressiveEngine, ToneEngine, phones_of, tone
from tts_server.audio import to_pcm

MANY = "第一句。" * 60


class Host:
    """The server's end."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[FromWorker] = []

    def send(self, *messages: ToWorker) -> None:
        for message in messages:
            self._channel.send(encode(message))

    def next(self) -> FromWorker:
        while not self._waiting:
            records = self._channel.receive()
            for record in records:
                message = decode(record)
                if isinstance(message, Chunk):
                    message = Chunk(message.job_id, message.last, message.infer_s, message.samples, bytes(message.data))
                assert not isinstance(message, Job | Cancel | Stop)
                self._waiting.append(message)
            self._channel.release(len(records))
            if not records:
                assert self._channel.bell.wait(60), "the worker has ended"
                self._channel.flush()
        return self._waiting.pop(0)

    def audio(self, job_id: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """All of one job, when nothing else is under way."""
        pieces = []
        while True:
            message = self.next()
            assert isinstance(message, Chunk), message
            assert message.job_id == job_id
            pieces.append(np.frombuffer(message.pcm, np.int16))
            if message.last:
                return np.concatenate(pieces)

    @property
    def board(self) -> memoryview:
        return self._channel.board


@contextmanager
def channels() -> Iterator[tuple[Channel, Channel]]:
    """Both ends of one: the server's, the worker's."""
    channel, address = Channel.create(to_guest_bytes=1 << 16, to_host_bytes=1 << 16)
    guest = Channel.attach(address)
    try:
        yield channel, guest
    finally:
        guest.close()
        channel.close()


@contextmanager
def working(engine: Engine) -> Iterator[Host]:
    with channels() as (channel, guest):
        worker = Worker(engine, guest)
        worker.warm_up()
        thread = threading.Thread(target=worker.run)
        thread.start()
        host = Host(channel)
        try:
            assert host.next() == Ready(engine.capacity, engine.sample_rate_hz, engine.repeatable)
            yield host
        finally:
            host.send(Stop())
            while thread.is_alive():  # what nobody took may fill its ring
                channel.release(len(channel.receive()))
                thread.join(0.01)


def job(number: int, text: str = "", *, skip_samples: int = 0, urgent: bool = False, pitch: float = 0.0) -> Job:
    return Job(number, "female", 1.0, pitch, 0.0, urgent, skip_samples, text=text)


ENGINES = {"parallel": ToneEngine, "autoregressive": AutoregressiveEngine}


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_a_text_gives_its_script_and_its_first_line(make: type[ToneEngine]) -> None:
    with working(make()) as host:
        host.send(job(7, "你好☃。Second one. 第三句。"))
        script = host.next()
        assert isinstance(script, Script)
        assert (script.job_id, len(script.lines), script.unspoken) == (7, 3, ("☃",))
        np.testing.assert_array_equal(host.audio(7), tone(Utterance(tuple(phones_of("你好。")), Manner("female"))))


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_the_lines_it_gives_back_can_be_spoken_by_anybody(make: type[ToneEngine]) -> None:
    with working(make()) as host:
        host.send(job(1, "你好。Second one."))
        script = host.next()
        assert isinstance(script, Script)
        host.audio(1)
        host.send(Job(2, "male", 1.5, 0.0, 0.0, urgent=False, skip_samples=0, phones=script.lines[1].phones))
        expected = tone(Utterance(tuple(phones_of("Second one.")), Manner("male", 1.5)))
        np.testing.assert_array_equal(host.audio(2), expected)


@pytest.mark.parametrize("skip", [0, 1, 100, 511, 512, 513, 1 << 20])
def test_what_is_known_is_not_sent_again(voice: Voice, skip: int) -> None:
    line = "这一句话要说得长一点，才有好几段可以分开来说。"
    with working(ParallelEngine(voice)) as host:
        for urgent in (False, True):
            host.send(job(1, line, urgent=urgent))
            assert isinstance(host.next(), Script)
            whole = host.audio(1)
            host.send(job(2, line, urgent=urgent, skip_samples=skip))
            assert isinstance(host.next(), Script)
            np.testing.assert_array_equal(host.audio(2), whole[skip:])


def test_an_urgent_line_begins_early_and_is_the_same(voice: Voice) -> None:
    line = "这一句话要说得长一点，才有好几段可以分开来说。"
    engine = ParallelEngine(voice)
    utterance = Utterance(tuple(phones_of(line)), Manner("female"))
    pieces: dict[bool, list[npt.NDArray[np.float32]]] = {}
    for urgent in (False, True):
        engine.add(Task(1, utterance, urgent))
        pieces[urgent] = []
        while engine.has_work:
            (piece,) = engine.step()
            assert isinstance(piece, Piece)
            pieces[urgent].append(piece.audio)
    assert len(pieces[False]) == 1
    assert len(pieces[True]) > 2
    assert len(pieces[True][0]) < len(pieces[False][0]) / 4
    np.testing.assert_array_equal(np.concatenate([to_pcm(audio) for audio in pieces[True]]), to_pcm(pieces[False][0]))


def test_short_lines_are_spoken_together_and_each_as_it_would_be_alone(voice: Voice) -> None:
    engine, alone = ParallelEngine(voice), ParallelEngine(voice)
    texts = ["好。", "行。", "你好，世界，这一句要长得多，不会同它们一起说。", "对。", "是。", "有。", "你好世界。"]
    utterances = {n: Utterance(tuple(phones_of(text)), Manner("male")) for n, text in enumerate(texts)}
    for number, utterance in utterances.items():
        engine.add(Task(number, utterance, urgent=False, skip_samples=7 if number == 1 else 0))
    together = []
    while engine.has_work:
        ids = engine.running()
        pieces = engine.step()
        assert tuple(piece.job_id for piece in pieces) == ids
        together.append(ids)
        for piece in pieces:
            alone.add(Task(piece.job_id, utterances[piece.job_id], urgent=False))
            (expected,) = alone.step()
            skip = 7 if piece.job_id == 1 else 0
            assert isinstance(piece, Piece)
            assert isinstance(expected, Piece)
            np.testing.assert_array_equal(to_pcm(piece.audio), to_pcm(expected.audio[skip:]))
    assert together == [(0, 1, 3, 4), (2,), (5,), (6,)]


LONG = (
    "你好，世界，这一句要长得多，不会同别的一起说。",
    "这一句也不短，前面还有几句要先说完。",
    "第三句更长一些，因为里面还有许多话要说，一时说不完。",
    "第四句也同它们一起计划好。",
    "第五句要再等一等才轮到它。",
)


def count_plans(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines each run planned, as they happen."""
    plan, counts = voice.plan, list[int]()

    def counted(utterances: Sequence[Utterance]) -> list[Prosody]:
        counts.append(len(utterances))
        return plan(utterances)

    monkeypatch.setattr(voice, "plan", counted)
    return counts


def test_lines_that_wait_are_planned_together_and_each_is_as_it_would_be_alone(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances = [Utterance(tuple(phones_of(text)), Manner("female")) for text in LONG]
    alone = [voice.speak_batch([utterance])[0].audio for utterance in utterances]
    engine = ParallelEngine(voice)
    counts = count_plans(voice, monkeypatch)
    for number, utterance in enumerate(utterances):
        engine.add(Task(number, utterance, urgent=False, due_s=float(number)))
    assert engine.running() == (0, 1, 2, 3)  # should it die, it may have been by any of them
    for number, expected in enumerate(alone):
        (piece,) = engine.step()
        assert isinstance(piece, Piece)
        assert (piece.job_id, piece.last) == (number, True)
        np.testing.assert_array_equal(piece.audio, expected)
    assert counts == [4, 1]


def test_lines_of_unlike_lengths_are_not_planned_together(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    phones = tuple(phones_of(LONG[0]))
    lines = [phones, phones * 3, phones[: len(phones) * 3 // 4], phones * 8, phones * 9]
    assert len(lines[2]) > SHORT_PHONES
    assert len(lines[3]) > PLANNED_PHONES
    engine = ParallelEngine(voice)
    counts = count_plans(voice, monkeypatch)
    for number, line in enumerate(lines):
        engine.add(Task(number, Utterance(line, Manner("female")), urgent=False, due_s=float(number)))
    while engine.has_work:
        engine.step()
    assert counts == [2, 1, 1, 1]


def test_what_failed_once_still_tells_when_its_phones_end(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, fails = voice.decode, iter([True])

    def fail_once(*stretch: Any) -> npt.NDArray[np.float32]:
        if next(fails, False):
            raise MemoryError
        return decode(*stretch)

    monkeypatch.setattr(voice, "decode", fail_once)
    engine = ParallelEngine(voice)
    for number, text in enumerate(LONG[:2]):
        engine.add(Task(number, Utterance(tuple(phones_of(text)), Manner("female")), urgent=False))
    pieces = [piece for _ in range(3) for piece in engine.step()]
    assert [piece.job_id for piece in pieces] == [0, 1]
    assert all(isinstance(piece, Piece) and piece.ends is not None for piece in pieces)


def test_a_flood_of_beginnings_lets_others_have_their_turn(voice: Voice) -> None:
    engine = ParallelEngine(voice)
    utterance = Utterance(tuple(phones_of("好。")), Manner("female"))
    engine.add(Task(0, Utterance(tuple(phones_of(LONG[0])), Manner("female")), urgent=False, due_s=5.0))
    order = []
    for number in range(1, 12):
        engine.add(Task(number, utterance, urgent=True, due_s=5.0 + number / 5))
        order += [piece.job_id for piece in engine.step()]
    assert order.index(0) == 4  # who came within a second after it passed it, and nobody else


def test_a_beginning_that_is_waited_for_is_planned_alone(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ParallelEngine(voice)
    counts = count_plans(voice, monkeypatch)
    for number, text in enumerate(LONG[:3]):
        engine.add(Task(number, Utterance(tuple(phones_of(text)), Manner("female")), urgent=number == 2))
    assert engine.running() == (2,)
    assert engine.step()[0].job_id == 2
    assert counts == [1]


@pytest.mark.parametrize(("always", "becomes"), [(False, Piece), (True, Broken)])
@pytest.mark.parametrize("texts", [("好。",) * 3, LONG[:3]], ids=["spoken together", "planned together"])
def test_what_fails_in_company_is_tried_alone(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, texts: Sequence[str], always: bool, becomes: type[Piece | Broken]
) -> None:
    engine = ParallelEngine(voice)
    plan = voice.plan

    def fail_with_male(utterances: Sequence[Utterance]) -> list[Prosody]:
        if any(utterance.manner.speaker == "male" for utterance in utterances) and (always or len(utterances) > 1):
            raise RuntimeError("not with him")
        return plan(utterances)

    monkeypatch.setattr(voice, "plan", fail_with_male)
    for number, (text, speaker) in enumerate(zip(texts, ("female", "male", "female"), strict=True)):
        engine.add(Task(number, Utterance(tuple(phones_of(text)), Manner(speaker)), urgent=False))
    results = [result for _ in range(4) for result in engine.step()]
    assert not engine.has_work
    assert [(type(result), result.job_id) for result in results] == [(Piece, 0), (becomes, 1), (Piece, 2)]


@pytest.mark.parametrize(("urgent", "read_first"), [(False, 5), (True, 2)])
def test_several_texts_are_read_before_the_engine_has_its_turn(urgent: bool, read_first: int) -> None:
    engine = ToneEngine()
    with channels() as (channel, guest):
        worker = Worker(engine, guest)
        worker.warm_up()
        Host(channel).send(
            *(
                job(number, "今天天气很好，我们一起去公园散步，看看花，再坐船回家，晚上在家做饭。", urgent=urgent)
                for number in range(6)
            )
        )
        worker._receive()
        worker._read_some()
        assert len(worker._unread) == 6 - read_first


def test_in_haste_nothing_else_is_read_unless_it_has_waited_for_long() -> None:
    book = "今天天气很好。" * 100

    def read_first(*jobs: Job) -> list[int]:
        with channels() as (channel, guest):
            worker = Worker(ToneEngine(), guest)
            worker.warm_up()
            Host(channel).send(*jobs)
            worker._receive()
            worker._read_some()
            unread = {job.id for job in worker._unread}
            return [job.id for job in jobs if job.id not in unread]

    urgent, soon, late = (job(number, text, urgent=number == 1) for number, text in ((1, "好。"), (2, book), (3, book)))
    assert read_first(replace(soon, due_s=9.5), replace(urgent, due_s=10.0)) == [1]
    assert read_first(replace(late, due_s=8.5), replace(urgent, due_s=10.0)) == [3]


def test_what_is_due_first_is_spoken_first(voice: Voice) -> None:
    engine = ParallelEngine(voice)
    utterance = Utterance(tuple(phones_of("你好，世界，这一句要长得多，不会同别的一起说。")), Manner("female"))
    for number, due_s in ((1, 20.0), (2, 30.0), (3, 10.0)):
        engine.add(Task(number, utterance, urgent=False, due_s=due_s))
    assert [engine.step()[0].job_id for _ in range(3)] == [3, 1, 2]


def test_of_a_line_that_is_heard_the_rest_is_due_when_half_of_it_has_been_heard(voice: Voice) -> None:
    engine = ParallelEngine(voice)
    utterance = Utterance(tuple(phones_of("你好，世界，这一句要长得多，不会同别的一起说。")), Manner("female"))
    engine.add(Task(1, utterance, urgent=True, due_s=10.0))  # 0.3 s of it go out at once
    (first,) = engine.step()
    engine.add(Task(2, utterance, urgent=False, due_s=10.0))
    engine.add(Task(3, utterance, urgent=False, due_s=10.2))
    assert (first.job_id, engine.step()[0].job_id) == (1, 2)
    assert engine.running() == (1,)


def test_an_urgent_beginning_passes_what_waits(voice: Voice) -> None:
    engine = ParallelEngine(voice)
    utterance = Utterance(tuple(phones_of("你好，世界，这一句要长得多，不会同别的一起说。")), Manner("female"))
    for number in (1, 2):
        engine.add(Task(number, utterance, urgent=False))
    engine.add(Task(3, utterance, urgent=True))
    assert engine.running() == (3,)
    order = []
    while engine.has_work:
        (piece,) = engine.step()
        order.append(piece.job_id)
    assert order[0] == 3
    assert order[1:3] == [1, 2]  # heard once, it waits its turn: it is made far faster than it is heard


def test_a_line_beyond_all_measure_is_refused_and_the_others_go_on(voice: Voice) -> None:
    engine = ParallelEngine(voice)
    phones = tuple(phones_of("好。"))
    engine.add(Task(1, Utterance(phones * LONGEST_LINE_PHONES, Manner("female")), urgent=False))
    engine.add(Task(2, Utterance(phones, Manner("female")), urgent=False))
    assert [type(result).__name__ for _ in range(2) for result in engine.step()] == ["Broken", "Piece"]


@pytest.mark.parametrize(
    ("text", "pitch", "code"),
    [("☃", 0.0, Code.NOTHING_TO_SAY), ("<行|hang9>", 0.0, Code.BAD_OVERRIDE), ("好。", RAISE, Code.ENGINE)],
)
def test_a_job_that_fails_fails_alone(text: str, pitch: float, code: Code) -> None:
    with working(ToneEngine()) as host:
        host.send(job(1, text, pitch=pitch), job(2, "好。"))
        seen = [host.next() for _ in range(3 if code is not Code.ENGINE else 4)]
        (failure,) = [message for message in seen if isinstance(message, Failure)]
        assert (failure.job_id, failure.code) == (1, code)
        assert any(isinstance(message, Chunk) and message.job_id == 2 and message.last for message in seen)


def test_an_unknown_speaker_fails_the_job(voice: Voice) -> None:
    with working(ParallelEngine(voice)) as host:
        host.send(Job(1, "nobody", 1.0, 0.0, 0.0, urgent=False, skip_samples=0, text="好。"))
        assert isinstance(host.next(), Script)
        failure = host.next()
        assert isinstance(failure, Failure)
        assert "nobody" in failure.message


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_a_cancelled_job_is_not_spoken(make: type[ToneEngine]) -> None:
    with working(make()) as host:
        host.send(job(1, "你好。"), job(2, "再见。"), Cancel(2), job(3, "好了。"))
        ended: set[int] = set()
        while len(ended) < 2:
            message = host.next()
            if isinstance(message, Chunk) and message.last:
                ended.add(message.job_id)
        assert ended == {1, 3}


def test_an_engine_with_few_slots_speaks_as_many_at_once() -> None:
    engine = AutoregressiveEngine()
    with working(engine) as host:
        host.send(*(job(number, f"{number}号。") for number in range(engine.capacity)))
        ended: set[int] = set()
        while len(ended) < engine.capacity:
            message = host.next()
            assert not isinstance(message, Failure)
            if isinstance(message, Chunk) and message.last:
                ended.add(message.job_id)


def test_more_audio_than_the_ring_holds_arrives_whole() -> None:
    with working(ToneEngine()) as host:
        host.send(job(1, MANY))
        script = host.next()
        assert isinstance(script, Script)
        host.audio(1)
        orders = [
            Job(number, "male", 0.25, 0.0, 0.0, urgent=False, skip_samples=0, phones=line.phones)
            for number, line in enumerate(script.lines[:20], start=10)
        ]
        host.send(*orders)
        for order in orders:
            assert len(host.audio(order.id)) == len(order.phones) // 4 * 400


def test_the_board_is_empty_when_nothing_is_done() -> None:
    with working(ToneEngine()) as host:
        host.send(job(1, "你好。"))
        host.next()
        host.audio(1)
        host.send(job(2, "好。"))
        host.next()
        host.audio(2)
        while running_jobs(host.board):  # it looks for more before it lies down
            pass
        assert running_jobs(host.board) == ()


class _Silent(ToneEngine):
    def step(self) -> list[Piece | Broken]:
        (spoken,) = super().step()
        return [Piece(spoken.job_id, np.zeros(100, np.float32), last=True, infer_s=0.0)]


def test_a_worker_that_cannot_be_heard_does_not_begin() -> None:
    channel, address = Channel.create(to_guest_bytes=1 << 12, to_host_bytes=1 << 12)
    guest = Channel.attach(address)
    with pytest.raises(RuntimeError, match="silence"):
        Worker(_Silent(), guest).warm_up()
    guest.close()
    channel.close()
