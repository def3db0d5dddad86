from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.engine import BenchError
from bench.memory import measure
from tests.tiny_pack import write_tiny_pack
from tts_server.cli import main


def test_the_command_tells_what_a_worker_costs(
    voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "memory.json"
    assert main(["bench", "memory", "--workers", "2", "--voices-dir", str(voices_dir), "--json", str(file)]) == 0
    assert "one more worker: " in capsys.readouterr().out
    written = json.loads(file.read_text(encoding="utf-8"))
    assert (written["pack"], written["shared_weights"]) == ("standard", True)
    assert len(written["workers"]) == len(written["total_pss_mib"]) == 2
    for usage in written["workers"]:
        assert 0 < usage["uss_mib"] <= usage["pss_mib"] <= usage["rss_mib"]
    assert written["total_pss_mib"][1] - written["total_pss_mib"][0] == pytest.approx(written["one_more_mib"])
    names = [part["name"] for part in written["parts"]]
    assert (names[0], names[-1]) == ("Python, numpy", "working buffers")
    assert sum(part["uss_mib"] for part in written["parts"]) > 10


def test_workers_can_be_measured_with_weights_of_their_own(tiny_pack: Path) -> None:
    result = measure(tiny_pack, workers=1, shared_weights=False)
    assert not result.shared_weights
    assert result.one_more_mib == result.total_pss_mib[0] == result.zygote.pss_mib + result.workers[0].pss_mib


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--workers", "0"], "workers is 0"),
        (["--workers", "65"], "workers is 65"),
        (["--pack", "none"], "there is no voice pack 'none'"),
    ],
)
def test_what_cannot_be_measured_is_misuse(
    args: list[str], message: str, voices_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "memory", "--voices-dir", str(voices_dir), *args]) == 2
    assert message in capsys.readouterr().err


def test_a_worker_that_fails_is_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pack = write_tiny_pack(tmp_path / "tiny", width=192)
    with pytest.raises(BenchError):
        measure(pack, workers=1)
    assert "PackError" in capfd.readouterr().err
