"""The benches that answer one question each, once and small; and the table that is made of their results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench import table
from bench.record import IdleResult, LoadResult, PairResult, VipResult, read, record, write
from bench.table import STEPS, as_text, rows, run
from bench.usage import ProcessUse
from tests.bench.test_load_benches import TINY
from tts_server.cli import main

SERVE = "--serve=--voices-dir {} --engines standard --workers 1"


def measured(tmp_path: Path, voices_dir: Path, *args: str) -> object:
    """The result of one command, read again; beside it lies a page."""
    file = tmp_path / "result.json"
    words = [*args, SERVE.format(voices_dir), "--json", str(file), "--html", str(tmp_path / "result.html")]
    assert main(["bench", *words]) == 0
    assert "<h2>In words</h2>" in (tmp_path / "result.html").read_text(encoding="utf-8")
    assert main(["bench", "compare", str(file), str(file)]) == (2 if args[0] == "idle" else 0)
    return read(file).result


def test_vips_are_measured_alone_and_beside_others(
    voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = measured(
        tmp_path, voices_dir, "vip", "--rounds", "1", "--seconds", "1", "--warmup", "0.3", "--rate", "20",
        "--offer", "30", *TINY,
    )  # fmt: skip
    assert isinstance(result, VipResult)
    assert [(turn.round, turn.streamed) for turn in result.turns] == [(1, False), (1, True)]
    assert result.offered_qps == 30
    for turn in result.turns:
        for felt in (turn.alone, turn.loaded):
            assert felt.asked > 0
            assert felt.errors == {}
            assert felt.p50_ms is not None
            assert felt.p95_ms is not None
            assert 0 < felt.p50_ms <= felt.p95_ms
        assert turn.others.asked > 0
    assert result.whole_p95_ratio is not None
    assert "VIP p95 loaded ÷ alone, first audio" in capsys.readouterr().out


def test_batching_is_measured_on_and_off(voices_dir: Path, tmp_path: Path) -> None:
    args = ["--rounds", "2", "--seconds", "1", "--users", "8", *TINY]
    result = measured(tmp_path, voices_dir, "batching", *args)
    assert isinstance(result, PairResult)
    assert result.errors == {}
    for one in result.rounds:
        assert one.ratio == pytest.approx(one.second_audio_s_per_s / one.first_audio_s_per_s)
    assert result.ratio.low <= result.ratio.median <= result.ratio.high


def test_two_instances_have_a_core_each(voices_dir: Path, tmp_path: Path) -> None:
    from inference.cores import usable_cores

    if len(usable_cores()) < 2:
        pytest.skip("there is one core")
    serve = f"--serve=--voices-dir {voices_dir} --engines standard"
    args = ["instances", serve, "--rounds", "1", "--seconds", "1", "--users", "4", *TINY]
    assert main(["bench", *args, "--json", str(tmp_path / "a.json")]) == 0
    result = read(tmp_path / "a.json").result
    assert isinstance(result, PairResult)
    assert result.errors == {}
    assert result.rounds[0].second_audio_s_per_s > 0


def test_underruns_are_looked_for_up_to_80_percent(voices_dir: Path, tmp_path: Path) -> None:
    args = ["--seconds", "1", "--warmup", "0.3", "--length", "sentence", *TINY]
    result = measured(tmp_path, voices_dir, "underruns", *args)
    assert isinstance(result, LoadResult)
    capacity, *levels = result.levels
    assert [level.rate_per_s for level in levels] == pytest.approx(
        [part * capacity.qps for part in (0.2, 0.4, 0.6, 0.8)], rel=0.01
    )


def test_a_server_without_work_is_looked_at(voices_dir: Path, tmp_path: Path) -> None:
    result = measured(tmp_path, voices_dir, "idle", "--seconds", "0.5")
    assert isinstance(result, IdleResult)
    assert {"server", "worker 1"} <= {use.name for use in result.processes}


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_figure_stands_in_the_table_measured_or_not(tmp_path: Path) -> None:
    prefix = tmp_path / "day"
    told = list(rows(prefix))
    assert len(told) > 15
    assert {(row.measured, row.met) for row in told} == {("not measured", None)}
    write(record(IdleResult("idle", (), 10.0, (ProcessUse("server", 0.02, 80, 60, 30),))), tmp_path / "day-idle.json")
    (tmp_path / "day-vip.json").write_text("cut off", encoding="utf-8")
    assert "| idle | under 1 % of a core | 2.00% | **not met** |" in as_text(prefix)
    table.write(prefix)
    assert as_text(prefix) in (tmp_path / "day-table.md").read_text(encoding="utf-8")
    assert "not met" in (tmp_path / "day-table.html").read_text(encoding="utf-8")


def test_every_step_is_a_bench_that_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in STEPS:
        assert main(["bench", step.flags[0], "--help"]) == 0
        known = capsys.readouterr().out
        flags = [word.partition("=")[0] for word in step.command(tmp_path / "x", 1) if word.startswith("--")]
        assert [flag for flag in flags if flag not in known] == []


def test_a_bench_that_fails_costs_its_own_lines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_BENCH", "import sys; sys.exit('idle' in sys.argv)")
    assert run(tmp_path / "day") == ["idle"]
    with pytest.raises(ValueError, match="'nothing' is none of: efficiency"):
        run(tmp_path / "day", only=["nothing"])


def test_the_published_test_is_drawn_beside_ours(tmp_path: Path) -> None:
    shipped = max((Path(__file__).parents[2] / "bench" / "results").glob("*-seed.json"))
    shutil.copy(shipped, tmp_path / "day-seed.json")
    table.write(tmp_path / "day")
    drawn = (tmp_path / "day-seed.svg").read_text(encoding="utf-8")
    assert "published, 8 cores" in drawn
    assert "here, 2 cores: default engines" in drawn
    assert "light" not in drawn  # which was not measured
    table.write(tmp_path / "day")
    assert (tmp_path / "day-seed.svg").read_text(encoding="utf-8") == drawn
