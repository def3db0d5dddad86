"""A second listener for English, which never heard the teacher: CMU PocketSphinx and its US English model (BSD).

It knows only what may be said, for an open vocabulary is beyond it even on the teacher (word errors of 90 %): one of
the evaluation's sentences; or one sentence, each word of which may be any of four that sound alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder
from scipy import signal

from training.measures import edit_distance

CHOICES: Final = 4
_RATE_HZ: Final = 16_000
_NOISE: Final = 3e-4  # −70 dB: in perfect silence the model hears nothing at all
_PAD_S: Final = 0.25


def words_of(text: str) -> list[str]:
    """Words as the model's dictionary spells them."""
    return re.findall(r"[a-z']+", text.lower())


class Sphinx:
    """Hears sentences of a closed grammar. ValueError if a word is not in the model's dictionary."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._decoder: Any = Decoder(lm=None, samprate=_RATE_HZ, loglevel="FATAL")
        self._texts = list(texts)
        vocabulary = sorted({word for text in texts for word in words_of(text)})
        sounds = {word: self._lookup(word) for word in vocabulary}
        self._alike = {word: _alike(word, sounds) for word in vocabulary}
        self._add("sentences", " | ".join(" ".join(words_of(text)) for text in texts))
        for number, text in enumerate(texts):
            self._add(f"words{number}", " ".join(f"({' | '.join(self._alike[word])})" for word in words_of(text)))

    def sentence(self, audio: NDArray[np.floating[Any]]) -> list[str]:
        """The words of whichever of all sentences this is."""
        return self._hear("sentences", audio)

    def words(self, text: str, audio: NDArray[np.floating[Any]]) -> list[str]:
        """The words of a wave that says `text`, each taken out of four."""
        return self._hear(f"words{self._texts.index(text)}", audio)

    def _lookup(self, word: str) -> list[str]:
        phones = self._decoder.lookup_word(word)
        if phones is None:
            raise ValueError(f"pocketsphinx does not know the word {word!r}; write the sentence without it")
        return str(phones).split()

    def _add(self, name: str, rule: str) -> None:
        self._decoder.add_jsgf_string(name, f"#JSGF V1.0; grammar {name}; public <said> = {rule};")

    def _hear(self, grammar: str, audio: NDArray[np.floating[Any]]) -> list[str]:
        wave = np.pad(signal.resample_poly(np.asarray(audio, np.float64), 320, 441), round(_PAD_S * _RATE_HZ))
        wave += np.random.default_rng(1).normal(0, _NOISE, len(wave))
        samples = (wave.clip(-1, 1) * 32767).astype(np.int16)
        self._decoder.activate_search(grammar)
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr).split() if hypothesis else []


def _alike(word: str, sounds: dict[str, list[str]]) -> list[str]:
    """The word and the three others that sound most like it, homophones left out."""
    others = [other for other in sounds if sounds[other] != sounds[word]]
    near = sorted(others, key=lambda other: edit_distance(sounds[word], sounds[other]) / max(1, len(sounds[other])))
    return sorted([word, *near[: CHOICES - 1]])
