"""Named shared memory that is never left behind.

The creator keeps a lock (flock) on its segment's file. The kernel drops it with the process, however that ends and in
whatever container it ran, so a segment whose lock can be taken has no owner: `sweep` removes those.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Final

_FOLDER: Final = Path("/dev/shm")  # noqa: S108  (where Linux keeps POSIX shared memory)
PREFIX: Final = "tts-ring-"


class SegmentError(OSError):
    """Shared memory cannot be had; the message says how much was wanted and what to do."""


class Segment:
    """A piece of shared memory, ours (`create`) or another process's (`attach`)."""

    def __init__(self, memory: SharedMemory, lock: int | None) -> None:
        self._memory = memory
        self._lock = lock

    @classmethod
    def create(cls, size_bytes: int) -> Segment:
        """New zeroed memory with all its pages reserved: a page missing later would be a SIGBUS in mid-sentence."""
        while True:
            memory = SharedMemory(f"{PREFIX}{secrets.token_hex(6)}", create=True, size=size_bytes)
            try:
                lock = os.open(_FOLDER / memory.name, os.O_RDWR)
            except FileNotFoundError:  # a sweep has taken it already
                memory.close()
                continue
            except OSError:
                memory.close()
                memory.unlink()
                raise
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.posix_fallocate(lock, 0, size_bytes)
            except BlockingIOError:  # a sweep came between the two lines above and has taken it
                os.close(lock)
                memory.close()
                continue
            except OSError as error:
                os.close(lock)
                memory.close()
                memory.unlink()
                if error.errno == errno.ENOSPC:
                    raise _too_small(size_bytes) from error
                raise
            if os.fstat(lock).st_nlink:
                return cls(memory, lock)
            os.close(lock)
            memory.close()

    @classmethod
    def attach(cls, name: str) -> Segment:
        """The segment of that name, made by the process that spawned this one."""
        try:
            return cls(SharedMemory(name), None)
        except FileNotFoundError as error:
            raise SegmentError(f"shared memory {name} is gone; its owner has ended") from error

    @property
    def name(self) -> str:
        """How another process attaches to it."""
        return self._memory.name

    @property
    def memory(self) -> memoryview:
        """Its bytes. Release every view made of it before `close`."""
        buffer = self._memory.buf
        assert buffer is not None, "a closed segment has no memory: this is a bug"  # noqa: S101
        return buffer

    def close(self) -> None:
        """Let go of it; its creator also removes it."""
        self._memory.close()
        if self._lock is not None:
            with suppress(FileNotFoundError):  # somebody has removed it by its name
                self._memory.unlink()
            os.close(self._lock)
            self._lock = None


def require(size_bytes: int) -> None:
    """SegmentError if there is not so much shared memory left: ask before serving, not in the middle of it."""
    if free_bytes() < size_bytes:
        raise _too_small(size_bytes)


def free_bytes() -> int:
    """Shared memory that is left on this machine, or in this container."""
    state = os.statvfs(_FOLDER)
    return state.f_bavail * state.f_frsize


def sweep() -> list[str]:
    """Remove the segments whose owner is gone; their names."""
    removed = []
    for path in sorted(_FOLDER.glob(f"{PREFIX}*")):
        try:
            lock = os.open(path, os.O_RDWR)
        except OSError:
            continue  # gone by now, or another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed.append(path.name)
        except OSError:
            continue  # its owner lives
        finally:
            os.close(lock)
    return removed


def _too_small(size_bytes: int) -> SegmentError:
    wanted, free = size_bytes / 2**20, free_bytes() / 2**20
    return SegmentError(
        f"{wanted:.1f} MiB of shared memory are needed, {_FOLDER} has {free:.1f} MiB left; give a container more with "
        "--shm-size, or a machine with: mount -o remount,size=1G /dev/shm"
    )
