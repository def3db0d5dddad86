from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.engine import BenchError, measure, read_sentences, report, write_json
from inference.cores import usable_cores
from inference.frontend.phones import Phone
from tests.tiny_pack import write_tiny_pack
from tts_server.cli import main

Phones = tuple[Phone, ...]


@pytest.mark.parametrize("batch", [1, 3])
def test_every_core_is_measured(tiny_pack: Path, ni_hao: Phones, hello: Phones, batch: int, tmp_path: Path) -> None:
    cores = min(2, len(usable_cores()))
    result = measure(tiny_pack, seconds=0.2, cores=cores, batch=batch, sentences=[ni_hao, hello])
    assert len(result.per_core) == cores
    assert result.x_realtime_per_core == pytest.approx(sum(result.per_core) / cores)
    assert result.audio_seconds >= 0.2 * min(result.per_core)
    assert f"{result.x_realtime_per_core:.1f}" in report(result)
    write_json(result, tmp_path / "engine.json")
    written = json.loads((tmp_path / "engine.json").read_text(encoding="utf-8"))
    assert {"x_realtime_per_core", "audio_seconds", "per_core", "batch", "precision"} <= set(written)
    assert (written["batch"], written["precision"]) == (batch, "fp32")


def test_the_command_measures_and_writes(voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "engine.json"
    args = ["bench", "engine", "--seconds", "0.1", "--cores", "1", "--voices-dir", str(voices_dir)]
    assert main([*args, "--json", str(file)]) == 0
    assert "× real time" in capsys.readouterr().out
    assert json.loads(file.read_text(encoding="utf-8"))["x_realtime_per_core"] > 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--seconds", "0"], "seconds is 0"),
        (["--batch", "0"], "batch is 0"),
        (["--cores", "100000"], "cores is 100000"),
        (["--precision", "int8"], "the pack 'standard' is fp32, not int8"),
        (["--pack", "none"], "there is no voice pack 'none'"),
    ],
)
def test_what_cannot_be_measured_is_misuse(
    args: list[str], message: str, voices_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "engine", "--voices-dir", str(voices_dir), *args]) == 2
    assert message in capsys.readouterr().err


def test_a_process_that_fails_is_a_failure(tmp_path: Path, ni_hao: Phones, capfd: pytest.CaptureFixture[str]) -> None:
    pack = write_tiny_pack(tmp_path / "tiny", width=192)
    with pytest.raises(BenchError):
        measure(pack, seconds=0.1, cores=1, sentences=[ni_hao])
    assert "PackError" in capfd.readouterr().err


def test_the_benchs_sentences_are_in_both_languages() -> None:
    names = {phone.name for phones in read_sentences() for phone in phones}
    assert {"zh", "HH", "^"} <= names
