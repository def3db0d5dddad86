"""Start, serve, drain, stop: a real process, real signals, real sockets; the gateway alone is made for it."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.tts_server.held_server import HeldGateway
from tts_server import server as life
from tts_server.listener import ListenError, open_sockets, url
from tts_server.systemd import Notifier

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


class Server:
    """A server process, followed by its log."""

    def __init__(
        self, trouble: str = "", before: str = "", pass_fds: tuple[int, ...] = (), **settings: float | str
    ) -> None:
        wanted = json.dumps({"port": 0, "log_format": "json", **settings})
        args = ["-m", "tests.tts_server.held_server", wanted, *([trouble] if trouble else [])]
        if before:  # what systemd would do in this process before it becomes the server
            args = ["-c", f"{before}; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])", *args]
        self.process = subprocess.Popen(
            [sys.executable, *args],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
        )
        self.events: list[dict[str, Any]] = []
        self._patience = threading.Timer(PATIENCE_S, self.process.kill)
        self._patience.start()

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to that event."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            assert line.startswith("{"), line + self.process.stderr.read()
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"it ended without {event!r}, after {self.events}")

    def serving(self) -> int:
        """The port, as soon as it serves."""
        return int(str(self.until("serving")["url"]).rpartition(":")[2])

    def end(self) -> int:
        """Its exit code, when it has ended; the rest of its log is in `events`."""
        assert self.process.stderr is not None
        self.events.extend(json.loads(line) for line in self.process.stderr)
        return self.process.wait()

    def told(self) -> list[str]:
        return [event["event"] for event in self.events]

    def close(self) -> None:
        self._patience.cancel()
        with self.process:
            self.process.kill()


@pytest.fixture
def start() -> Iterator[Any]:
    servers: list[Server] = []

    def start_one(*args: Any, **kwargs: Any) -> Server:
        servers.append(Server(*args, **kwargs))
        return servers[-1]

    yield start_one
    for server in servers:
        server.close()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _speak(port: int) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/api/tts", b'{"text": "Hello."}', {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _held(server: Server, port: int, clients: ThreadPoolExecutor) -> Future[tuple[int, bytes]]:
    """A request that was accepted and is being served."""
    answer = clients.submit(_speak, port)
    server.until("accepted")
    return answer


def test_it_says_where_it_serves_and_stops_when_told(start: Any) -> None:
    server = start()
    port = server.serving()
    assert server.process.stdout is not None
    line = server.process.stdout.readline()
    assert f"Speaking at http://127.0.0.1:{port}; try:  curl http://127.0.0.1:{port}/api/tts " in line
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    connection.close()
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert server.told()[-5:] == ["told to stop", "draining", "drained", "gateway stopped", "stopped"]


def test_what_is_accepted_is_finished_and_nobody_else_is_let_in(start: Any, clients: ThreadPoolExecutor) -> None:
    server = start()
    port = server.serving()
    idle = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    idle.request("GET", "/healthz")
    idle.getresponse().read()
    answer = _held(server, port, clients)
    server.process.send_signal(signal.SIGTERM)
    server.until("draining")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert idle.sock.recv(1) == b"", "a connection that waits for its next request is closed"
    idle.close()
    server.process.send_signal(signal.SIGUSR1)
    status, audio = answer.result()
    assert (status, len(audio)) == (200, 44 + 2 * 2205)
    assert server.end() == 0
    assert next(event["cancelled"] for event in server.events if event["event"] == "drained") == 0


def test_what_takes_too_long_is_cancelled_and_counted(start: Any, clients: ThreadPoolExecutor) -> None:
    server = start(drain_s=0.1)
    answer = _held(server, server.serving(), clients)
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert next(event["cancelled"] for event in server.events if event["event"] == "drained") == 1
    status, body = answer.result()
    assert (status, json.loads(body)["error"]["code"]) == (503, "shutting_down")


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_the_second_signal_is_at_once(
    start: Any, clients: ThreadPoolExecutor, first: signal.Signals, second: signal.Signals
) -> None:
    server = start(drain_s=3600)
    answer = _held(server, server.serving(), clients)
    server.process.send_signal(first)
    server.until("draining")
    while server.process.poll() is None:  # the first ones may come too soon after the other to count
        server.process.send_signal(second)
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(0.02)
    assert server.end() == 1
    assert next(event["cancelled"] for event in server.events if event["event"] == "stopped at once") == 1
    assert "gateway stopped" in server.told()
    with suppress(OSError, HTTPException):  # an answer that says so, or a connection that breaks
        assert answer.result()[0] == 503


def test_a_signal_that_comes_twice_by_way_of_a_wrapper_is_one(start: Any, clients: ThreadPoolExecutor) -> None:
    server = start()
    answer = _held(server, server.serving(), clients)
    os.kill(server.process.pid, signal.SIGTERM)
    os.kill(server.process.pid, signal.SIGTERM)
    server.until("draining")
    server.process.send_signal(signal.SIGUSR1)
    assert answer.result()[0] == 200
    assert server.end() == 0


def test_a_start_can_be_broken_off(start: Any) -> None:
    server = start("slow start")
    server.until("starting")
    server.process.send_signal(signal.SIGINT)
    assert server.end() == 0
    assert server.told()[-3:] == ["told to stop", "gateway stopped", "stopped"]


@pytest.mark.parametrize(
    ("trouble", "event"), [("no start", "there is no voice"), ("bug", "server failed")], ids=["refused", "a bug"]
)
def test_a_start_that_fails_ends_the_process_with_the_reason(start: Any, trouble: str, event: str) -> None:
    server = start(trouble)
    assert server.end() == 1
    (told,) = [line for line in server.events if line["level"] == "error"]
    assert told["event"] == event
    assert ("exception" in told) == (trouble == "bug")
    assert "gateway stopped" in server.told()


def test_a_port_that_is_taken_is_told_before_anything_starts(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = start(port=port)
        assert server.end() == 1
    assert f"port {port} is in use; choose another with --port" in server.told()
    assert "starting" not in server.told()


def test_shared_memory_of_a_server_that_was_killed_is_removed(start: Any) -> None:
    left = Path("/dev/shm/tts-ring-left-by-a-test")  # noqa: S108
    left.touch()
    start().serving()
    assert not left.exists()


def test_it_serves_at_a_socket_of_systemd_and_opens_as_many_files_as_it_may(start: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as given, socket.socket(socket.AF_UNIX) as client:
        given.bind(str(tmp_path / "socket"))
        given.listen()
        client.connect(str(tmp_path / "socket"))  # waits in the kernel until somebody serves
        fd = given.fileno()
        server = start(
            before=f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
os.dup2({fd}, 3)
os.environ |= dict(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))""",
            pass_fds=(fd,),
        )
        assert server.until("serving")["url"] == f"unix:{tmp_path / 'socket'}"
        connection = HTTPConnection("systemd", timeout=PATIENCE_S)
        connection.sock = client
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
    (limit,) = [line.split()[1] for line in metrics.splitlines() if line.startswith("process_max_fds ")]
    assert float(limit) == min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def test_systemd_is_told_of_start_life_and_end(start: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        server = start(
            before=f"""
import os, sys
os.environ |= dict(NOTIFY_SOCKET={str(tmp_path / "notify")!r}, WATCHDOG_USEC="20000")"""
        )
        told = [systemd.recv(1000).decode() for _ in range(5)]
        port = server.serving()
        assert sorted(told) == sorted(
            [f"READY=1\nSTATUS=serving standard at http://127.0.0.1:{port}", *["WATCHDOG=1"] * 4]
        )
        server.process.send_signal(signal.SIGTERM)
        while (last := systemd.recv(1000).decode()) == "WATCHDOG=1":
            pass
        assert last == "STOPPING=1\nSTATUS=finishing what was accepted"
        assert server.end() == 0


async def test_the_watchdog_is_fed_while_the_server_is_well_and_again_when_it_recovers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000"}
        looks = iter([True, False, False, True])
        done = asyncio.Event()

        def healthy() -> bool:
            look = next(looks, None)
            if look is None:
                done.set()
            return bool(look)

        feeding = asyncio.create_task(Notifier.of(environ).keep_alive(healthy))
        await done.wait()
        feeding.cancel()
        assert [systemd.recv(100), systemd.recv(100)] == [b"WATCHDOG=1", b"WATCHDOG=1"]
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/nowhere"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "10000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "10000"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"},
    ],
)
async def test_without_systemd_nothing_is_told(environ: dict[str, str]) -> None:
    notifier = Notifier.of(environ)
    notifier.tell("READY=1")
    await notifier.keep_alive(lambda: pytest.fail("nobody asked"))


def test_systemd_may_name_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0tts-test-{os.getpid()}")
        Notifier.of({"NOTIFY_SOCKET": f"@tts-test-{os.getpid()}"}).tell("READY=1", "STATUS=x")
        assert systemd.recv(100) == b"READY=1\nSTATUS=x"


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("no.such.host.invalid", 0, "is no address of this machine .*--host"),
        ("192.0.2.1", 0, "192.0.2.1 is no address of this machine; choose one with --host"),
    ],
)
def test_an_address_that_is_not_ours_is_told(host: str, port: int, message: str) -> None:
    with pytest.raises(ListenError, match=message):
        open_sockets(host, port, {})


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:")],  # noqa: S104
)
def test_the_url_is_one_that_works_from_here(host: str, shown: str) -> None:
    (bound,) = open_sockets(host, 0, {"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    with bound:
        assert url(bound) == f"{shown}{bound.getsockname()[1]}"


def test_all_addresses_of_a_name_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    first, second = open_sockets("localhost", 0, {})
    with first, second:
        assert first.getsockname()[1] == second.getsockname()[1]


async def test_workers_that_do_not_end_do_not_keep_the_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(HeldGateway):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(life, "_STOP_S", 0.01)
    await life._stop(Stuck(""))
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["workers do not end"]
