"""The blocks of code in README and docs, and what runs them: in a folder that looks like a checkout, beside a server.

A block says its language. `sh`, `python` and `js` are run as they stand there, but for the address of the server. What
cannot run here has `<!-- not run: REASON -->` in front, with one of `NOT_RUN`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGES: Final = (*sorted(ROOT.glob("README*.md")), *sorted(ROOT.glob("docs/**/*.md")))
RUN: Final = frozenset({"sh", "python", "js"})
SHOWN: Final = frozenset({"text", "json", "toml"})
"""Only to be read."""
NOT_RUN: Final = {
    "root": "changes the machine it runs on, as root",
    "docker": "needs Docker, and builds images from the network",
    "kubectl": "needs a cluster",
    "network": "installs packages from the index; `make package` does that",
    "machines": "names machines that there are not",
    "minutes": "takes minutes",
    "hours": "takes hours",
    "account": "needs an account at somebody else's service",
    "locust": "needs Locust, which nothing else here does",
    "part": "is a part of a program",
}
MOST_S: Final = 60
"""For one block; each takes a second or two, and the machine may be busy."""

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = re.compile(r"<!-- not run: (\w+) -->\n\Z")
_SERVER: Final = re.compile(r"(?:127\.0\.0\.1|localhost):8000\b")
_MAKE: Final = re.compile(r"^make (\w+)", re.MULTILINE)

_PYTHON: Final = """\
#!/bin/sh
if [ "$1 $2" = "run.py serve" ]; then exec '{python}' '{serve}' "$@"; fi
exec '{python}' "$@"
"""
_PLAYER: Final = """\
#!/bin/sh
for last; do :; done
if [ -f "$last" ]; then size=$(wc -c < "$last"); else size=$(wc -c); fi
[ "$size" -gt 1000 ] || {{ echo "nothing to play" >&2; exit 1; }}
"""
_MAKE_SHOWN: Final = """\
#!/bin/sh
exec '{make}' --dry-run "$@"
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """One block."""

    page: str
    line: int
    language: str
    code: str
    mark: str
    """Why it is not run; empty if it is."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(page: Path) -> Iterator[Snippet]:
    """All blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text[: fence.start()])
        line = text.count("\n", 0, fence.start()) + 2  # that of its first line of code
        yield Snippet(str(page.relative_to(ROOT)), line, fence[1], fence[2], mark[1] if mark else "")


def checkout(folder: Path) -> Path:
    """Make `folder` what a newcomer has: the checkout, to be written into, and the programs that pages speak of.

    `serve` really starts, at a free port, and is then told to end. `make` only shows what it would do. A player is
    content with something to play.
    """
    for entry in ROOT.iterdir():
        if not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").touch()
    programs = folder / ".bin"
    programs.mkdir()
    python = _PYTHON.format(python=sys.executable, serve=Path(__file__).with_name("serve_once.py"))
    programs_of = {"python": python, "python3": python, "tts-server": '#!/bin/sh\nexec python run.py "$@"\n'}
    programs_of |= dict.fromkeys(("pw-play", "paplay", "aplay", "ffplay", "afplay", "play"), _PLAYER.format())
    if make := shutil.which("make"):
        programs_of["make"] = _MAKE_SHOWN.format(make=make)
    for name, script in programs_of.items():
        (programs / name).write_text(script, encoding="utf-8")
        (programs / name).chmod(0o755)
    return folder


def run(snippet: Snippet, folder: Path, server: str) -> subprocess.CompletedProcess[str]:
    """Run it in a checkout, beside the server at that address (host:port). Nothing that it started is left."""
    code = _SERVER.sub(server, snippet.code)
    given = {name: value for name, value in os.environ.items() if not name.startswith("TTS_")}
    there = {
        "PATH": f"{folder / '.bin'}:{given['PATH']}",
        "HOME": str(folder),
        "TTS_STATE_DIR": str(folder / ".state"),
        "TTS_CACHE_DIR": str(folder.parent / "prepared"),  # for all: models are prepared once
        "TTS_PORT": "0",  # the usual one may be somebody's
    }
    if snippet.language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", code]
    else:
        program = folder / f".snippet.{ {'python': 'py', 'js': 'mjs'}[snippet.language] }"
        program.write_text(code, encoding="utf-8")
        command = [sys.executable if snippet.language == "python" else "node", str(program)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=given | there,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=MOST_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, *said)
