from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.ring import SIZES_BYTES
from tts_server.cli import main


def test_the_command_measures_every_transport(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ring.json"
    assert main(["bench", "ring", "--seconds", "0.05", "--json", str(file)]) == 0
    assert "ring over Queue" in capsys.readouterr().out
    written = json.loads(file.read_text(encoding="utf-8"))
    assert [way["transport"] for way in written["ways"]] == [
        "ring, awake",
        "ring, asleep",
        "Queue",
        "Pipe",
        "Unix socket",
    ]
    for way in written["ways"]:
        assert all(way["messages_per_s"][str(size)] > 0 for size in SIZES_BYTES)
        assert 0 < way["round_trip_p50_us"] <= way["round_trip_p99_us"]


def test_no_time_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "ring", "--seconds", "0"]) == 2
    assert "seconds is 0" in capsys.readouterr().err
