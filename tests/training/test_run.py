"""A whole run in small: data, training, export; and that it goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference.frontend.phones import Phone, Position, Tone
from inference.voice import Voice
from training import data
from training.pipeline import SMOKE, make_checkpoints, make_packs
from training.train import train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    # as a user would: processes of its own must find what they run
    subprocess.run([sys.executable, "-m", "training", "smoke", "--folder", str(folder)], check=True, cwd=ROOT)
    return folder


def test_a_smoke_run_ends_with_a_pack_that_speaks(folder: Path) -> None:
    voice = Voice.load(folder / "voices" / "light")
    speech = voice.speak(
        [Phone("^"), Phone("n", Tone.T3, Position.SINGLE), Phone("i", Tone.T3, Position.SINGLE), Phone(".")],
        speaker="female",
    )
    assert speech.durations.min() >= 1
    assert len(speech.audio) == speech.durations.sum() * data.HOP


def test_a_second_run_keeps_the_teachers_shards(folder: Path) -> None:
    shards = sorted((folder / "data").rglob("*.npz"))
    before = [shard.stat().st_mtime_ns for shard in shards]
    data.make(folder / "data" / "train", SMOKE.sentences)
    assert [shard.stat().st_mtime_ns for shard in shards] == before


def test_training_that_was_interrupted_ends_where_training_in_one_go_ends(folder: Path, tmp_path: Path) -> None:
    sentences = data.load((folder / "data" / "train").glob("*.npz"))
    held_out = data.load((folder / "data" / "held_out").glob("*.npz"))[:1]
    whole = train("light", sentences, held_out, tmp_path / "whole", steps=4)
    train("light", sentences, held_out, tmp_path / "halves", steps=2)
    halves = train("light", sentences, held_out, tmp_path / "halves", steps=4)
    one, two = (torch.load(path, weights_only=True)["voice"] for path in (whole, halves))
    assert all(torch.isfinite(one[name]).all() for name in one)
    # the learning rate of the first half was planned for a shorter run, so close and not equal
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 0.01


def test_a_last_stretch_begins_with_the_average_and_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    sentences = data.load((folder / "data" / "train").glob("*.npz"))
    held_out = data.load((folder / "data" / "held_out").glob("*.npz"))[:1]
    with pytest.raises(FileNotFoundError, match="train first"):
        train("light", sentences, held_out, tmp_path, steps=1, finish=True)
    path = train("light", sentences, held_out, tmp_path, steps=4)
    before = torch.load(path, weights_only=True)
    for part in before["average"].values():  # four steps leave it where the weights are: told apart by hand
        part.add_(0.01)
    torch.save(before, path)
    once = torch.load(train("light", sentences, held_out, tmp_path, steps=1, finish=True), weights_only=True)
    again = torch.load(train("light", sentences, held_out, tmp_path, steps=2, finish=True), weights_only=True)
    assert (before["step"], once["step"], again["step"]) == (4, 1, 2)

    def apart(name: str) -> float:
        return max(float((once["voice"][part] - before[name][part]).abs().max()) for part in once["voice"])

    assert apart("average") < 0.001 < apart("voice"), "one step at the beginning of the rise is small"


def test_training_may_begin_with_a_pack_and_the_new_one_says_so(folder: Path, tmp_path: Path) -> None:
    begin, name = folder / "voices", "manner.0.up.weight"
    plan = replace(SMOKE, steps=(("light", 1),), begin=begin)
    shutil.copytree(folder / "data", tmp_path / "data")
    make_checkpoints(tmp_path, plan)
    before, after = (
        torch.load(path / "checkpoints" / "light.pt", weights_only=True)["voice"][name] for path in (folder, tmp_path)
    )
    assert torch.allclose(before, after, atol=0.01)
    (pack,) = make_packs(tmp_path, tmp_path / "voices", plan)
    record = [json.loads((one / "voice.json").read_text())["training"] for one in (begin / "light", pack)]
    assert record[1]["begun_with"] == record[0]["commit"]
    assert "begun_with" not in record[0]
