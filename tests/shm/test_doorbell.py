"""The doorbell, heard by a poll, by an event loop and across a process."""

from __future__ import annotations

import asyncio
import multiprocessing

import uvloop

from shm.doorbell import Doorbell


def answer(bell: Doorbell) -> None:
    while bell.wait():
        bell.ring()


def test_many_rings_may_come_as_one_and_none_is_needed() -> None:
    ours, theirs = Doorbell.pair()
    assert ours.wait(0)
    for _ in range(100_000):  # far more than a socket holds: ringing never waits
        theirs.ring()
    assert ours.wait()
    ours.close()
    theirs.close()


def test_a_closed_end_is_heard_and_ringing_it_does_no_harm() -> None:
    ours, theirs = Doorbell.pair()
    theirs.close()
    assert not ours.wait()
    ours.ring()
    ours.close()


def test_a_process_answers_and_its_death_is_heard() -> None:
    ours, theirs = Doorbell.pair()
    process = multiprocessing.get_context("spawn").Process(target=answer, args=(theirs,))
    process.start()
    theirs.close()
    ours.ring()
    assert ours.wait(30)
    process.kill()
    while ours.wait(30):
        pass
    process.join()
    ours.close()


def test_an_event_loop_hears_it() -> None:
    async def hear() -> list[bool]:
        ours, theirs = Doorbell.pair()
        heard: asyncio.Queue[bool] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours.fileno(), lambda: heard.put_nowait(ours.hear()))
        theirs.ring()
        first = await heard.get()
        theirs.close()
        second = await heard.get()
        loop.remove_reader(ours.fileno())
        ours.close()
        return [first, second]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(hear()) == [True, False]
