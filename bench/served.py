"""A server to be measured: one of our own, started on a free port and stopped at the end, or one that runs already."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

from bench.counted import Samples, parse
from bench.engine import BenchError

START_S: Final = 180.0
"""Until it serves: its models are prepared, on a machine that does other things as well."""
STOP_S: Final = 45.0
"""It drains for 30 s if it must."""
ASK_S: Final = 10.0
_ROOT: Final = Path(__file__).resolve().parent.parent
_SERVE: Final = "import sys; from tts_server.cli import main; sys.exit(main(sys.argv[1:]))"
_LOG_LINES: Final = 20  # shown of a server that did not start


@dataclass(frozen=True, slots=True)
class Server:
    """One that serves."""

    url: str
    pid: int | None
    """Of its parent process; None if it is not known, and then its processes are not measured."""
    key: str | None = None
    started_s: float = 0.0
    """When its process was started, by the monotonic clock; 0 if it ran already."""
    ready_s: float = 0.0
    """From the start of the process until it served; 0 if it ran already."""

    def metrics(self) -> Samples:
        """All it has counted; empty if it does not say."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            with urlopen(Request(f"{self.url}/metrics", headers=headers), timeout=ASK_S) as answer:  # noqa: S310
                return parse(answer.read().decode())
        except (URLError, OSError, ValueError):  # another server, or a key that may not see them
            return {}

    def processes(self) -> list[psutil.Process]:
        """It and all it started, the parent first."""
        if self.pid is None:
            return []
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.Error:
            return []


@contextmanager
def serving(options: Sequence[str] = (), *, folder: Path | None = None) -> Iterator[Server]:
    """A server of our own with these options of `serve`; the variables TTS_… do not reach it, so that what is measured
    is what the record says. `folder` is for its state and prepared models; without it they are new, and go at the end.

    BenchError, with what it said, if it does not serve.
    """
    with tempfile.TemporaryDirectory(prefix="tts-bench-") as own:
        state = Path(folder or own)
        log = Path(own, "server.log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TTS_")}
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-c", _SERVE, "serve", "--port", "0", "--state-dir", str(state)]
        command += ["--cache-dir", str(state / "cache"), *options]
        began_s = time.monotonic()
        with log.open("wb") as told:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True, env=environment)
            try:
                url = _url(process, log)
                yield Server(url, process.pid, started_s=began_s, ready_s=time.monotonic() - began_s)
            finally:
                _stop(process)


def wait_quiet(server: Server, *, below: float = 0.05, within_s: float = 20.0) -> None:
    """Until it uses less than that part of a core: what it still does must not fall into a measurement."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        before_s = _cpu_s(server)
        time.sleep(0.5)
        if _cpu_s(server) - before_s < 0.5 * below:
            return


def _cpu_s(server: Server) -> float:
    total_s = 0.0
    for process in server.processes():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total_s += times.user + times.system
    return total_s


def _url(process: subprocess.Popen[str], log: Path) -> str:
    """Where it says that it serves. Read by a thread, for it may say nothing at all; it then goes on being read."""
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None, "it was asked for: this is a bug"  # noqa: S101
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    try:
        line = lines.get(timeout=START_S)
    except queue.Empty:
        line = ""
    if "Speaking at " not in line:
        said = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
        raise BenchError(f"the server did not start; it said:\n{said}")
    return line.partition("Speaking at ")[2].partition(";")[0]


def _read(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
