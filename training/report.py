"""Measures a pack against the teacher and writes its REPORT.md: the figures with their goals, then how they came about.

What is judged is what ships: the int8 graphs through `inference.voice`. The torch net of the checkpoint stands in where
the teacher's durations and pitch must be given, which no pack can do, and for the comparison with full precision.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch
from tqdm import tqdm

from inference.voice import Voice
from training import data, held_out, recogniser, sound, speech, tones, understanding
from training.chapter import Chapter, Subject, section, table
from training.espeak import SAMPLE_RATE_HZ
from training.export import load_checkpoint
from training.held_out import KIND_NAMES, KINDS, Sample
from training.pictures import Panel, draw
from training.teacher import SPEAKERS

_LISTENERS: Final = (1, 2, 3)
_PICTURE: Final = "spectrograms.png"
_PICTURED: Final = (("zh", "male"), ("en", "female"), ("mixed", "female"))


def report(pack: Path, checkpoint: Path, folder: Path, *, every: int = 1) -> dict[str, float]:
    """Write REPORT.md and its picture into `pack`; returns the numbers by name. `folder` keeps the recognisers.

    About a quarter of an hour on one core, most of it the recognisers, once. `every` > 1 looks at fewer sentences.
    """
    torch.set_num_threads(1)
    stages = tqdm(total=11, desc=f"report on {pack.name}", unit="stage")

    def stage(name: str) -> None:
        stages.set_postfix_str(name)
        stages.update()

    stage("speed")
    chapters = [sound.speed(pack, every)]
    stage("held-out sentences")
    gains = held_out.in_a_fresh_process(data.loudness_gains)
    held = held_out.in_a_fresh_process(held_out.samples, gains, every)
    subject = _subject(pack, checkpoint, held.samples)
    stage("recogniser")
    listeners = [recogniser.recogniser(folder, gains, seed) for seed in _LISTENERS]
    stage("readers of tones")
    lessons = held_out.in_a_fresh_process(recogniser.sentences, gains)
    syllables = tones.syllables_of(understanding.curve_of(one) for one in lessons)
    readers = [tones.build(syllables, seed=seed) for seed in _LISTENERS]
    measurements: list[tuple[str, Callable[[], Chapter]]] = [
        ("spectra", lambda: sound.spectra(subject)),
        ("pitch and durations", lambda: understanding.prosody(subject)),
        ("tones", lambda: understanding.tones(subject, readers)),
        ("phones", lambda: understanding.phones(subject, listeners)),
        ("pocketsphinx", lambda: understanding.sphinx(subject)),
        ("waves", lambda: sound.waves(subject)),
        ("files and precision", lambda: sound.precision(subject)),
    ]
    for name, measure in measurements:
        stage(name)
        chapters.append(measure())
    _draw(subject)
    (pack / "REPORT.md").write_text(_document(subject, held, chapters), encoding="utf-8")
    stages.close()
    return {name: value for chapter in chapters for name, value in chapter.numbers.items()}


def _subject(pack: Path, checkpoint: Path, samples: list[Sample]) -> Subject:
    voice = Voice.load(pack)
    spoken = [voice.speak(one.phones, speaker=SPEAKERS[one.speaker].name) for one in samples]
    return Subject(
        pack,
        samples,
        [one.teacher.wave for one in samples],
        [speech.Said(one.audio, one.durations) for one in spoken],
        load_checkpoint(checkpoint),
    )


def _draw(subject: Subject) -> None:
    pairs = []
    for kind, name in _PICTURED:
        number = next(
            number
            for number, one in enumerate(subject.samples)
            if one.kind == kind
            and SPEAKERS[one.speaker].name == name
            and len(subject.teacher[number]) > 2.5 * SAMPLE_RATE_HZ
        )
        one = subject.samples[number]
        gender = SPEAKERS[one.speaker].gender
        pairs.append(
            (
                Panel(f"teacher: {KIND_NAMES[kind]}, {name}", subject.teacher[number], gender),
                Panel(f"voice: {KIND_NAMES[kind]}, {name}", subject.voice[number].audio, gender),
            )
        )
    draw(pairs, subject.pack / _PICTURE)


def _document(subject: Subject, held: held_out.HeldOut, chapters: list[Chapter]) -> str:
    manifest = json.loads((subject.pack / "voice.json").read_text(encoding="utf-8"))
    figures = [figure for chapter in chapters for figure in chapter.figures]
    first = table(
        ["figure", "goal", "measured", "met?"],
        [[one.name, one.goal, one.measured, "yes" if one.is_met else "**no**"] for one in figures],
    )
    counts = ", ".join(f"{sum(one.kind == kind for one in subject.samples)} {KIND_NAMES[kind]}" for kind in KINDS)
    lost = f" The teacher could not say: {'; '.join(held.unspeakable)}." if held.unspeakable else ""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("onnxruntime", "torch", "numpy", "pyworld", "pyloudnorm")
    )
    training = "\n".join(f"- {name}: {_plainly(value)}" for name, value in manifest.get("training", {}).items())
    head = (
        f"# The voice `{subject.pack.name}`, measured\n\n"
        "Made by `python -m training report`; do not edit.\n\n"
        f"{sum(one.is_met for one in figures)} of {len(figures)} goals are met.\n\n{first}\n\n"
        f"Sentences: `training/{held_out.TEXTS.name}`, everyday text that no voice was trained on (training texts are "
        f"random words), {counts}; {' and '.join(speaker.name for speaker in SPEAKERS)} each say all of them.{lost} "
        f"The teacher is espeak-ng, driven by the same phones.\n\n"
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {_cpu_name()}, Python {platform.python_version()}, "
        f"{versions}.\n\n"
        f"![Spectrograms of the teacher above the voice's]({_PICTURE})\n\n"
        f"Above the teacher, below the voice with its own durations and pitch; the white line is the pitch read back "
        f"from the audio. From left: {'; '.join(_caption(subject, kind, name) for kind, name in _PICTURED)}.\n"
    )
    return head + "\n" + "\n".join(chapter.text for chapter in chapters) + section("Training record", training)


def _caption(subject: Subject, kind: str, name: str) -> str:
    return next(
        one.text
        for one, wave in zip(subject.samples, subject.teacher, strict=True)
        if one.kind == kind and SPEAKERS[one.speaker].name == name and len(wave) > 2.5 * SAMPLE_RATE_HZ
    )


def _plainly(value: object) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def _cpu_name() -> str:
    try:
        rows = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((row.partition(":")[2].strip() for row in rows if row.startswith("model name")), platform.machine())
