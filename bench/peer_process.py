"""A peer's server as a process: started, waited for until it speaks, stopped with all it has started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil

from bench.engine import BenchError
from bench.peer_servers.speaker import ROUTE, Settings
from bench.served import ASK_S, START_S, Server

PEERS: Final = {"mosec": "mosec", "litserve": "litserve", "plain": "aiohttp", "ray": "ray"}
"""Those there are: `bench.peer_servers.NAME`, and the package that it is made of."""
STOP_S: Final = 15.0
"""Until it is killed. None of them has anything to lose."""
_ROOT: Final = Path(__file__).resolve().parent.parent
_ASK_AGAIN_S: Final = 0.2
_LOG_LINES: Final = 20  # shown of one that did not start


@dataclass(frozen=True, slots=True)
class Behind:
    """What every peer is to serve, and with what."""

    pack: Path
    cache_dir: Path
    """Of prepared models."""
    cores: tuple[int, ...]
    nice: int
    timeout_s: float | None = None
    """None: the peer's own default."""


def installed(peer: str) -> bool:
    """Whether it can be started here."""
    return find_spec(PEERS[peer]) is not None


@contextmanager
def peer_serving(peer: str, behind: Behind, question: bytes) -> Iterator[Server]:
    """The peer, from its first answer to `question` on. BenchError, with what it said, if it gives none."""
    with tempfile.TemporaryDirectory(prefix="tts-", ignore_cleanup_errors=True) as folder:
        port, log = _free_port(), Path(folder, "log")
        settings = Settings(
            str(behind.pack.resolve()),
            str(behind.cache_dir),
            port,
            behind.cores,
            behind.nice,
            folder,
            behind.timeout_s,
        )
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        }
        command = [sys.executable, "-m", f"bench.peer_servers.{peer}", settings.written()]
        with log.open("wb") as told:
            process = subprocess.Popen(command, stdout=told, stderr=told, cwd=folder, env=environment)
            try:
                server = Server(f"http://127.0.0.1:{port}", process.pid)
                _wait(process, server, question, peer, log)
                yield server
            finally:
                _stop(process)


def _wait(process: subprocess.Popen[bytes], server: Server, question: bytes, peer: str, log: Path) -> None:
    deadline_s, reason = time.monotonic() + START_S, "it was not there in time"
    request = Request(server.url + ROUTE, question, {"Content-Type": "application/json"})  # noqa: S310
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            reason = f"it ended with exit code {process.returncode}"
            break
        try:
            with urlopen(request, timeout=ASK_S) as answer:  # noqa: S310
                if answer.status == 200 and answer.read(4) == b"RIFF":
                    return
        except HTTPError as error:  # some listen before they can speak
            reason = f"it answered with status {error.code}"
        except (URLError, OSError):
            reason = "it was not there in time"
        time.sleep(_ASK_AGAIN_S)
    said = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
    raise BenchError(f"{peer} did not serve: {reason}; it said:\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it, and what it leaves behind: not all of them end their workers."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(family, timeout=1)
    for one in left:
        with suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(left, timeout=STOP_S)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
