from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.batch import SIZES, measure, report, write_json


@pytest.fixture(autouse=True)
def _unpinned() -> Iterator[None]:
    here = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, here)


def test_every_length_is_measured_in_every_size(tiny_pack: Path, tmp_path: Path) -> None:
    result = measure(tiny_pack, rounds=2)
    assert [kind.name for kind in result.kinds] == ["words", "phrases", "sentences"]
    assert [kind.audio_s for kind in result.kinds] == sorted(kind.audio_s for kind in result.kinds)
    assert all(set(kind.ratios) == set(SIZES) and min(kind.ratios.values()) > 0 for kind in result.kinds)
    assert "in a run" in report(result)
    write_json(result, tmp_path / "batch.json")
    assert json.loads((tmp_path / "batch.json").read_text())["kinds"][0]["ratios"]["4"] > 0


def test_no_rounds_are_refused(tiny_pack: Path) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        measure(tiny_pack, rounds=0)
