from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference import prepared
from inference.alignment import ALIGNMENT_BYTES, align
from inference.frontend.phones import Phone
from inference.pack import VOICES
from inference.prepared import KEPT, open_prepared, prepare
from inference.session import open_session
from inference.voice import Voice

Phones = tuple[Phone, ...]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products with weights of odd sizes, so that nothing lies well by chance."""
    folder = tmp_path_factory.mktemp("graph")
    random = np.random.default_rng(0)
    nodes, weights, name, width = [], [], "x", 64
    for number, following in enumerate([771, 129, 333, 64]):
        matrix = random.normal(0, width**-0.5, (width, following)).astype(np.float32)
        bias = random.normal(0, 1, following).astype(np.float32)
        weights += [numpy_helper.from_array(matrix, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        nodes += [
            helper.make_node("MatMul", [name, f"w{number}"], [f"m{number}"]),
            helper.make_node("Add", [f"m{number}", f"b{number}"], [f"a{number}"]),
        ]
        name, width = f"a{number}", following
    shape: list[str | int | None] = ["B", 64]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "odd",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
            weights,
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    (folder / "odd.onnx").write_bytes(model.SerializeToString())
    return folder / "odd.onnx"


def run(session: ort.InferenceSession) -> bytes:
    (out,) = session.run(None, {"x": np.linspace(-1, 1, 192, dtype=np.float32).reshape(3, 64)})
    return bytes(out.tobytes())


def test_a_prepared_graph_computes_the_same(graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = run(open_session(graph))
    assert run(open_prepared(graph, tmp_path / "cache")) == plain  # made
    assert run(open_prepared(graph, tmp_path / "cache")) == plain  # found
    assert caplog.records == []


@pytest.mark.parametrize("name", [None, "standard", "light"])
def test_a_voice_speaks_the_same_samples(
    name: str | None, tiny_pack: Path, tmp_path: Path, ni_hao: Phones, hello: Phones
) -> None:
    pack = VOICES / name if name else tiny_pack
    plain = Voice.load(pack)
    for _ in range(2):
        shared = Voice.load(pack, cache_dir=tmp_path)
        for phones in (ni_hao, hello, ni_hao + hello * 5):
            for manner in ({"speaker": "female"}, {"speaker": "male", "speed": 1.3}):
                ours, theirs = (voice.speak(phones, **manner) for voice in (shared, plain))
                assert ours.audio.tobytes() == theirs.audio.tobytes()


def test_packed_weights_are_mapped_from_the_file(graph: Path, tmp_path: Path) -> None:
    session = open_prepared(graph, tmp_path)
    run(session)
    weights = next(tmp_path.glob("*/weights.bin"))
    assert str(weights) in Path("/proc/self/maps").read_text(encoding="utf-8")


def places(model: Path) -> list[tuple[str, int, int]]:
    """Each weight and each of its packed forms: name, offset, size."""
    found = []
    for tensor in onnx.load(str(model), load_external_data=False).graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries:
            found.append((tensor.name, int(entries["offset"]), int(entries["length"])))
        for key, value in entries.items():
            if key.startswith("prepacked"):
                blobs = [blob.split(";") for blob in value.split("|")[1:]]
                found += [(f"{tensor.name} packed", int(offset), int(size)) for offset, size, _ in blobs]
    return found


def test_every_weight_is_aligned_and_unchanged(graph: Path, tmp_path: Path) -> None:
    model = prepare(graph, tmp_path)
    found = places(model)
    assert {f"w{number} packed" for number in range(4)} <= {name for name, _, _ in found}
    assert [name for name, offset, _ in found if offset % ALIGNMENT_BYTES] == []
    content = model.with_name("weights.bin").read_bytes()
    originals = {tensor.name: tensor for tensor in onnx.load(str(graph)).graph.initializer}
    for name, offset, size in found:
        if name in originals:
            assert content[offset : offset + size] == numpy_helper.to_array(originals[name]).tobytes()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (b"\x3a\x05\x00", "ends within a field"),
        (b"\x3a\xff", "ends within a number"),
        (b"\x3b\x00", "unknown kind 3"),
        (b"\x12\x0bprepacked_0", "a graph within the graph"),
    ],
)
def test_what_is_no_model_is_not_aligned(model: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        align(model, bytearray())


def test_a_weight_outside_its_file_is_told(graph: Path, tmp_path: Path) -> None:
    model = prepare(graph, tmp_path)
    with pytest.raises(ValueError, match=r"a weight ends at \d+, the file at 100"):
        align(model.read_bytes(), bytearray(100))


def test_it_is_made_once(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = prepare(graph, tmp_path)
    made = model.stat().st_ino
    assert prepare(graph, tmp_path) == model
    assert model.stat().st_ino == made
    monkeypatch.setattr(prepared, "_cpu", lambda: "another")
    assert prepare(graph, tmp_path) != model
    monkeypatch.undo()
    monkeypatch.setattr(ort, "__version__", "0.0")
    assert prepare(graph, tmp_path) != model
    monkeypatch.undo()
    other = tmp_path / "other.onnx"
    other.write_bytes(graph.read_bytes() + b"\x12\x01x")  # another producer
    assert prepare(other, tmp_path) != model


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped", "no weights", "no manifest", "manifest of nothing", "a file"]
)
def test_what_is_broken_is_made_again(graph: Path, tmp_path: Path, damage: str) -> None:
    folder = prepare(graph, tmp_path).parent
    weights, manifest = folder / "weights.bin", folder / "manifest.json"
    match damage:
        case "truncated":
            os.truncate(weights, 1000)
        case "flipped":
            content = bytearray(weights.read_bytes())
            content[-1] ^= 1
            weights.write_bytes(content)
        case "no weights":
            weights.unlink()
        case "no manifest":
            manifest.unlink()
        case "manifest of nothing":
            manifest.write_text("{}", encoding="utf-8")
        case "a file":
            shutil.rmtree(folder)
            folder.write_bytes(b"")
    assert run(open_prepared(graph, tmp_path)) == run(open_session(graph))
    described = json.loads(manifest.read_bytes())
    assert described["weights.bin"]["bytes"] == weights.stat().st_size > 1000
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_nobody_else_may_read_or_write_it(graph: Path, tmp_path: Path) -> None:
    folder = prepare(graph, tmp_path / "new" / "cache").parent
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "model.onnx": 0o600,
        "weights.bin": 0o600,
        "manifest.json": 0o600,
    }


def test_a_folder_others_can_write_to_is_not_trusted(
    graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    assert run(open_prepared(graph, cache)) == run(open_session(graph))
    assert "can be written by, another user" in caplog.text
    assert list(cache.iterdir()) == []


def test_what_others_could_have_written_is_made_again(
    graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = prepare(graph, tmp_path).parent
    folder.chmod(0o770)
    assert prepare(graph, tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert "made again" in caplog.text


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_a_cache_that_cannot_be_written_does_no_harm(
    graph: Path, tmp_path: Path, error: OSError, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(prepared, "_make", refuse)
    assert run(open_prepared(graph, tmp_path)) == run(open_session(graph))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(error) in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_caches_place_does_no_harm(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    assert run(open_prepared(graph, tmp_path / "cache")) == run(open_session(graph))


def test_a_broken_graph_is_an_error_as_before(tmp_path: Path) -> None:
    graph = tmp_path / "broken.onnx"
    graph.write_bytes(b"\x00" * 100)
    with pytest.raises(Exception, match="broken"):
        open_prepared(graph, tmp_path / "cache")


def test_the_least_used_are_removed(graph: Path, tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        (tmp_path / f"old-{number:02}").mkdir()
        os.utime(tmp_path / f"old-{number:02}", (number, number))
    left, working = tmp_path / "unfinished-0", tmp_path / "unfinished-1"
    left.mkdir()
    os.utime(left, (0, 0))
    working.mkdir()
    folder = prepare(graph, tmp_path).parent
    assert not left.exists()
    assert working.exists()
    names = sorted(path.name for path in tmp_path.glob("old-*"))
    assert names == [f"old-{number:02}" for number in range(4, KEPT + 3)]
    os.utime(folder, (0, 0))
    prepare(graph, tmp_path)
    assert time.time() - folder.stat().st_mtime < 60


def _prepare_at_once(graph: Path, cache: Path, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    run(open_prepared(graph, cache))


def test_many_processes_at_once_make_one(graph: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_prepare_at_once, args=(graph, tmp_path, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_who_comes_second_takes_what_is_there(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = prepared._make

    def overtaken(graph: Path, folder: Path) -> None:
        make(graph, folder)
        monkeypatch.setattr(prepared, "_make", make)
        prepare(graph, tmp_path)

    monkeypatch.setattr(prepared, "_make", overtaken)
    model = prepare(graph, tmp_path)
    assert model.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [model.parent.name]
