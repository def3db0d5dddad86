"""The phone table: every sound a voice of ours can be asked for, in both languages, with its id.

The table is frozen. A voice is trained on ids, so changing, removing or reordering an entry breaks every pack;
`TABLE_VERSION` says which table a pack was trained with, and a pack of another version is refused. New phones may
only be added at the end of `PHONES`, with a new minor version.

A sound is five small numbers (`Phone`): which phone, its tone or stress, its place in the word, the break that follows
its syllable, and nothing else. Mandarin phones are lower case (pinyin initials and finals), English ones are upper case
(ARPAbet, as in CMUdict), pauses are their punctuation mark. One id space, so that a sentence may mix them freely.

Mandarin
    syllable = [initial] final [rr]      zhuang1 → zh uang · yan2 → y ian · wan2 → w uan · yu3 → y v · er2 → er
    zhi chi shi ri → ih;  zi ci si → iz;  ü is v (lüe4 → l ve, ju1 → j v)
    erhua keeps the underlying final and adds `rr`: 玩儿 → w uan rr, 花儿 → h ua rr
    syllabic consonants: 呣 m2 → mm, 嗯 n2/ng2 → ng, 哼 hng5 → h ng, 噷 hm5 → h mm
English
    ARPAbet without its digit; the digit is the phone's tone. Word-final AH0 + L/M/N after a consonant is the syllabic
    EL EM EN (bottle, rhythm, button). r-coloured vowels are ER, or a vowel followed by R.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

TABLE_VERSION: Final = "1.0"

PAD: Final = "_"  # id 0, in padded batches only
EDGE: Final = "^"  # silence before a sentence; it ends with the pause of its closing mark

PAUSES: Final = (EDGE, ",", "、", ";", ":", ".", "?", "!", "…", "-")
"""Pauses by punctuation. `-` is a dash or a bracket's edge; a pause also says what kind of clause it closes."""

INITIALS: Final = tuple("b p m f d t n l g k h j q x zh ch sh r z c s y w".split())
FINALS: Final = tuple(
    "a o e eh ai ei ao ou an en ang eng ong er "
    "i ia io ie iai iao iou ian in iang ing iong "
    "u ua uo uai uei uan uen uang ueng "
    "v ve van vn ih iz mm ng".split()
)
RHOTIC: Final = "rr"  # the erhua coda
ENGLISH_VOWELS: Final = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW EL EM EN".split())
ENGLISH_CONSONANTS: Final = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())

PHONES: Final = (PAD, *PAUSES, *INITIALS, *FINALS, RHOTIC, *ENGLISH_VOWELS, *ENGLISH_CONSONANTS)
PHONE_IDS: Final = {phone: number for number, phone in enumerate(PHONES)}

_VOICELESS_ENGLISH: Final = frozenset("CH F HH K P S SH T TH".split())


class Tone(IntEnum):
    """Mandarin tone or English stress; pauses have none, Mandarin initials carry their syllable's tone."""

    NONE = 0
    T1 = 1
    T2 = 2
    T3 = 3
    T4 = 4
    T5 = 5  # neutral
    UNSTRESSED = 6  # ARPAbet digit 0, and every English consonant
    PRIMARY = 7  # ARPAbet digit 1
    SECONDARY = 8  # ARPAbet digit 2


class Position(IntEnum):
    """Where the phone's syllable (Mandarin) or the phone itself (English) stands in its word."""

    NONE = 0
    BEGIN = 1
    MIDDLE = 2
    END = 3
    SINGLE = 4


class Break(IntEnum):
    """The boundary that follows. A phone carries that of its word if it is in the word's last syllable, else NONE."""

    NONE = 0
    WORD = 1
    PHRASE = 2
    CLAUSE = 3
    SENTENCE = 4


@dataclass(frozen=True, slots=True)
class Phone:
    """One sound with all that the voice is told about it."""

    name: str
    tone: Tone = Tone.NONE
    position: Position = Position.NONE
    break_: Break = Break.NONE

    @property
    def ids(self) -> tuple[int, int, int, int]:
        """(phone, tone, position, break), the four integers a voice's graph reads."""
        return PHONE_IDS[self.name], int(self.tone), int(self.position), int(self.break_)


def is_pause(name: str) -> bool:
    """Whether the phone is silence rather than speech."""
    return name in PAUSES


def split_syllable(pinyin: str) -> tuple[list[str], Tone]:
    """Cut one pinyin syllable with its tone digit into phones: `zhuang1` → `(["zh", "uang"], T1)`.

    Takes ü as `ü`, `v` or `u:`; erhua as a trailing r (`wanr2`). Raises ValueError with the syllable if it is not one.
    """
    text = pinyin.strip().lower().replace("u:", "v").replace("ü", "v").replace("ê", "eh")
    tone = Tone(int(text[-1])) if text[-1:] in {"1", "2", "3", "4", "5"} else Tone.T5
    body = text.rstrip("012345")
    rhotic = body.endswith("r") and body not in {"er", "r"}
    phones = _split_body(body[:-1] if rhotic else body)
    if phones is None:
        raise ValueError(f"not a pinyin syllable: {pinyin!r}")
    return [*phones, RHOTIC] if rhotic else phones, tone


_SYLLABIC: Final = {"m": ["mm"], "n": ["ng"], "ng": ["ng"], "hm": ["h", "mm"], "hng": ["h", "ng"]}
_AFTER_Y: Final = {
    "a": "ia", "ai": "iai", "an": "ian", "ang": "iang", "ao": "iao", "e": "ie", "i": "i", "in": "in", "ing": "ing",
    "o": "io", "ong": "iong", "ou": "iou", "u": "v", "v": "v", "uan": "van", "van": "van", "ue": "ve", "ve": "ve",
    "un": "vn", "vn": "vn",
}  # fmt: skip
_AFTER_W: Final = {
    "a": "ua", "ai": "uai", "an": "uan", "ang": "uang", "ei": "uei", "en": "uen", "eng": "ueng", "o": "uo", "u": "u",
    "ong": "ueng",
}  # fmt: skip
_SHORT: Final = {"iu": "iou", "ui": "uei", "un": "uen", "ue": "ve"}
_BY_LENGTH: Final = tuple(sorted(INITIALS, key=len, reverse=True))


def _split_body(body: str) -> list[str] | None:
    if body in _SYLLABIC:
        return list(_SYLLABIC[body])
    if body in {"a", "o", "e", "eh", "ai", "ei", "ao", "ou", "an", "en", "ang", "eng", "er"}:
        return [body]
    initial = next((i for i in _BY_LENGTH if body.startswith(i)), None)
    if initial is None:
        return None
    rest = body[len(initial) :]
    if initial == "y":
        final = _AFTER_Y.get(rest)
    elif initial == "w":
        final = _AFTER_W.get(rest)
    elif rest == "i" and initial in {"zh", "ch", "sh", "r"}:
        final = "ih"
    elif rest == "i" and initial in {"z", "c", "s"}:
        final = "iz"
    elif initial in {"j", "q", "x"} and rest.startswith(("u", "v")):
        final = {"u": "v", "un": "vn", "uan": "van", "ue": "ve"}.get(rest.replace("v", "u", 1))
    else:
        final = _SHORT.get(rest, rest)
    return [initial, final] if final in FINALS and final not in {"mm", "ng", "er"} else None


def is_voiceless_english(name: str) -> bool:
    """Whether an English consonant is voiceless (it decides how a plural or past ending sounds)."""
    return name in _VOICELESS_ENGLISH
