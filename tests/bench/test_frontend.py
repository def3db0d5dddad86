from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from bench.frontend import floods, measure, read_kinds, report, write_json, write_sentences
from tts_server.cli import main


def test_every_kind_of_text_is_measured(tiny_pack: Path, tmp_path: Path) -> None:
    result = measure(tiny_pack, sentences=4, hostile_bytes=600)
    assert [kind.kind for kind in result.kinds] == ["plain", "digits", "english", "mixed"]
    for kind in result.kinds:
        assert kind.us_per_character > 0
        assert kind.share == pytest.approx(kind.us_per_character / kind.voice_us_per_character)
    assert {"digits", "random hanzi", "nested brackets", "combining marks", "emoji"} <= set(result.hostile_seconds)
    shown = report(result)
    assert all(kind.kind in shown for kind in result.kinds)
    write_json(result, tmp_path / "frontend.json")
    written = json.loads((tmp_path / "frontend.json").read_text(encoding="utf-8"))
    assert {"kinds", "plain_sentence_ms", "digits_sentence_ms", "hostile_seconds", "cpu", "versions"} <= set(written)
    assert written["kinds"][0]["us_per_character"] == result.kinds[0].us_per_character


def test_the_command_measures_and_writes(voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "frontend.json"
    args = ["bench", "frontend", "--sentences", "2", "--hostile-bytes", "60", "--voices-dir", str(voices_dir)]
    assert main([*args, "--json", str(file)]) == 0
    assert "µs/character" in capsys.readouterr().out
    assert json.loads(file.read_text(encoding="utf-8"))["hostile_bytes"] == 60


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--sentences", "0"], "sentences is 0"),
        (["--sentences", "100000"], "from 1 to 10000"),
        (["--hostile-bytes", "0"], "has 0 bytes"),
        (["--pack", "none"], "there is no voice pack 'none'"),
    ],
)
def test_what_cannot_be_measured_is_misuse(
    args: list[str], message: str, voices_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "frontend", "--voices-dir", str(voices_dir), *args]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("kind", read_kinds())
def test_sentences_of_a_kind_are_all_different_and_always_the_same(kind: str) -> None:
    columns = read_kinds()[kind]
    sentences = list(islice(write_sentences(columns, 1), 500))
    assert len(set(sentences)) == 500
    assert list(islice(write_sentences(columns, 1), 500)) == sentences
    assert any(char.isdigit() for sentence in sentences for char in sentence) is (kind != "plain")
    assert "#" not in "".join(sentences)


def test_plain_and_digits_have_sentences_of_30_characters() -> None:
    for kind in ("plain", "digits"):
        lengths = [len(sentence) for sentence in islice(write_sentences(read_kinds()[kind], 1), 200)]
        assert sum(27 <= length < 34 for length in lengths) > 20


def test_floods_have_the_size_that_is_asked() -> None:
    for kind, text in floods(6000):
        assert 5900 <= len(text.encode()) <= 6000, kind
