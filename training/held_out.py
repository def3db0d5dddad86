"""The sentences of the evaluation: everyday text of `evaluation_texts.tsv`, as the teacher says it.

Training texts are random words (`training.corpus`), so no net has heard any of these.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.frontend.phones import PAUSES, PHONES, Phone
from inference.frontend.reading import Sentence, read
from training.data import Utterance, utterance
from training.prosody import PACE
from training.teacher import SPEAKERS, Unspeakable, speak

Answer = TypeVar("Answer")
Kind = Literal["zh", "en", "mixed"]
KINDS: Final[tuple[Kind, ...]] = ("zh", "en", "mixed")
KIND_NAMES: Final = {"zh": "Mandarin", "en": "English", "mixed": "mixed"}
TEXTS: Final = Path(__file__).with_name("evaluation_texts.tsv")
_PAUSE_IDS: Final = [PHONES.index(name) for name in PAUSES]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sentence by one speaker, with the teacher's own reading of it."""

    kind: Kind
    text: str
    words: tuple[str, ...]
    phones: tuple[Phone, ...]
    speaker: int
    teacher: Utterance
    brisk: Utterance  # the teacher at the voice's pace, to tell what the pace does


@dataclass(frozen=True, slots=True)
class HeldOut:
    """All samples, in the order of the file, every speaker in turn; and the texts the teacher could not say."""

    samples: list[Sample]
    unspeakable: list[str]


def samples(gains: dict[str, dict[Any, float]], every: int = 1) -> HeldOut:
    """Let the teacher say the texts, or every so-manieth of them. gains: `data.loudness_gains()`."""
    asked: list[tuple[Kind, Sentence, int]] = []
    for row in TEXTS.read_text(encoding="utf-8").splitlines()[::every]:
        kind, text = row.split("\t")
        assert kind in KINDS, f"{TEXTS.name}: {row!r} begins with no kind of text"
        asked += [(kind, sentence, number) for sentence in read(text).sentences for number in range(len(SPEAKERS))]
    plain, brisk = ([_said(sentence, number, gains, pace) for _, sentence, number in asked] for pace in (1.0, PACE))
    made: list[Sample] = []
    unspeakable: list[str] = []
    for (kind, sentence, number), teacher, faster in zip(asked, plain, brisk, strict=True):
        words = tuple(word.text for word in sentence.words)
        if teacher is None or faster is None:
            unspeakable.append(f"{sentence.text} ({SPEAKERS[number].name})")
        else:
            made.append(Sample(kind, sentence.text, words, sentence.phones, number, teacher, faster))
    return HeldOut(made, unspeakable)


def _said(sentence: Sentence, number: int, gains: dict[str, dict[Any, float]], pace: float) -> Utterance | None:
    """By the speaker of that number, its Mandarin so many times as fast; None if the teacher cannot say it."""
    speaker = SPEAKERS[number]
    try:
        spoken = speak(sentence.phones, replace(speaker, gain_db=gains[speaker.name]).at(pace))
    except Unspeakable:
        return None
    return utterance(sentence.phones, number, spoken, plain=True, number=-1)


def in_a_fresh_process(function: Callable[..., Answer], *arguments: object) -> Answer:
    """function(*arguments), with a teacher that has said nothing yet.

    espeak's noise goes on from what it said before (a sentence said twice differs a little in every sample), so only
    that makes what it says here the same each time, whatever was measured before.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def in_speech(ids: NDArray[np.int64], durations: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Frames that are no pause, (T,)."""
    return np.repeat(~np.isin(ids[:, 0], _PAUSE_IDS), durations)
