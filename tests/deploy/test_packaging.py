"""What is built is what is used: sdist, the wheel of it, a clean environment, and the program at work in it."""

from __future__ import annotations

import email
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.test_service import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = ("tts_server", "inference", "shm", "bench", "voices", "deploy/systemd")
NOT_SHIPPED = ("tests", "training")
NOT_INSTALLED = {"bench.peer_servers"}
"""Other people's servers, which are measured in a checkout alone."""
PROMISED = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))


def test_every_package_of_what_serves_is_installed() -> None:
    named = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        if "__pycache__" not in file.parts
    }
    assert found <= named | NOT_INSTALLED
    assert all(not name.startswith(NOT_SHIPPED) for name in named)


def test_the_version_is_said_in_one_place() -> None:
    version = PROJECT["project"]["version"]
    said = [
        file
        for room in ("tts_server", "inference", "shm", "bench")
        for file in (ROOT / room).rglob("*.py")
        if version in file.read_text(encoding="utf-8")
    ]
    assert said == []


def test_each_python_that_is_promised_is_allowed() -> None:
    assert PROMISED == ["3.11", "3.12", "3.13"]
    assert PROJECT["project"]["requires-python"] == f">={PROMISED[0]}"


def interpreter(version: str) -> str | None:
    """The Python of that version, if there is one that starts."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{version}")
    works = found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0
    return found if works else None


def run(*command: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    told = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=dict(environ) if environ else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-4000:]
    return told.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made of it alone."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--outdir", folder, source, cwd=folder)
    return folder


@pytest.fixture(scope="module", params=PROMISED)
def installed(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in an environment with nothing else, of each Python that is promised and is here."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param} here")
    folder = tmp_path_factory.mktemp("installed")
    run(python, "-m", "venv", folder / "venv", cwd=folder)
    (wheel,) = built.glob("*.whl")
    run(folder / "venv/bin/pip", "install", "--quiet", wheel, cwd=folder)
    return folder / "venv/bin/tts-server"


def clean(home: Path) -> dict[str, str]:
    """No checkout, no settings, nobody's home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TTS_", "PYTHON", "XDG_"))}
    return kept | {"HOME": str(home), "PATH": "/usr/bin:/bin"}


@pytest.mark.packaging
def test_the_wheel_has_what_serves_and_nothing_else(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    names = set(zipfile.ZipFile(wheel).namelist())
    for pack in (ROOT / "voices").glob("*/voice.json"):
        assert {f"voices/{pack.parent.name}/{name}" for name in ("voice.json", "prosody.onnx", "decoder.onnx")} <= names
    for unit in (ROOT / "deploy/systemd").iterdir():
        assert f"tts_server/units/{unit.name}" in names
    assert not any(name.startswith(NOT_SHIPPED) for name in names)
    (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(zipfile.ZipFile(wheel).read(about))
    assert metadata["Version"] == PROJECT["project"]["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    for room in ROOMS:
        here = {str(file.relative_to(ROOT)) for file in (ROOT / room).rglob("*") if file.is_file()}
        with tarfile.open(sdist) as archive:
            there = {name.partition("/")[2] for name in archive.getnames()}
        assert {name for name in here - there if "__pycache__" not in name} <= {"voices/README.md"}


@pytest.mark.packaging
def test_it_says_its_version_speaks_and_lists_its_voices(installed: Path, tmp_path: Path) -> None:
    environ = clean(tmp_path)
    assert run(installed, "--version", cwd=tmp_path, environ=environ) == f"tts-server {PROJECT['project']['version']}\n"
    run(installed, "say", "你好。Hello.", "-o", "a.mp3", cwd=tmp_path, environ=environ)
    assert soundfile.info(tmp_path / "a.mp3").duration > 0.5
    packs = json.loads(run(installed, "voices", "--json", cwd=tmp_path, environ=environ))
    assert {pack["pack"] for pack in packs} == {folder.parent.name for folder in (ROOT / "voices").glob("*/voice.json")}
    assert "Type=notify" in run(installed, "systemd", "install", "--user", "--dry-run", cwd=tmp_path, environ=environ)
    found = json.loads(run(installed, "doctor", "--json", "--port", "0", cwd=tmp_path, environ=environ))
    assert found["level"] != "fail", found


@pytest.mark.packaging
def test_it_serves(installed: Path, tmp_path: Path) -> None:
    command = [str(installed), "serve", "--port", "0", "--workers", "1", "--log-format", "text"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean(tmp_path), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            found = next(filter(None, (re.search(r"serving url=(\S+)", line) for line in process.stderr)))
            for engine in ("standard", "light"):
                body = json.dumps({"text": "你好。Hello.", "engine": engine}).encode()
                kind = {"Content-Type": "application/json"}
                asked = urllib.request.Request(f"{found[1]}/api/tts", body, kind)  # noqa: S310  (our own server)
                with urllib.request.urlopen(asked) as answer:  # noqa: S310
                    assert soundfile.info(io.BytesIO(answer.read())).duration > 0.5
        finally:
            process.terminate()
            process.stderr.read()
    assert process.returncode == 0
