"""The teacher speaks our phones: espeak-ng driven by mnemonics made from the phone table, so that every label is ours.

Each run of one language is spoken by that language's rules and the runs are joined; pauses are cut out and replaced by
silence of our own length, so that a mark of punctuation always lasts the same. Boundaries come from espeak's own
events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from inference.frontend.phones import FINALS, INITIALS, RHOTIC, Phone, Position, Tone, is_pause
from training.espeak import SAMPLE_RATE_HZ, Espeak, Event

Language = Literal["zh", "en"]

PAUSE_S: Final = {
    "^": 0.05, ",": 0.22, "、": 0.13, ";": 0.28, ":": 0.24, "-": 0.20, "…": 0.34, ".": 0.12, "?": 0.12, "!": 0.12,
}  # fmt: skip
"""Length of the silence a mark makes. Closing marks are short: what follows a sentence is the caller's to decide."""

_ZH_VOICE, _EN_VOICE = "cmn-latn-pinyin", "en-us"


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker of the net: an espeak variant with its settings, and the gain that makes both languages equally
    loud.
    """

    name: str
    gender: Literal["female", "male"]
    variant: str
    pitch: dict[Language, int]
    pitch_range: dict[Language, int]
    words_per_minute: dict[Language, int]
    gain_db: dict[Language, float] = field(default_factory=dict)
    description: str = ""

    def at(self, mandarin_pace: float) -> Speaker:
        """The same, who speaks Mandarin so many times as fast."""
        faster: dict[Language, int] = {"zh": round(mandarin_pace * self.words_per_minute["zh"])}
        return replace(self, words_per_minute=self.words_per_minute | faster)


# Pitch: who speaks both languages is lower in English (Lee and Sidtis 2017, doi:10.1080/2050571X.2016.1273572); at one
# figure for both, espeak's woman was four semitones higher in it, and a mixed sentence leapt.
SPEAKERS: Final = (
    Speaker("female", "female", "Annie", {"zh": 46, "en": 16}, {"zh": 62, "en": 40}, {"zh": 165, "en": 165},
            description="a bright, clear woman's voice, the same in Mandarin and English"),
    Speaker("male", "male", "max", {"zh": 62, "en": 56}, {"zh": 68, "en": 50}, {"zh": 165, "en": 165},
            description="a calm, low man's voice, the same in Mandarin and English"),
)  # fmt: skip


class Unspeakable(ValueError):
    """espeak said something else than the phones asked for; the sentence is left out of the data."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the teacher said: audio (S,) float32 and the first sample of each phone, with S at the end: (N + 1,)."""

    audio: NDArray[np.float32]
    bounds: NDArray[np.int64]


_ZH_INITIAL: Final = {
    "b": "p", "p": "ph", "m": "m", "f": "f", "d": "t", "t": "th", "n": "n", "l": "l", "g": "k", "k": "kh", "h": "X",
    "j": "tS;", "q": "tS;h", "x": "S;", "zh": "ts.", "ch": "ts.h", "sh": "s.", "r": "z.", "z": "ts", "c": "tsh",
    "s": "s", "y": "j", "w": "w",
}  # fmt: skip
# nucleus and coda; the tone goes between
_ZH_FINAL: Final = {
    "a": ("A", ""), "o": ("o", ""), "e": ("o-", ""), "eh": ("E", ""), "ai": ("ai", ""), "ei": ("ei", ""), "ao": ("Au",
    ""), "ou": ("ou", ""), "an": ("a", "n"), "en": ("@", "n"), "ang": ("A", "N"), "eng": ("@", "N"), "ong": ("ong", ""),
    "er": ("@r", ""), "i": ("i", ""), "ia": ("iA", ""), "io": ("io", ""), "ie": ("iE", ""), "iai": ("iai", ""),
    "iao": ("j|Au", ""), "iou": ("iou", ""), "ian": ("iE", "n"), "in": ("i", "n"), "iang": ("iA", "N"), "ing": ("i",
    "N"), "iong": ("j|ong", ""), "u": ("u", ""), "ua": ("w|A", ""), "uo": ("uo", ""), "uai": ("uai", ""), "uei":
    ("uei", ""), "uan": ("ua", "n"), "uen": ("u@", "n"), "uang": ("w|A", "N"), "ueng": ("u@", "N"), "v": ("y", ""),
    "ve": ("yE", ""), "van": ("y&", "n"), "vn": ("y@", "n"), "ih": ("i.", ""), "iz": ("i[", ""), "mm": ("m", ""),
    "ng": ("N-", ""),
}  # fmt: skip
_AFTER_GLIDE: Final = {
    "iao": ("Au", ""), "iong": ("ong", ""), "ua": ("A", ""), "uo": ("o", ""), "uai": ("ai", ""), "uei": ("ei", ""),
    "uan": ("a", "n"), "uang": ("A", "N"), "iai": ("ai", ""),
}  # fmt: skip
# What erhua makes of a final: codas -n and -i are lost, high vowels gain a schwa (Duanmu, The Phonology of Standard
# Chinese, 2nd ed., ch. 9).
_ZH_RHOTIC: Final = {
    "ai": "A", "an": "A", "ei": "@", "en": "@", "i": "i@", "in": "i@", "ing": "i@", "ih": "@", "iz": "@", "ian": "iA",
    "iai": "iA", "uai": "w|A", "uan": "w|A", "uei": "u@", "uen": "u@", "v": "y@", "vn": "y@", "van": "y&", "ang": "A",
    "iang": "iA", "uang": "w|A", "eng": "@", "ong": "o", "iong": "j|o",
}  # fmt: skip
_ZH_TONE: Final = {Tone.T1: "55", Tone.T2: "35", Tone.T3: "214", Tone.T4: "51"}

_EN: Final = {
    "AA": "A:", "AE": "a", "AH": "V", "AO": "O:", "AW": "aU", "AY": "aI", "EH": "E", "ER": "3:", "EY": "eI", "IH": "I",
    "IY": "i:", "OW": "oU", "OY": "OI", "UH": "U", "UW": "u:", "EL": "@L", "EM": "@m", "EN": "n-", "B": "b", "CH": "tS",
    "D": "d", "DH": "D", "F": "f", "G": "g", "HH": "h", "JH": "dZ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "N",
    "P": "p", "R": "r", "S": "s", "SH": "S", "T": "t", "TH": "T", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "Z",
}  # fmt: skip
_EN_UNSTRESSED: Final = {"AH": "@", "ER": "3", "IH": "I2", "IY": "i"}
_EN_VOWEL_R: Final = {"AA": "A@", "AO": "O@", "EH": "e@", "IH": "i@3", "IY": "i@3", "UH": "U@"}
# Two vowels that espeak speaks as one phoneme when the second is unstressed (video, fire, reliable).
_EN_VOWEL_PAIR: Final = {
    ("IY", "AH"): "i@",
    ("AY", "ER"): "aI3",
    ("AY", "AH"): "aI@",
    ("AW", "ER"): "aU3",
    ("AW", "AH"): "aU@",
}
_EN_STRESS: Final = {Tone.PRIMARY: "'", Tone.SECONDARY: ","}


@cache
def espeak() -> Espeak:
    """The one espeak of this process."""
    return Espeak()


def language_of(phone: Phone) -> Language:
    """Mandarin phones are lower case, English ones upper case."""
    return "en" if phone.name.isupper() else "zh"


def speak(
    phones: Sequence[Phone], speaker: Speaker, *, rate: float = 1.0, pitch: int = 0, pitch_range: int = 0
) -> Spoken:
    """Let the teacher say a sentence. rate 1.0 is the speaker's own; pitch and pitch_range shift espeak's scales.

    Raises Unspeakable when espeak's phonemes do not fit the phones.
    """
    audio: list[NDArray[np.float32]] = []
    lengths = np.zeros(len(phones), np.int64)
    for is_silence, group in groupby(enumerate(phones), key=lambda item: is_pause(item[1].name)):
        span = list(group)
        if is_silence:
            for index, phone in span:
                lengths[index] = round(PAUSE_S[phone.name] * SAMPLE_RATE_HZ)
                audio.append(np.zeros(lengths[index], np.float32))
            continue
        runs = [list(run) for _, run in groupby(span, key=lambda item: language_of(item[1]))]
        mark = phones[span[-1][0] + 1].name if span[-1][0] + 1 < len(phones) else "."
        for number, run in enumerate(runs):
            last = number == len(runs) - 1
            spoken = _speak_run([phone for _, phone in run], speaker, rate, pitch, pitch_range, mark if last else None)
            lengths[[index for index, _ in run]] = np.diff(spoken.bounds)
            audio.append(spoken.audio)
    joined = np.concatenate(audio)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    _fade_before_pauses(joined, phones, bounds)
    return Spoken(joined, bounds)


def _fade_before_pauses(joined: NDArray[np.float32], phones: Sequence[Phone], bounds: NDArray[np.int64]) -> None:
    """Fade the last milliseconds of speech before a pause, so that cutting the teacher's pause leaves no step."""
    fade = round(0.004 * SAMPLE_RATE_HZ)
    ramp = np.linspace(1.0, 0.0, fade, dtype=np.float32)
    for index, phone in enumerate(phones):
        start = int(bounds[index])
        if is_pause(phone.name) and start >= fade:
            joined[start - fade : start] *= ramp


def _speak_run(
    phones: list[Phone], speaker: Speaker, rate: float, pitch: int, pitch_range: int, mark: str | None
) -> Spoken:
    """Speak phones of one language. mark is the pause that follows; None means that speech goes on after the run."""
    language = language_of(phones[0])
    words = _mandarin(phones) if language == "zh" else _english(phones)
    text = " ".join("".join(mnemonic for _, mnemonics in word for mnemonic in mnemonics) for word in words)
    # A run that speech follows is spoken with one syllable more, which is cut off: else it would end like a sentence.
    text = f"[[{text}]]{_espeak_mark(mark)}" if mark else f"[[{text} {'m@' if language == 'zh' else '%@'}]]"
    samples, events = espeak().speak(
        text,
        f"{_ZH_VOICE if language == 'zh' else _EN_VOICE}+{speaker.variant}",
        words_per_minute=round(speaker.words_per_minute[language] * rate),
        pitch=min(99, max(0, speaker.pitch[language] + pitch)),
        pitch_range=min(99, max(0, speaker.pitch_range[language] + pitch_range)),
    )
    starts, end = (
        _align_mandarin(words, events) if language == "zh" else _align_english(words, events, at_pause=bool(mark))
    )
    bounds = _part_merged(np.array([*starts, end], np.int64))
    if np.any(np.diff(bounds) <= 0) or len(starts) != len(phones) or end > len(samples):
        raise Unspeakable("phoneme times do not rise")
    gain = np.float32(10.0 ** (speaker.gain_db.get(language, 0.0) / 20.0))
    return Spoken(samples[bounds[0] : bounds[-1]] * gain, bounds - bounds[0])


def _part_merged(bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """An l after a vowel is often spoken within the vowel, its event at the vowel's end: it takes the last third."""
    parted = bounds.copy()
    for index in range(1, len(bounds) - 1):
        if bounds[index] == bounds[index + 1]:
            parted[index] -= (bounds[index] - parted[index - 1]) // 3
    return parted


def _espeak_mark(mark: str) -> str:
    return {"、": ",", "…": ".", "-": ",", "^": "."}.get(mark, mark)


Labelled = tuple[int, tuple[str, ...]]  # number of phones covered, mnemonics


def _mandarin(phones: list[Phone]) -> list[list[Labelled]]:
    """Syllables, each a list of (phones covered, mnemonics)."""
    syllables: list[list[Phone]] = []
    for index, phone in enumerate(phones):
        previous = phones[index - 1].name if index else ""
        if phone.name in INITIALS or (phone.name in FINALS and previous not in INITIALS) or not syllables:
            syllables.append([])
        syllables[-1].append(phone)
    return [_mandarin_syllable(syllable) for syllable in syllables]


def _mandarin_syllable(syllable: list[Phone]) -> list[Labelled]:
    names = [phone.name for phone in syllable]
    initial = names[0] if names[0] in INITIALS else ""
    final = names[1] if initial else names[0]
    tone = syllable[0].tone
    nucleus, coda = _ZH_FINAL[final]
    if initial in {"y", "w"}:
        nucleus, coda = _AFTER_GLIDE.get(final, (nucleus, coda))
    if RHOTIC in names:
        nucleus, coda = _ZH_RHOTIC.get(final, nucleus), ""
        if initial in {"y", "w"} and "|" in nucleus:
            nucleus = nucleus.split("|")[1]
    elif final == "e" and tone is Tone.T5:
        nucleus = "@"
    glide, _, vowel = nucleus.rpartition("|")
    stress = "'" if tone in _ZH_TONE else ""
    labelled: list[Labelled] = [(1, (_ZH_INITIAL[initial],))] if initial else []
    labelled.append((1, (glide, stress, vowel, _ZH_TONE.get(tone, ""), coda)))
    if RHOTIC in names:
        labelled.append((1, ("r",)))
    return labelled


def _align_mandarin(words: list[list[Labelled]], events: list[Event]) -> tuple[list[int], int]:
    """First sample of every phone, and the end. Each syllable ends with espeak's `_|`, which belongs to its last
    phone.
    """
    syllables: list[list[Event]] = [[]]
    ends: list[int] = []
    for event in events:
        if event.name == "_|":
            syllables.append([])
            ends.append(event.sample)
        elif not event.name.startswith(("_", "(")):
            syllables[-1].append(event)
    spoken = [syllable for syllable in syllables if syllable]
    if len(spoken) < len(words):
        raise Unspeakable(f"{len(words)} syllables asked, {len(spoken)} spoken")
    starts: list[int] = []
    for word, events_of_syllable in zip(words, spoken, strict=False):
        syllable = events_of_syllable
        has_initial = len(word) > 1 and word[0][1][0] in _ZH_INITIAL_MNEMONICS
        rhotic = word[-1][1] == ("r",)
        if rhotic and syllable[-1].name == "@r" and len(syllable) < len(word):
            stop = next(end for end in ends if end > syllable[-1].sample)
            syllable = [*syllable, Event("r", (syllable[-1].sample + stop) // 2)]
        if len(syllable) < len(word) or (has_initial and syllable[0].name != word[0][1][0]):
            raise Unspeakable(f"asked {word}, spoken {[event.name for event in syllable]}")
        starts.append(syllable[0].sample)
        if has_initial:
            starts.append(syllable[1].sample)
        if rhotic:
            starts.append(syllable[-1].sample)
    end = spoken[len(words)][0].sample if len(spoken) > len(words) else _end_of(events)
    return starts, end


_ZH_INITIAL_MNEMONICS: Final = frozenset(_ZH_INITIAL.values())


def _end_of(events: list[Event]) -> int:
    """Where speech ends: the first pause after the last phoneme."""
    last = max(index for index, event in enumerate(events) if not event.name.startswith(("_", "(")))
    return next(event.sample for event in events[last + 1 :] if event.name.startswith("_"))


def _english(phones: list[Phone]) -> list[list[Labelled]]:
    """Words, each a list of (phones covered, mnemonics). A vowel and its r are one mnemonic of espeak's."""
    words: list[list[Phone]] = []
    for phone in phones:
        if phone.position in {Position.BEGIN, Position.SINGLE} or not words:
            words.append([])
        words[-1].append(phone)
    return [_english_word(word) for word in words]


def _english_word(word: list[Phone]) -> list[Labelled]:
    labelled: list[Labelled] = []
    index = 0
    while index < len(word):
        phone = word[index]
        after = word[index + 1].name if index + 1 < len(word) else ""
        beyond = word[index + 2] if index + 2 < len(word) else None
        stress = _EN_STRESS.get(phone.tone, "")
        r_ends = beyond is None or beyond.name not in _EN_VOWELS
        if phone.name in _EN_VOWEL_R and after == "R" and r_ends:
            labelled.append((2, (stress, _EN_VOWEL_R[phone.name])))
            index += 2
            continue
        pair = _EN_VOWEL_PAIR.get((phone.name, after))
        if pair and word[index + 1].tone is Tone.UNSTRESSED and (phone.name != "IY" or not stress):
            labelled.append((2, (stress, pair)))
            index += 2
            continue
        plain = _EN_UNSTRESSED.get(phone.name) if phone.tone is Tone.UNSTRESSED else None
        labelled.append((1, (stress, plain or _EN[phone.name])))
        index += 1
    return labelled


_EN_VOWELS: Final = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW EL EM EN".split())


def _align_english(words: list[list[Labelled]], events: list[Event], *, at_pause: bool) -> tuple[list[int], int]:
    """First sample of every phone, and the end. Names may change in context (t → t#), so the shortest edit is taken."""
    asked = [item for word in words for item in word]
    spoken = [event for event in events if not event.name.startswith(("_", "("))]
    names = [item[1][-1] for item in asked] + ([] if at_pause else ["@"])
    chosen = _shortest_edit(names, [event.name for event in spoken])
    starts: list[int] = []
    times = [event.sample for event in spoken] + [_end_of(events)]
    for number, (count, _) in enumerate(asked):
        start = times[chosen[number]]
        starts.append(start)
        if count == 2:  # two phones in one of espeak's: the second takes the last 40 %
            stop = times[chosen[number + 1]] if number + 1 < len(chosen) else times[-1]
            starts.append(start + round(0.6 * (stop - start)))
    return starts, times[chosen[len(asked)]] if not at_pause else times[-1]


def _shortest_edit(asked: list[str], spoken: list[str]) -> list[int]:
    """For each asked mnemonic the spoken event that begins it. Extra events join the one before; none may be lost."""
    rows, columns = len(asked), len(spoken)
    if columns < rows:
        raise Unspeakable(f"asked {asked}, spoken {spoken}")
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0.0
    for row in range(1, rows + 1):
        for column in range(row, columns + 1):
            same = _distance(asked[row - 1], spoken[column - 1])
            cost[row, column] = min(cost[row - 1, column - 1] + same, cost[row, column - 1] + 0.6)
    if cost[rows, columns] > 0.15 * rows + 1.5:
        raise Unspeakable(f"asked {asked}, spoken {spoken}")
    chosen: list[int] = []
    row, column = rows, columns
    while row:
        if cost[row, column] == cost[row - 1, column - 1] + _distance(asked[row - 1], spoken[column - 1]):
            row, column = row - 1, column - 1
            chosen.append(column)
        else:
            column -= 1
    return chosen[::-1]


def _distance(asked: str, spoken: str) -> float:
    if asked == spoken:
        return 0.0
    return 0.2 if asked.rstrip("-#:2") == spoken.rstrip("-#:2") else 0.9 if asked[0] == spoken[0] else 1.2
