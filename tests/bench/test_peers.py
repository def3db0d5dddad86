"""Our server beside others: the same audio from each, the same callers before each, and figures that compare like with
like.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import orjson
import psutil
import pytest
import soundfile

from bench import peer_process, peer_turn
from bench.caller import Heard
from bench.check import Bounds
from bench.client import Load
from bench.compare import compare
from bench.engine import BenchError
from bench.page import page
from bench.peer_callers import VOICE, Door, Kind, Laid, Part, Texts, lay
from bench.peer_felt import Felt, PeersResult, Turn
from bench.peer_process import PEERS, Behind, installed, peer_serving
from bench.peer_servers.speaker import ROUTE, Settings, Speaker, write_request
from bench.peer_turn import OURS, felt
from bench.peers import FIGURES, against, measure, of_server, report
from bench.record import read as read_record
from bench.record import record, write
from bench.served import Server
from inference.frontend.reading import read
from inference.script import Script, write_script
from inference.utterance import Manner
from inference.voice import Voice
from tts_server.audio import to_pcm
from tts_server.cli import main
from tts_server.narration import narrate

FEW: dict[Kind, int] = {"short": 40, "paragraph": 4, "vip": 4}
TINY = Bounds(0.005, 2)
"""The tiny voice speaks at a pace of its own."""


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(counts=FEW, bounds=TINY)


@pytest.fixture(scope="module")
def script() -> Script:
    return write_script("你好。今天 OK 吗？\n\n再见！", read)


# --- what a peer serves ----------------------------------------------------------------------------------------------


def test_a_peer_says_what_our_own_voice_says_to_the_sample(voice: Voice, script: Script) -> None:
    assert len(script.lines) > 2
    request = write_request(script, VOICE)
    spoken, rate_hz = soundfile.read(io.BytesIO(Speaker(voice).speak(orjson.loads(request))), dtype="int16")
    ours = np.concatenate([to_pcm(audio) for audio in narrate(script, voice, Manner(VOICE))])
    assert rate_hz == voice.pack.sample_rate_hz
    assert np.array_equal(spoken, ours)


def test_what_a_program_is_told_it_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Settings("a pack", "models", 20_001, (1, 3), 10, "a folder", timeout_s=0.5)
    monkeypatch.setattr("sys.argv", ["peer", told.written()])
    assert Settings.given() == told


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_serves_the_same_file_and_leaves_no_process(
    peer: str, voice: Voice, tiny_pack: Path, script: Script, tmp_path: Path
) -> None:
    if not installed(peer):
        pytest.skip("it is not installed")
    question = write_request(script, VOICE)
    behind = Behind(tiny_pack, tmp_path / "models", (min(psutil.Process().cpu_affinity()),), nice=10, timeout_s=20)
    with peer_serving(peer, behind, question) as server:
        family = server.processes()
        request = Request(server.url + ROUTE, question, {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=20) as answer:  # noqa: S310
            assert answer.headers["Content-Type"] == "audio/wav"
            assert answer.read() == Speaker(voice).speak(orjson.loads(question))
        assert any(_niceness(process) == 10 for process in family) or peer == "plain"  # whose threads are nice
    assert [process for process in family if process.is_running()] == []


def test_a_peer_that_does_not_start_says_why(tmp_path: Path) -> None:
    behind = Behind(tmp_path / "no pack", tmp_path / "models", (0,), nice=0)
    with pytest.raises(BenchError, match=r"(?s)plain did not serve: it ended with exit code 1.*no pack"):
        peer_serving("plain", behind, b"").__enter__()


def _niceness(process: psutil.Process) -> int:
    try:
        return int(process.nice())
    except psutil.NoSuchProcess:
        return 0


# --- who asks --------------------------------------------------------------------------------------------------------


class _Recorder(BaseHTTPRequestHandler):
    """Refuses everybody, and keeps what was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[dict[str, Any], dict[str, str]]]
    more: dict[str, str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((body, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(503)
        for name, value in {"Content-Length": "0", **self.more}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recording(**more: str) -> Iterator[tuple[Server, list[tuple[dict[str, Any], dict[str, str]]]]]:
    asked: list[tuple[dict[str, Any], dict[str, str]]] = []
    handler = type("Handler", (_Recorder,), {"asked": asked, "more": more})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{server.server_port}", None), asked
        finally:
            server.shutdown()
            thread.join()


MIXED = (
    Part(Load(2, warmup_s=0, seconds=0.3), paragraphs=0.5),
    Part(Load(rate_per_s=50, warmup_s=0, seconds=0.3), vip=True),
)


def test_our_server_is_asked_by_text_and_paragraphs_are_streamed(texts: Texts) -> None:
    with recording(**{"Retry-After": "1"}) as (server, asked):
        laid = lay(Door(server, is_peer=False, key="one", vip_key="two"), MIXED, texts, deadline_ms=1000)
    assert {kind for kind, _ in laid.heard} == {"short", "paragraph", "vip"}
    assert len(asked) == len(laid.heard)
    for body, headers in asked:
        assert headers["x-deadline-ms"] == "1000"
        assert "accept-encoding" not in headers
        assert body["stream"] == (len(body["text"]) >= 100)
    assert {headers["authorization"] for _, headers in asked} == {"Bearer one", "Bearer two"}
    assert {one.error for _, one in laid.heard} == {"status 503"}
    assert laid.without_retry_after == 0


def test_a_peer_is_asked_by_the_phones_of_the_same_texts(texts: Texts) -> None:
    with recording() as (server, asked):
        laid = lay(Door(server, is_peer=True), MIXED, texts, deadline_ms=None)
    assert len(asked) == len(laid.heard) > 0
    assert all(set(body) == {"voice", "lines"} and len(body["lines"][0]["phones"][0]) == 4 for body, _ in asked)
    assert max(len(body["lines"]) for body, _ in asked) > 1  # of a paragraph
    assert laid.without_retry_after == len(asked)


def test_vips_never_ask_what_others_ask() -> None:
    texts = Texts(counts=FEW)
    asked = {kind: {texts.next(kind).text for _ in range(2 * count)} for kind, count in FEW.items()}
    assert {kind: len(some) for kind, some in asked.items()} == FEW
    assert asked["vip"].isdisjoint(asked["short"])


# --- figures ---------------------------------------------------------------------------------------------------------


def test_a_short_text_counts_by_its_end_and_a_paragraph_by_its_first_audio() -> None:
    def heard(at_s: float, first_s: float, ended_s: float, error: str = "") -> Heard:
        return Heard(at_s, at_s, at_s + ended_s, at_s + first_s, error, audio_s=0 if error else 10)

    laid = Laid(start_s=100, seconds=10)
    laid.heard = [
        ("short", heard(101, 0.2, 0.4)),
        ("short", heard(102, 0.2, 1.5)),  # begins in time and ends too late
        ("paragraph", heard(103, 0.9, 4)),
        ("paragraph", heard(104, 1.1, 3)),  # begins too late
        ("short", heard(105, 0, 0.01, "status 503")),
        ("short", heard(106, 0, 1.0, "status 504")),
        ("vip", heard(107, 0.1, 0.3)),
        ("short", heard(99, 0.1, 0.5)),  # before it began
        ("short", heard(109.8, 0.1, 0.5)),  # asked within the time, ends after it
    ]
    both = felt(laid, 1000, "short", "paragraph")
    assert (both.asked, both.right, both.refused) == (7, 5, 1)
    assert both.errors == {"status 503": 1, "status 504": 1}
    assert both.refused_p95_ms == pytest.approx(10)
    assert (both.answers_per_s, both.audio_s_per_s) == (0.4, 4.0)
    assert (both.soon_answers_per_s, both.soon_audio_s_per_s) == (0.2, 2.0)
    assert felt(laid, 1000, "paragraph").first_p50_ms == pytest.approx(1100)  # half of them had it by then
    assert felt(laid, 1000).asked == both.asked + felt(laid, 1000, "vip").asked
    nobody = felt(Laid(0, 1), 1000)
    assert (nobody.asked, nobody.p95_ms, nobody.refused_p95_ms) == (0, None, None)


def _felt(**changes: Any) -> Felt:
    felt = Felt(100, 100, {}, 10.0, 50.0, 10.0, 50.0, 20.0, 40.0, 10.0, 20.0, 0, None)
    return Felt(**{name: changes.get(name, getattr(felt, name)) for name in Felt.__slots__})


def _turn(server: str, number: int, answers_per_s: float, **changes: Any) -> Turn:
    whole = {name: _felt() for name in Turn.__slots__} | {"flat_out": _felt(answers_per_s=answers_per_s)}
    counts = {"audio_s_per_cpu_s": 300.0, "without_retry_after": 0, "client_cores": 0.2, "other_cores": 0.0}
    return Turn(**whole | counts | {"server": server, "round": number} | changes)  # type: ignore[arg-type]


def _result(*turns: Turn) -> PeersResult:
    return PeersResult("peers", "tiny", {"plain": "3"}, 8.0, 1000, None, turns)


def test_a_ratio_is_of_two_turns_of_one_round() -> None:
    result = _result(
        _turn(OURS, 1, 100), _turn("plain", 1, 50), _turn("plain", 2, 10), _turn(OURS, 2, 30), _turn(OURS, 3, 999)
    )
    throughput = FIGURES[0]
    spread = against(result, throughput, "plain")
    assert spread is not None
    assert (spread.median, spread.low, spread.high) == (2.5, 2, 3)
    alone = of_server(result, throughput, "plain")
    assert alone is not None
    assert (alone.low, alone.high) == (10, 50)


def test_the_report_says_what_is_to_be_doubted() -> None:
    quiet = _result(_turn(OURS, 1, 100), _turn("plain", 1, 50))
    assert "doubt" not in report(quiet)
    assert "2 (2–2)" in report(quiet)
    assert "— " in report(quiet) or "—\n" in report(quiet)  # nobody was refused: no figure, and no invented one
    loud = _result(
        _turn(OURS, 1, 100, client_cores=0.9, other_cores=1.2, without_retry_after=3),
        _turn("plain", 1, 50, loaded_short=_felt(errors={"timeout": 2}), overloaded=_felt(errors={"status 503": 7})),
    )
    said = report(loud)
    for told in (
        "used 0.90 of a core",
        "1.20 in another",
        "plain failed before it was overloaded: 2 timeout",
        "7 status 503",
    ):
        assert told in said
    assert "ours gave 3 refusals without Retry-After" in said


# --- all of it -------------------------------------------------------------------------------------------------------


def test_ours_and_a_peer_are_measured_in_turn(
    tiny_pack: Path, texts: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_turn, "WARMUP_S", 0.2)
    result = measure(tiny_pack, ["plain"], rounds=2, seconds=0.5, texts=texts)
    assert [(turn.server, turn.round) for turn in result.turns] == [(OURS, 1), ("plain", 1), ("plain", 2), (OURS, 2)]
    for turn in result.turns:
        for under in (turn.flat_out, turn.capacity, turn.loaded_short):
            assert under.errors == {}
            assert under.right == under.asked > 0
        assert turn.overloaded.asked > turn.loaded_short.asked
        assert turn.audio_s_per_cpu_s > 0
        assert turn.without_retry_after == 0
    write(found := record(result), tmp_path / "peers.json")
    assert read_record(tmp_path / "peers.json") == found
    assert {one.where for one in compare(found, found)} == {"ours ÷ plain"}
    assert "<svg" in page(found)
    assert "plain at 200 %" in report(result)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--peers", "nginx"], "no peer 'nginx'; there are: mosec, litserve, plain, ray"),
        (["--rounds", "0"], "rounds is 0"),
        (["--seconds", "0"], "must be more than 0"),
        (["--peer-timeout", "-1"], "must be more than 0"),
        (["--peers", "mosec,ray"], "ray cannot be had here: pip install 'tts-server[peers]'"),
    ],
)
def test_what_cannot_be_measured_is_misuse(
    args: list[str],
    message: str,
    voices_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_process, "find_spec", lambda package: None if package == "ray" else object())
    assert main(["bench", "peers", "--voices-dir", str(voices_dir), *args]) == 2
    assert message in capsys.readouterr().err
