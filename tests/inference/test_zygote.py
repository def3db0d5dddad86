"""Workers forked from a process that has loaded what they need."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from inference import zygote as zygotes
from inference.protocol import Chunk, Job, Ready, Stop, WorkerSpec, decode, encode
from inference.zygote import WorkerProcess, Zygote
from shm.channel import Channel
from tests.engines import load_tone

SPEC = WorkerSpec(Path("standard"), load=load_tone)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with closing(Zygote()) as zygote:
        yield zygote


@contextmanager
def worker(zygote: Zygote) -> Iterator[tuple[WorkerProcess, Channel]]:
    channel, address = Channel.create(to_guest_bytes=1 << 16, to_host_bytes=1 << 20)
    with closing(channel):
        process = zygote.fork(SPEC, address)
        address.bell.close()
        try:
            yield process, channel
        finally:
            process.kill()
            process.join()


def heard(channel: Channel) -> object:
    while not (records := channel.receive(1)):
        assert channel.bell.wait(30), "the worker has ended"
    (record,) = records
    message = decode(bytes(record))
    channel.release(1)
    return message


def speaks(channel: Channel) -> bool:
    channel.send(encode(Job(1, "female", 1.0, 0.0, 0.0, urgent=False, skip_samples=0, text="你好。")))
    while not isinstance(message := heard(channel), Chunk):
        pass
    return message.last and len(message.pcm) > 0


def test_a_worker_is_our_own_child_and_ends_when_it_is_told(zygote: Zygote) -> None:
    with worker(zygote) as (process, channel):
        assert isinstance(heard(channel), Ready)
        found = psutil.Process(process.pid)
        assert (found.ppid(), found.name()) == (os.getpid(), "tts-worker")
        assert speaks(channel)
        channel.send(encode(Stop()))
        process.join(30)
        assert process.exitcode == 0


def test_how_a_worker_died_is_known(zygote: Zygote) -> None:
    with worker(zygote) as (process, channel):
        heard(channel)
        process.join(0)
        assert process.exitcode is None
        os.kill(process.pid, signal.SIGKILL)
        assert not channel.bell.wait(30)  # nobody else holds its end
        process.join(30)
        assert process.exitcode == -signal.SIGKILL


def test_what_is_loaded_lies_in_memory_once(zygote: Zygote) -> None:
    with worker(zygote) as (process, channel):
        heard(channel)
        speaks(channel)
        memory = psutil.Process(process.pid).memory_full_info()
        assert memory.uss < memory.rss / 3


def test_a_zygote_that_is_killed_is_replaced_and_its_workers_go_on() -> None:
    with closing(Zygote()) as zygote, worker(zygote) as (_, older):
        heard(older)
        assert zygote.pid is not None
        os.kill(zygote.pid, signal.SIGKILL)
        while psutil.Process(zygote.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        with worker(zygote) as (_, newer):
            heard(newer)
            assert speaks(older)
            assert speaks(newer)


def test_of_a_zygote_that_does_not_answer_nothing_more_is_asked_for_the_same_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zygotes, "FORK_S", 0.5)
    with closing(Zygote()) as zygote, worker(zygote) as (_, older):
        heard(older)
        assert zygote.pid is not None
        os.kill(zygote.pid, signal.SIGSTOP)
        with pytest.raises(OSError, match="not answer"), worker(zygote):
            pass
        with worker(zygote) as (_, newer):
            heard(newer)
            assert speaks(older)


def test_a_zygote_that_is_stopped_is_replaced_before_it_is_needed(zygote: Zygote) -> None:
    with worker(zygote):
        pass
    old = zygote.pid
    assert old is not None
    os.kill(old, signal.SIGSTOP)
    while psutil.Process(old).status() != psutil.STATUS_STOPPED:
        pass
    zygote.revive()
    assert zygote.pid not in {old, None}


def test_a_zygote_that_has_died_can_be_replaced_before_it_is_needed(zygote: Zygote) -> None:
    zygote.revive()
    old = zygote.pid
    assert old is not None
    zygote.revive()
    assert zygote.pid == old
    os.kill(old, signal.SIGKILL)
    while zygote.pid == old:
        zygote.revive()
    with worker(zygote) as (_, channel):
        assert isinstance(heard(channel), Ready)


def test_a_zygote_that_never_comes_up_is_an_error_that_says_so() -> None:
    channel, address = Channel.create(to_guest_bytes=1 << 16, to_host_bytes=1 << 16)
    zygote = Zygote(("no.such.module",))
    with closing(channel), closing(address.bell), pytest.raises(OSError, match="forked from does not come up"):
        zygote.fork(SPEC, address)


def test_it_ends_with_its_owner_and_leaves_its_workers_alone() -> None:
    zygote = Zygote()
    with worker(zygote) as (process, channel):
        heard(channel)
        pid = zygote.pid
        assert pid is not None
        zygote.close()
        assert not psutil.pid_exists(pid)
        assert speaks(channel)
        assert process.exitcode is None
