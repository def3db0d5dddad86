"""Play a file through whatever player the machine has."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PLAYERS: Final = (
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("afplay",),
    ("play", "-q"),
)


class PlayError(Exception):
    """There is a player, but none played."""


def find_players() -> list[tuple[str, ...]]:
    """The players on the path, with their arguments; the likeliest first."""
    return [player for player in PLAYERS if shutil.which(player[0])]


def play(players: Sequence[tuple[str, ...]], file: Path) -> None:
    """Play `file` to its end by the first of `players` that can: one may be there without what it plays to."""
    reasons = []
    for player in players:
        result = subprocess.run([*player, str(file)], check=False, capture_output=True, text=True, errors="replace")
        if result.returncode == 0:
            return
        said = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        reasons.append(f"{player[0]}: {said[-1]}")  # the last line; ALSA explains itself at length before it
    raise PlayError(f"no player could play ({'; '.join(reasons)})")
