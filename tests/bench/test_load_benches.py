"""Each bench of a whole server, once and small: real processes, real HTTP, tiny weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.record import schema
from bench.served import Server, serving
from tts_server.cli import main

TINY = ["--syllable", "0.005-2", "--timeout", "20"]
"""The tiny voice speaks at a pace of its own."""


@pytest.fixture(scope="module")
def server(voices_dir: Path) -> Iterator[Server]:
    with serving(["--voices-dir", str(voices_dir), "--engines", "standard", "--workers", "1"]) as server:
        yield server


def run(tmp_path: Path, *args: str) -> dict[str, Any]:
    """The result of one command, which keeps to the schema; beside it lies a page."""
    file = tmp_path / "result.json"
    assert main(["bench", *args, "--json", str(file), "--html", str(tmp_path / "result.html")]) == 0
    record: dict[str, Any] = json.loads(file.read_bytes())
    jsonschema.validate(record, schema())
    assert "<svg" in (tmp_path / "result.html").read_text(encoding="utf-8") or args[0] == "coldstart"
    result: dict[str, Any] = record["result"]
    assert result["kind"] == args[0]
    return result


def of(server: Server) -> list[str]:
    return ["--url", server.url, "--pid", str(server.pid), *TINY]


@pytest.mark.parametrize(
    ("load", "streamed"),
    [(["--users", "1,3"], []), (["--rate", "8,12", "--arrivals", "constant"], ["--stream"])],
    ids=["closed", "open, streamed"],
)
def test_http_measures_levels(
    server: Server, tmp_path: Path, load: list[str], streamed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    args = [*load, *streamed, "--seconds", "1.2", "--warmup", "0.2", "--clients", "2", *of(server)]
    result = run(tmp_path, "http", *args)
    assert len(result["levels"]) == 2
    for level in result["levels"]:
        assert level["errors"] == {}
        assert level["right"] == level["asked"] > 0
        assert level["latency_ms"]["p50"] >= level["first_audio_ms"]["quantiles"][0] > 0
        assert level["audio_s_per_s"] > 0
        assert level["series"]
        assert [client["name"] for client in level["clients"]] == ["client 1", "client 2", "watching"]
        assert {"server", "worker 1"} <= {process["name"] for process in level["processes"]}
        assert sum(level["batch_sizes"].values()) > 0
        assert (level["underruns"] is None) == (not streamed)
        assert level["stages_ms"].keys() == {"queue", "read", "infer", "encode", "other"}
    assert "where the time goes" in capsys.readouterr().out


def test_repeated_texts_come_from_the_cache(server: Server, tmp_path: Path) -> None:
    args = ["--users", "2", "--seconds", "2", "--warmup", "0.2", "--repeat", "1", *of(server)]
    (level,) = run(tmp_path, "http", *args)["levels"]
    assert level["answers_from_cache"]["HIT"] > 0
    assert any(point["cache_hits"] for point in level["series"])


def test_a_search_finds_a_rate(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--search", "--rate", "40", "--seconds", "1", "--warmup", "0", "--slo-ms", "0.001", *of(server)]
    result = run(tmp_path, "http", *args)
    assert result["sustained_per_s"] == 0  # nobody answers within a microsecond
    assert [level["rate_per_s"] for level in result["levels"]] == [20, 40]
    assert "no rate held" in capsys.readouterr().out


def test_seed_prints_the_published_table_beside_ours(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(tmp_path, "seed", "--scale", "0.025", "--users", "3,50", *of(server))
    assert [level["users"] for level in result["levels"]] == [3, 50]
    assert result["method"]["users_wait_s"] == [1, 3]
    shown = capsys.readouterr().out
    assert "published, 8 cores" in shown
    assert "50 users cannot have made 86 QPS" in shown
    assert "50 users: m" in shown  # met or missed


def test_soak_looks_on(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(tmp_path, "soak", "--requests", "200", "--users", "4", *of(server))
    assert result["requests"] == 200
    assert result["errors"] == {}
    assert result["points"][-1]["requests"] == 200
    assert all(point["rss_mib"] > 10 and point["segments"] == 1 for point in result["points"])
    assert "MiB for a thousand requests" in capsys.readouterr().out


def test_coldstart_starts_twice_in_a_round(voices_dir: Path, tmp_path: Path) -> None:
    serve = f"--voices-dir {voices_dir} --engines standard --workers 1"
    result = run(tmp_path, "coldstart", "--rounds", "1", "--serve", serve)
    for kind in ("cold", "warm"):
        assert 0 < result[f"{kind}_ready_ms"]["median"] < result[f"{kind}_first_audio_ms"]["median"]


def test_efficiency_takes_limit_and_server_in_turn(voices_dir: Path, tmp_path: Path) -> None:
    args = ["--rounds", "1", "--seconds", "1", "--users", "4", "--voices-dir", str(voices_dir), *TINY]
    result = run(tmp_path, "efficiency", *args, "--serve", "--workers 1")
    assert len(result["rounds"]) == 1
    for one in result["rounds"]:
        assert one["ratio"] == pytest.approx(one["served_audio_s_per_s"] / one["limit_audio_s_per_s"])
        assert one["ratio_without_client"] > one["ratio"] > 0
    assert result["errors"] == {}


def test_two_results_are_compared(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "http", "--users", "2", "--seconds", "2.2", "--warmup", "0", *of(server))
    file = str(tmp_path / "result.json")
    assert main(["bench", "compare", file, file]) == 0
    shown = capsys.readouterr().out
    assert "no difference that these runs can tell" in shown
    assert " 1.00 " in shown


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["http", "--users", "0"], 2, "some users or a rate"),
        (["http", "--users", "x"], 2, "invalid"),
        (["http", "--search", "--rate", "1", "--seconds", "1"], 2, "tell nothing"),
        (["http", "--search"], 2, "a search begins with one rate"),
        (["http", "--url", "http://127.0.0.1:1", "--serve", "--workers 1"], 2, "give one of them"),
        (["http", "--repeat", "2"], 2, "repeat is 2"),
        (["http", "--format", "aac"], 2, "invalid choice"),
        (["http", "--json", "/nowhere/a.json"], 2, "there is no folder"),
        (["http", "--clients", "0"], 2, "clients is 0"),
        (["seed", "--scale", "0"], 2, "scale is 0"),
        (["soak", "--requests", "1"], 2, "requests is 1"),
        (["coldstart", "--rounds", "0"], 2, "rounds is 0"),
        (["http", "--serve=--workers 0"], 1, "the server did not start; it said"),
    ],
)
def test_what_cannot_be_measured_is_told(
    args: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *args]) == code
    assert message in capfd.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
