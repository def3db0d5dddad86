from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from bench.compare import compare, compare_files
from bench.figures import Spread, distribution
from bench.level import ClientUse, Level, Point
from bench.page import page
from bench.record import (
    ColdstartResult,
    LoadResult,
    Method,
    Record,
    RecordError,
    SoakPoint,
    SoakResult,
    read,
    record,
    schema,
    write,
)
from bench.record_listing import as_markdown
from bench.usage import ProcessUse

ROOT = Path(__file__).resolve().parent.parent.parent
METHOD = Method(
    "zh",
    "sentence",
    0.0,
    1,
    "female",
    None,
    "wav",
    True,
    False,
    "started",
    (),
    1,
    (0.0, 0.0),
    "poisson",
    2.0,
    500.0,
    None,
)


def points(qps: float) -> tuple[Point, ...]:
    return tuple(Point(n, qps + n % 3, 100.0 / qps, 200.0 / qps, 6 * qps, 0, 1.5, 0.25) for n in range(10))


def level(users: int, qps: float = 10.0) -> Level:
    return Level(
        name=f"{users} users",
        users=users,
        rate_per_s=0.0,
        seconds=10.0,
        asked=100,
        right=99,
        errors={"silent": 1},
        qps=qps,
        goodput_qps=qps,
        in_time=0.9,
        audio_s_per_s=6 * qps,
        audio_s_per_s_per_core=3 * qps,
        latency_ms=distribution([float(n) for n in range(1, 100)]),
        first_audio_ms=distribution([1.0, 2.0]),
        longest_gap_ms=distribution([1.0]),
        underruns={"0": 0.1, "100": 0.0},
        underrun_s={"0": 0.1, "100": 0.0},
        stages_ms={"queue": 1, "read": 1, "infer": 5, "encode": 1, "other": 1},
        answers_from_cache={"MISS": 99},
        batch_sizes={"1": 90, "2": 3},
        processes=(ProcessUse("server", 0.1, 80, 60, 30),),
        clients=(ClientUse("client 1", 0.1, 1.0, 100.0),),
        other_cores=0.5,
        series=points(qps),
        doubts=("other programs used <0.50> cores",),
    )


def load(*levels: Level) -> Record:
    return record(LoadResult("http", METHOD, levels), note="on a <shared> machine")


def soak(mib: float) -> SoakResult:
    return SoakResult("soak", METHOD, 1000, 10.0, {}, mib, 0, 0, (SoakPoint(0, 1, 2, 3), SoakPoint(9, 1, 2, 3)), ())


COLDSTART = ColdstartResult("coldstart", (), 1, *[Spread(4.0, 3.0, 5.0)] * 4)


@pytest.mark.parametrize(
    "found", [load(level(1), level(5)), record(COLDSTART), record(soak(0.1))], ids=["load", "coldstart", "soak"]
)
def test_a_record_is_read_as_it_was_written(found: Record, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write(found, file)
    assert read(file) == found
    jsonschema.validate(json.loads(file.read_bytes()), schema())


def test_a_record_names_what_it_was_measured_on_and_neither_host_nor_paths(tmp_path: Path) -> None:
    import platform

    write(load(level(1)), tmp_path / "a.json")
    written = (tmp_path / "a.json").read_text(encoding="utf-8")
    machine = json.loads(written)["machine"]
    assert machine["cpu"]
    assert machine["cores"] >= 1
    assert {"onnxruntime", "numpy", "aiohttp"} <= machine["versions"].keys()
    assert platform.node() not in json.dumps(machine)
    assert str(ROOT) not in written


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"{", "is no result"),
        (b"[]", "is no result"),
        (b'{"schema_version": 2}', "schema_version"),
        (b'{"schema_version": 1, "date": ""}', "machine"),
    ],
)
def test_what_is_no_record_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read(file)


def test_the_docs_describe_every_field() -> None:
    told = (ROOT / "docs/bench.md").read_text(encoding="utf-8")
    assert told.endswith(as_markdown() + "\n"), "put the output of `python run.py bench schema --docs` at its end"


def test_a_difference_is_told_by_its_ratio_and_spread() -> None:
    found = {one.figure: one for one in compare(load(level(1, 10)), load(level(1, 20)))}
    assert found["QPS"].ratio
    assert found["QPS"].ratio.low < found["QPS"].ratio.median < found["QPS"].ratio.high
    assert found["QPS"].verdict.startswith("better by 9")
    assert found["p95 ms"].verdict == "better by 50%"  # less is better there
    assert found["errors"].verdict == "+0%, from one value each"


def test_runs_that_are_alike_show_no_difference() -> None:
    found = {one.figure: one for one in compare(load(level(1)), load(level(1)))}
    assert found["QPS"].verdict == "no difference that these runs can tell"


def test_only_the_same_loads_are_compared() -> None:
    assert {one.where for one in compare(load(level(1), level(5)), load(level(5), level(9)))} == {"5 users"}
    for other in (load(level(9)), record(COLDSTART)):
        with pytest.raises(RecordError, match="no figure in common"):
            compare(load(level(1)), other)


def test_one_value_each_is_no_spread() -> None:
    assert {one.ratio for one in compare(record(COLDSTART), record(COLDSTART))} == {None}
    assert compare(record(soak(0.0)), record(soak(1.0)))[0].verdict == "—"


def test_what_else_differs_is_said(tmp_path: Path) -> None:
    one = load(level(1))
    other = replace(one, machine=replace(one.machine, cpu="another", versions=dict(one.machine.versions, numpy="0")))
    write(one, tmp_path / "a.json")
    write(other, tmp_path / "b.json")
    shown = compare_files(tmp_path / "a.json", tmp_path / "b.json")
    assert "and another" in shown
    assert "note: numpy: " in shown
    assert "other programs used" in shown


def test_a_page_stands_alone_and_shows_what_there_is() -> None:
    shown = page(load(level(1), level(5)))
    assert shown.count("<svg") == 6  # over load: two; curves; stages; over time: two
    assert "other programs used &lt;0.50&gt; cores" in shown
    assert "on a &lt;shared&gt; machine" in shown
    assert "<script" not in shown
    assert "@import" not in shown
    for link in ('href="http', 'src="', "url(http"):
        assert link not in shown
