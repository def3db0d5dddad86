"""python -m training all | data | train | export | report | smoke: from nothing to the packs in voices/."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

# What processes of its own run must not be defined here: they do not import a package's __main__ again.
from training.net import SIZES
from training.pipeline import SMOKE, VOICES, Plan, make_checkpoints, make_data, make_packs, make_reports


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Make the voices: the teacher speaks, the nets learn, the packs are written and measured.",
        epilog="Every step keeps what it finds done, so an interrupted run is simply started again.",
    )
    parser.add_argument("step", choices=["all", "data", "train", "export", "report", "smoke"])
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="data and checkpoints (default: runs)")
    parser.add_argument("--voices", type=Path, default=VOICES, help="where the packs go (default: voices)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end the training schedule after so long")
    parser.add_argument("--begin", type=Path, help="packs whose weights to begin with (default: random ones)")
    parser.add_argument("--finish", action="store_true", help="train for a last stretch what checkpoints there are")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    given = Plan(seed=options.seed, minutes=options.minutes, begin=options.begin, finish=options.finish)
    plan = SMOKE if options.step == "smoke" else given
    voices = options.folder / "voices" if options.step == "smoke" else options.voices
    if options.step in {"all", "data", "smoke"}:
        make_data(options.folder, plan)
    if options.step in {"all", "train", "smoke"}:
        make_checkpoints(options.folder, plan)
    packs = [voices / size for size in SIZES]
    if options.step in {"all", "export", "smoke"}:
        packs = make_packs(options.folder, voices, plan)
    if options.step in {"all", "report"}:
        make_reports(options.folder, packs)


if __name__ == "__main__":
    main()
