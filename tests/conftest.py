"""What every room's tests may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.frontend.phones import Break, Phone, Position, Tone
from inference.voice import Voice
from tests.tiny_pack import write_tiny_pack


@pytest.fixture(scope="session")
def voices_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voices folder with one tiny pack in it, called `standard` as the shipped one."""
    folder = tmp_path_factory.mktemp("voices")
    write_tiny_pack(folder / "standard")
    return folder


@pytest.fixture(scope="session")
def tiny_pack(voices_dir: Path) -> Path:
    return voices_dir / "standard"


@pytest.fixture(scope="session")
def voice(tiny_pack: Path) -> Voice:
    return Voice.load(tiny_pack)


@pytest.fixture(scope="session")
def ni_hao() -> tuple[Phone, ...]:
    """你好。"""
    return (
        Phone("^"),
        Phone("n", Tone.T2, Position.BEGIN),
        Phone("i", Tone.T2, Position.BEGIN),
        Phone("h", Tone.T3, Position.END, Break.SENTENCE),
        Phone("ao", Tone.T3, Position.END, Break.SENTENCE),
        Phone("."),
    )


@pytest.fixture(scope="session")
def hello() -> tuple[Phone, ...]:
    """Hello, now"""
    return (
        Phone("^"),
        Phone("HH", Tone.UNSTRESSED, Position.BEGIN),
        Phone("AH", Tone.UNSTRESSED, Position.MIDDLE),
        Phone("L", Tone.UNSTRESSED, Position.MIDDLE),
        Phone("OW", Tone.PRIMARY, Position.END, Break.CLAUSE),
        Phone(","),
        Phone("N", Tone.UNSTRESSED, Position.BEGIN),
        Phone("AW", Tone.PRIMARY, Position.END, Break.SENTENCE),
        Phone("."),
    )
