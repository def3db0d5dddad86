"""What README and docs tell people to type does what it should."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.docs.snippets import NOT_RUN, PAGES, ROOT, RUN, SHOWN, Snippet, checkout, run, snippets
from tests.test_service import Server, serving

ALL = [snippet for page in PAGES for snippet in snippets(page)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with the shipped voices, as `make run` starts it."""
    with serving(ROOT / "voices", tmp_path_factory.mktemp("server"), "--engines", "standard,light") as server:
        yield server


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One for each page: what a block leaves behind is there for the next ones."""
    folder = tmp_path_factory.mktemp("docs")
    found: dict[str, Path] = {}
    for number, page in enumerate(dict.fromkeys(snippet.page for snippet in ALL)):
        (folder / str(number)).mkdir()
        found[page] = checkout(folder / str(number))
    return found


def heard(folder: Path) -> list[Path]:
    """The audio that has been written there; what is none, soundfile refuses."""
    return [file for file in folder.iterdir() if file.suffix in {".wav", ".mp3", ".flac"} and not file.is_symlink()]


@pytest.mark.parametrize("snippet", [one for one in ALL if one.language in RUN], ids=str)
def test_it_runs_as_it_stands_there(snippet: Snippet, server: Server, checkouts: dict[str, Path]) -> None:
    if snippet.mark:
        pytest.skip(f"{snippet} is not run: it {NOT_RUN[snippet.mark]}")
    if snippet.language == "js" and shutil.which("node") is None:
        pytest.skip("there is no node; on Debian: apt-get install nodejs")
    folder = checkouts[snippet.page]
    done = run(snippet, folder, server.url.removeprefix("http://"))
    assert done.returncode == 0, f"{snippet}\n{snippet.code}\n--- it said\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    assert '"error":{' not in done.stdout  # curl is content with an answer that says what is wrong
    for audio in heard(folder):
        assert soundfile.read(audio)[0].any(), f"{audio.name} is silent"


@pytest.mark.parametrize("snippet", ALL, ids=str)
def test_every_block_says_what_it_is(snippet: Snippet) -> None:
    assert snippet.language in RUN | SHOWN
    assert not snippet.mark or (snippet.mark in NOT_RUN and snippet.language in RUN)
