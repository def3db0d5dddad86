"""The steps from nothing to the packs in voices/. Every step keeps what it finds done."""

from __future__ import annotations

import json
import math
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from training import data
from training.export import Record, export, load_checkpoint
from training.train import train

VOICES: Final = Path(__file__).resolve().parent.parent / "voices"
HELD_OUT: Final = 5_000_000  # number of the first sentence that is never trained on
_VALIDATION, _CALIBRATION = 16, 80  # sentences


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is made. The full plan takes two CPU cores about two hours; the smoke plan a minute."""

    sentences: int = 5000  # said by every speaker: about ten hours of speech
    held_out: int = 40
    steps: tuple[tuple[str, int], ...] = (("standard", 17_000), ("light", 16_000))
    seed: int = 1
    minutes: float = math.inf
    begin: Path | None = None
    finish: bool = False


SMOKE: Final = Plan(sentences=8, held_out=4, steps=(("light", 6),))


def make_data(folder: Path, plan: Plan) -> None:
    """The teacher's sentences; what exists already is kept."""
    data.make(folder / "data" / "held_out", plan.held_out, first=HELD_OUT)
    data.make(folder / "data" / "train", plan.sentences)


def make_checkpoints(folder: Path, plan: Plan) -> None:
    """All sizes at once, a process each: small nets gain little from a second thread."""
    with ProcessPoolExecutor(len(plan.steps), mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(_train_one, folder, plan, size, steps) for size, steps in plan.steps]:
            future.result()


def _train_one(folder: Path, plan: Plan, size: str, steps: int) -> None:
    held_out = [one for one in data.load((folder / "data" / "held_out").glob("*.npz")) if one.plain]
    train(
        size,
        data.load((folder / "data" / "train").glob("*.npz")),
        held_out[:_VALIDATION],
        folder / "checkpoints",
        steps=steps,
        seed=plan.seed,
        minutes=plan.minutes,
        pack=plan.begin / size if plan.begin else None,
        finish=plan.finish,
    )


def make_packs(folder: Path, voices: Path, plan: Plan) -> list[Path]:
    """Export every checkpoint as an int8 pack."""
    calibration = data.load((folder / "data" / "held_out").glob("*.npz"))[:_CALIBRATION]
    packs = []
    for size, _ in plan.steps:
        records = [json.loads(row) for row in (folder / "checkpoints" / f"{size}.jsonl").read_text().splitlines()]
        last = records[-1]
        losses = {name: last[name] for name in ("spectral", "mel", "duration", "pitch", "voicing", "validation_mel")}
        begun_with = _commit_of(plan.begin / size) if plan.begin else ""
        record = Record(_commit(), plan.seed, last["minutes"] / 60, last["step"], losses, begun_with)
        packs.append(export(load_checkpoint(folder / "checkpoints" / f"{size}.pt"), voices / size, record, calibration))
    return packs


def make_reports(folder: Path, packs: list[Path]) -> None:
    """Measure every pack and write its REPORT.md."""
    from training.report import report  # matplotlib and the recogniser are needed here alone

    for pack in packs:
        report(pack, folder / "checkpoints" / f"{pack.name}.pt", folder / "report")


def _commit_of(pack: Path) -> str:
    return str(json.loads((pack / "voice.json").read_text(encoding="utf-8"))["training"]["commit"])


def _commit() -> str:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=VOICES.parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
