"""The bench of answers from the cache: the client that asks for the same again, and a run of the whole, small."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import jsonschema
import pytest

from bench.cached import report
from bench.engine import BenchError
from bench.figures import Spread
from bench.record import CachedResult, CachedRound, schema
from bench.repeated import CONNECTIONS, Question, Repeated
from tts_server.cli import main


def _answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    said = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nServer: x\r\nContent-Length: {said}\r\n\r\n".encode() + body


@contextmanager
def _saying(*answers: bytes) -> Iterator[str]:
    """A server whose first connection is given these answers, one after another and then the last again; the others
    the last one.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=2 * CONNECTIONS) as listening:

        def serve(connection: socket.socket, left: list[bytes]) -> None:
            with connection, suppress(ConnectionError):  # who has seen enough goes
                while connection.recv(65_536):
                    connection.sendall(left.pop(0) if len(left) > 1 else left[0])

        def accept() -> None:
            for number in range(CONNECTIONS):
                try:
                    connection, _ = listening.accept()
                except OSError:  # the test is over
                    return
                left = list(answers) if number == 0 else [answers[-1]]
                threading.Thread(target=serve, args=(connection, left), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/tts"


def test_right_answers_are_counted() -> None:
    body = bytes(range(256)) * 400
    with _saying(_answer(body)) as url, closing(Repeated(Question(url, b"{}"))) as asked:
        assert asked.body == body
        answers, seconds = asked.ask(0.2)
        assert answers >= CONNECTIONS
        assert seconds >= 0.2


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([_answer(b"x" * 100), _answer(b"", "429 Too Many Requests")], "429"),
        ([_answer(b"x" * 100), _answer(b"x" * 99)], "the server said"),
    ],
)
def test_a_wrong_answer_ends_it(answers: list[bytes], message: str) -> None:
    with (
        _saying(*answers) as url,
        closing(Repeated(Question(url, b"{}"))) as asked,
        pytest.raises(BenchError, match=message),
    ):
        asked.ask(5)


def test_other_bytes_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.repeated.LOOKED_AT", 2)
    with (
        _saying(_answer(b"x" * 100), _answer(b"y" * 100)) as url,
        closing(Repeated(Question(url, b"{}"))) as asked,
        pytest.raises(BenchError, match="other bytes"),
    ):
        asked.ask(5)


def test_the_first_answer_must_be_one() -> None:
    with _saying(_answer(b"", "401 Unauthorized")) as url, pytest.raises(BenchError, match="401"):
        Repeated(Question(url, b"{}"))


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BenchError, match="nobody answers"):
        Repeated(Question(f"http://127.0.0.1:{port}/", b"{}"))


def test_server_and_bare_handler_take_turns(
    voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.json"
    serve = f"--voices-dir {voices_dir} --engines standard"
    args = ["--rounds", "2", "--seconds", "0.3", "--serve", serve, "--json", str(file)]
    assert main(["bench", "cached", *args, "--html", str(tmp_path / "a.html")]) == 0
    record = json.loads(file.read_bytes())
    jsonschema.validate(record, schema())
    result = record["result"]
    assert (result["kind"], len(result["rounds"])) == ("cached", 2)
    assert result["answer_bytes"] > 44
    for one in result["rounds"]:
        assert one["qps_ratio"] == pytest.approx(one["cached_qps"] / one["bare_qps"])
    assert "0.6 is the goal" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_what_held_a_server_up_is_doubted() -> None:
    def told(busy: float, *, shared: bool = False) -> str:
        one = CachedRound(1000, 60, busy, 700, 90, busy, 0.7, 0.67)
        spread = Spread(0.7, 0.5, 0.8)
        return report(CachedResult("cached", (), 100, 32, shared, (one,), spread, Spread(0.5, 0.4, 0.6)))

    assert "by answers per second: 0.70 (0.50 to 0.80); 0.6 is the goal: met" in told(1.0)
    assert "by processor time: 0.50 (0.40 to 0.60); 0.6 is the goal: missed" in told(1.0)
    assert "doubt" not in told(1.0)
    assert "was not busy" in told(0.5)
    assert "one core" in told(1.0, shared=True)


@pytest.mark.parametrize("args", [["--rounds", "0"], ["--seconds", "0"]])
def test_what_cannot_be_measured_is_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "cached", *args]) == 2
    assert "must be" in capsys.readouterr().err
