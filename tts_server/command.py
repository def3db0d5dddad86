"""What all commands have in common: how they are refused, and what several of them take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


class UsageError(Exception):
    """The command was asked for wrongly; the message says how to ask."""


class Failure(Exception):
    """The command was right and still did not work; the message says why."""


def checked(make: Callable[[], T]) -> T:
    """What `make` returns; its ValueError is the user's to mend."""
    try:
        return make()
    except ValueError as error:
        raise UsageError(str(error)) from error


def check_output(output: Path) -> None:
    """UsageError if a file cannot be written there: told before the work is done, not after it."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}; make it first")


def add_pack(parser: argparse.ArgumentParser) -> None:
    """The flags that name a voice pack; `find_pack` understands them."""
    parser.add_argument("--pack", default="standard", help="name or folder of a voice pack (default: %(default)s)")
    add_voices_dir(parser)


def add_voices_dir(parser: argparse.ArgumentParser) -> None:
    """The flag that says where packs are."""
    parser.add_argument("--voices-dir", type=Path, metavar="DIR", help="where packs are (default: those shipped)")


def find_pack(args: argparse.Namespace) -> Path:
    """The folder of the pack that was asked for; UsageError, with those there are, if it is none of them."""
    from inference.pack import VOICES, find_packs

    folder = args.voices_dir or VOICES
    if os.sep in args.pack or args.pack in {".", ".."}:
        return Path(args.pack)
    packs = find_packs(folder)
    for pack in packs:
        if pack.name == args.pack:
            return pack
    known = ", ".join(pack.name for pack in packs) or "none"
    raise UsageError(f"there is no voice pack {args.pack!r} in {folder}; there are: {known}")
