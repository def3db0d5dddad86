"""The process that workers are forked from. It has loaded what all of them need, and they share that memory.

    server ── spawns ──► zygote: dictionaries, numpy, onnxruntime; no model
       │ ── order ───────► │ what the worker is to be, and its channel
       │                   ├─ forks a go-between, which forks the worker and ends at once:
       │ ◄── its number ───┘ so the worker is the server's own child, who hears of its end

Of 180 MiB that a worker had for itself when each was spawned, 40 are left, and one that dies is replaced in a tenth of
the time. The zygote is spawned, so nothing of the server's event loop is in it; it never runs a model, so there is but
one thread of onnxruntime's in it, which sleeps.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil

from inference.heap import give_back
from inference.protocol import WorkerSpec
from shm.channel import Address
from shm.doorbell import Doorbell

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

PRELOAD: Final = ("inference.parallel", "inference.voice")
"""What workers need beside the front end: the packs' own engine, and onnxruntime with it."""
FORK_S: Final = 2.0
"""For a zygote that has loaded to fork: it takes some ms. One that is stopped, or on a machine that stands still, is
replaced, which takes as long."""
_POLL_S: Final = 0.005
_RECORD_BYTES: Final = 1 << 16  # paths and names; a packet holds twice that
_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36  # in linux/prctl.h


_LIBC: Final = ctypes.CDLL(None)


class _Order(NamedTuple):
    spec: WorkerSpec
    segment: str
    to_guest_bytes: int


class WorkerProcess:
    """A forked worker, a child of this process. Its methods may be called from any thread, one at a time."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exitcode: int | None = None
        """None while it runs; the negative number of the signal that killed it."""

    def kill(self) -> None:
        """End it at once; nothing, if it has ended."""
        if self.exitcode is None:  # until it is waited for, nobody else can have its number
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it has ended, or so long."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self.exitcode is None:
            try:
                pid, status = os.waitpid(self.pid, 0 if until_s is None else os.WNOHANG)
            except ChildProcessError:  # somebody has waited for all children of this process
                self.exitcode = -signal.SIGKILL
                return
            if pid:
                self.exitcode = os.waitstatus_to_exitcode(status)
            elif until_s is not None and time.monotonic() >= until_s:
                return
            else:
                time.sleep(_POLL_S)


class Zygote:
    """Starts workers. It is spawned when it is first needed, and again if it has died."""

    def __init__(self, preload: tuple[str, ...] = (), *, load_s: float = 60.0) -> None:
        """`preload` are modules that workers will need; `load_s` is how long loading may take."""
        self._preload = preload
        self._load_s = load_s
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._door: socket.socket | None = None
        self._wanted = False

    def fork(self, spec: WorkerSpec, address: Address) -> WorkerProcess:
        """A new worker. Blocks for some ms, or seconds when the zygote must be spawned. OSError if it cannot be had."""
        order = pickle.dumps(_Order(spec, address.segment, address.to_guest_bytes))
        with self._lock:
            try:
                try:
                    door = self._open_door()
                    socket.send_fds(door, [order], [address.bell.fileno()])
                except ConnectionError:  # it has died since it was last used
                    self._end()
                    door = self._open_door()
                    socket.send_fds(door, [order], [address.bell.fileno()])
                return WorkerProcess(_answer(door))
            except (EOFError, ConnectionError, TimeoutError) as error:
                # Perhaps it has forked: nobody may be given the same channel again.
                self._end()
                raise OSError("the process that workers are forked from does not come up, or not answer") from error

    def revive(self) -> None:
        """Spawn it again, if it was spawned before and does not run. Blocks for seconds then; what forks waits."""
        with self._lock:
            if not self._wanted or (self._process is not None and self._process.is_alive() and not self._stopped()):
                return
            self._end()
            try:
                self._open_door()
            except (EOFError, ConnectionError, TimeoutError) as error:
                self._end()
                raise OSError("the process that workers are forked from does not come up") from error

    @property
    def pid(self) -> int | None:
        """Its process, if there is one now."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End it. Workers go on."""
        with self._lock:
            self._wanted = False
            self._end()

    def _open_door(self) -> socket.socket:
        if self._door is None:
            self._wanted = True
            self._door = self._spawn()
            self._door.settimeout(FORK_S)
        return self._door

    def _stopped(self) -> bool:
        return self.pid is not None and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def _spawn(self) -> socket.socket:
        # Whoever is orphaned below us becomes our child: so do the workers, once their go-between has ended.
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as undo:
            undo.callback(ours.close)
            with theirs:
                self._process = get_context("spawn").Process(
                    target=_live, args=(theirs, self._preload), name="tts-zygote", daemon=True
                )
                self._process.start()
            ours.settimeout(self._load_s)
            if not ours.recv(1):
                raise EOFError
            undo.pop_all()
        return ours

    def _end(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def _answer(door: socket.socket) -> int:
    answer = door.recv(_RECORD_BYTES)
    if not answer:
        raise EOFError
    pid, error = pickle.loads(answer)  # noqa: S301  (our own process's)
    if pid is None:
        raise OSError(f"no worker could be forked: {error}")
    return int(pid)


def _live(door: socket.socket, preload: tuple[str, ...]) -> None:
    """The zygote's whole life: load, then fork whom the server orders, until it is gone."""
    _LIBC.prctl(_PR_SET_NAME, b"tts-zygote", 0, 0, 0)  # for `ps` and `top`
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when it ends
        signal.signal(number, signal.SIG_IGN)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork takes no threads along, and nobody needs numpy's
    from importlib import import_module

    from inference.frontend.reading import warm

    warm()
    for module in preload:
        import_module(module)
    gc.collect()
    give_back()
    gc.freeze()  # the collector would write to what is shared
    with suppress(ConnectionError):
        door.send(b"\0")
        while True:
            order, descriptors, _, _ = socket.recv_fds(door, _RECORD_BYTES, 1)
            if not order:
                return
            answer: tuple[int | None, str]
            try:
                answer = _fork_child_of_server(door, pickle.loads(order), descriptors[0]), ""  # noqa: S301
            except Exception as error:  # noqa: BLE001  (no memory, no processes: there may be some later)
                answer = None, f"{type(error).__name__}: {error}"
            finally:
                os.close(descriptors[0])
            door.send(pickle.dumps(answer))


def _fork_child_of_server(door: socket.socket, order: _Order, bell: int) -> int:
    hear, tell = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    between = os.fork()
    if not between:
        try:
            pid = os.fork()
            if not pid:
                door.close()
                os.close(hear)
                os.close(tell)
                _work(order, bell)
            os.write(tell, pid.to_bytes(4, "little"))
        finally:
            os._exit(0)
    os.close(tell)
    try:
        said = os.read(hear, 4)
    finally:
        os.close(hear)
        os.waitpid(between, 0)  # from here on the worker is the server's child
    if not said:
        raise BlockingIOError("no more processes")
    return int.from_bytes(said, "little")


def _work(order: _Order, bell: int) -> None:
    """A worker's whole life. Never returns."""
    from inference import run_worker

    _LIBC.prctl(_PR_SET_NAME, b"tts-worker", 0, 0, 0)
    code = 1
    try:
        run_worker(order.spec, Address(order.segment, order.to_guest_bytes, Doorbell(Connection(bell))))
        code = 0
    except BaseException:  # noqa: BLE001  (as multiprocessing does: whatever it is, it is told, and the process ends)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
