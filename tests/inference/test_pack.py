from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.frontend.phones import TABLE_VERSION
from inference.pack import PackError, find_packs, load_pack
from inference.voice import Voice
from tests.tiny_pack import RATE_HZ, write_tiny_pack

Damage = Callable[[Path], object]


def test_a_sound_pack_is_described(tiny_pack: Path) -> None:
    pack = load_pack(tiny_pack)
    assert (pack.name, pack.sample_rate_hz, pack.languages) == ("standard", RATE_HZ, ("zh", "en"))
    assert [speaker.name for speaker in pack.speakers] == ["female", "male"]


def test_keys_of_later_writers_are_ignored(tmp_path: Path) -> None:
    assert load_pack(write_tiny_pack(tmp_path / "tiny", mood="cheerful")).name == "tiny"


def _edit(change: Callable[[Any], object]) -> Damage:
    def apply(pack: Path) -> None:
        manifest = pack / "voice.json"
        fields = json.loads(manifest.read_text(encoding="utf-8"))
        change(fields)
        manifest.write_text(json.dumps(fields), encoding="utf-8")

    return apply


def _set(*path: str | int, to: object) -> Damage:
    def change(fields: Any) -> None:
        for key in path[:-1]:
            fields = fields[key]
        fields[path[-1]] = to

    return _edit(change)


def _flip_a_byte(pack: Path) -> None:
    graph = pack / "decoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)


BROKEN: dict[str, tuple[Damage, str, str]] = {
    "no manifest": (lambda pack: (pack / "voice.json").unlink(), "$", "no such file"),
    "not JSON": (lambda pack: (pack / "voice.json").write_bytes(b"{,"), "$", "is not JSON"),
    "not text": (lambda pack: (pack / "voice.json").write_bytes(b"\xff\xfe\x00"), "$", "is not JSON"),
    "not an object": (lambda pack: (pack / "voice.json").write_bytes(b"[]"), "$", "is not a JSON object"),
    "a foreign voice": (
        lambda pack: (pack / "voice.json").write_text('{"audio": {"sample_rate": 22050}}', encoding="utf-8"),
        "$.format",
        "is missing",
    ),
    "missing key": (_edit(lambda fields: fields.pop("hop_samples")), "$.hop_samples", "is missing"),
    "missing key in a speaker": (
        _edit(lambda fields: fields["speakers"][1].pop("gender")),
        "$.speakers[1].gender",
        "is missing",
    ),
    "missing key in training": (_edit(lambda fields: fields["training"].pop("seed")), "$.training.seed", "is missing"),
    "later format": (_set("format", to="2"), "$.format", "'1' was expected"),
    "unknown kind": (_set("kind", to="vits"), "$.kind", "'vits' is not one of"),
    "other phone table": (_set("phone_table_version", to="0.9"), "$.phone_table_version", TABLE_VERSION),
    "wrong type": (_set("sample_rate_hz", to="24k"), "$.sample_rate_hz", "not of type 'integer'"),
    "no speakers": (_set("speakers", to=[]), "$.speakers", "[] should be non-empty"),
    "two speakers of one name": (_set("speakers", 1, "name", to="female"), "$.speakers[1].name", "'female' is taken"),
    "two speakers of one number": (_set("speakers", 1, "id", to=0), "$.speakers[1].id", "0 is taken"),
    "unknown language": (_set("languages", to=["fr"]), "$.languages[0]", "'fr' is not one of"),
    "a graph outside the pack": (
        _set("graphs", "decoder", "file", to="../x"),
        "$.graphs.decoder.file",
        "does not match",
    ),
    "missing graph": (lambda pack: (pack / "prosody.onnx").unlink(), "$.graphs.prosody.file", "no such file"),
    "cut graph": (
        lambda pack: (pack / "prosody.onnx").write_bytes((pack / "prosody.onnx").read_bytes()[:-1]),
        "$.graphs.prosody.bytes",
        "bytes, voice.json says",
    ),
    "changed graph": (_flip_a_byte, "$.graphs.decoder.sha256", "not the one that voice.json names"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pack_is_refused_by_field(name: str, tmp_path: Path) -> None:
    damage, field, problem = BROKEN[name]
    pack = write_tiny_pack(tmp_path / "tiny")
    damage(pack)
    with pytest.raises(PackError) as caught:
        load_pack(pack)
    assert caught.value.field == field
    assert problem in caught.value.problem
    assert str(caught.value.file).startswith(str(pack))
    assert caught.value.remedy in str(caught.value)


def _swap_graphs(pack: Path) -> None:
    def change(fields: Any) -> None:
        graphs = fields["graphs"]
        graphs["prosody"], graphs["decoder"] = graphs["decoder"], graphs["prosody"]

    _edit(change)(pack)


def _not_a_graph(pack: Path) -> None:
    content = b"these are not the bytes of a graph"
    (pack / "prosody.onnx").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    _set("graphs", "prosody", to={"file": "prosody.onnx", "sha256": digest, "bytes": len(content)})(pack)


@pytest.mark.parametrize(
    ("damage", "field", "problem"),
    [
        (_swap_graphs, "$.graphs.prosody.file", "its inputs are"),
        (_not_a_graph, "$.graphs.prosody.file", "onnxruntime cannot load it"),
        (_set("width", to=192), "$.width", "the graph has 4 features"),
    ],
)
def test_graphs_that_break_the_contract_are_refused(damage: Damage, field: str, problem: str, tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "tiny")
    damage(pack)
    with pytest.raises(PackError) as caught:
        Voice.load(pack)
    assert caught.value.field == field
    assert problem in caught.value.problem


def test_packs_are_the_folders_with_a_manifest(tmp_path: Path) -> None:
    write_tiny_pack(tmp_path / "b")
    write_tiny_pack(tmp_path / "a")
    (tmp_path / "notes").mkdir()
    assert [pack.name for pack in find_packs(tmp_path)] == ["a", "b"]
    assert find_packs(tmp_path / "nowhere") == []
