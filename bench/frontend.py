"""What the text front end costs, by kind of text, beside what a voice costs for the same text. One core, no server.

Sentences are put together from `phrases.txt`, every one another, so that words are remembered from sentence to sentence
as in a server, but no sentence is. Seconds are those the processor worked, not those that passed: a busy machine makes
them no longer. Hostile text is a flood of one kind, as an attacker or a broken file would send it.
"""

from __future__ import annotations

import json
import platform
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.engine import cpu_name
from inference.pack import load_pack

if TYPE_CHECKING:
    from inference.frontend.reading import Reading

PHRASES: Final = Path(__file__).with_name("phrases.txt")
SHARE_GOAL: Final = 0.05
"""Front end to inference."""
PLAIN_GOAL_MS: Final = 0.3
DIGITS_GOAL_MS: Final = 1.0
"""For a sentence of about 30 characters."""
HOSTILE_GOAL_S: Final = 2.0
"""For a megabyte."""

MOST_SENTENCES: Final = 10_000
"""Of each kind; the phrases give some more that differ."""

_SPOKEN: Final = 24
"""Sentences of each kind given to the voice, which is steady; it takes seconds for what the front end does in one."""
_ABOUT_30: Final = range(27, 34)
_SEED: Final = 3


@dataclass(frozen=True, slots=True)
class KindResult:
    """One kind of text."""

    kind: str
    sentences: int
    characters_per_sentence: float
    us_per_character: float
    """Microseconds of the front end."""
    voice_us_per_character: float
    """Microseconds of onnxruntime, and the host's part between its two graphs."""
    share: float
    """The first divided by the second."""


@dataclass(frozen=True, slots=True)
class FrontendResult:
    """What was measured, and on what."""

    pack: str
    precision: str
    kinds: tuple[KindResult, ...]
    plain_sentence_ms: float
    """A Chinese sentence of about 30 characters without figures, the mean."""
    digits_sentence_ms: float
    """The same with figures."""
    hostile_bytes: int
    hostile_seconds: Mapping[str, float]
    """For each kind of flood, read whole."""
    cpu: str
    versions: Mapping[str, str]
    date: str


def measure(pack_folder: Path, *, sentences: int = 400, hostile_bytes: int = 1_000_000) -> FrontendResult:
    """Measure with that many sentences of each kind and floods of that size.

    ValueError if that cannot be measured, PackError if the pack is broken.
    """
    if not 1 <= sentences <= MOST_SENTENCES:
        raise ValueError(f"sentences is {sentences}; it must be from 1 to {MOST_SENTENCES}")
    if hostile_bytes < 1:
        raise ValueError(f"the hostile text has {hostile_bytes} bytes; it must have 1 or more")
    pack = load_pack(pack_folder)
    from inference.frontend.reading import warm

    warm()
    kinds = read_kinds()
    voice = _voice_seconds(pack_folder)
    return FrontendResult(
        pack=pack.name,
        precision=pack.precision,
        kinds=tuple(_measure_kind(kind, columns, sentences, voice) for kind, columns in kinds.items()),
        plain_sentence_ms=_sentence_ms(kinds["plain"], sentences),
        digits_sentence_ms=_sentence_ms(kinds["digits"], sentences),
        hostile_bytes=hostile_bytes,
        hostile_seconds={kind: _cpu_seconds(_try_to_read, text) for kind, text in floods(hostile_bytes)},
        cpu=cpu_name(),
        versions={
            "python": platform.python_version(),
            "onnxruntime": version("onnxruntime"),
            "os": platform.platform(),
        },
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def read_kinds() -> dict[str, list[list[str]]]:
    """Kinds of text, each with its columns of choices."""
    kinds: dict[str, list[list[str]]] = {}
    blocks = PHRASES.read_text(encoding="utf-8").split("\n\n")[1:]  # the first one explains
    for block in blocks:
        kind, *columns = block.strip("\n").split("\n")
        kinds[kind] = [column.split("|") for column in columns]
    return kinds


def write_sentences(columns: list[list[str]], seed: int) -> Iterator[str]:
    """Sentences of one kind without end, no two alike; the same for the same seed."""
    source = random.Random(seed)
    seen: set[str] = set()
    while True:
        written = "".join(source.choice(column) for column in columns)
        sentence = "".join(source.choice("123456789") if char == "#" else char for char in written)
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def floods(size: int) -> Iterator[tuple[str, str]]:
    """Hostile texts of `size` bytes in UTF-8, each with what it is a flood of."""
    source = random.Random(_SEED)

    def of(chars: str, count: int) -> str:
        return "".join(source.choices(chars, k=count))

    hanzi = "".join(map(chr, range(0x4E00, 0x9FA6)))
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield "digits", of("0123456789", size)
    yield "digits and marks", of("0123456789.,:-/%$ ", size)
    yield "random hanzi", of(hanzi, size // 3)
    yield "one hanzi", "一" * (size // 3)
    yield "random letters", of(letters + letters.upper(), size)
    yield "random words", of(letters + "    ", size)
    yield "nested brackets", "（" * (size // 6) + "）" * (size // 6)
    yield "half brackets", "<a|[({" * (size // 6)
    yield "combining marks", "a" + "\u0301" * (size // 2 - 1)
    yield "accented letters", "a\u0301\u0323" * (size // 5)
    yield "emoji", of("😀👋🎉🚀🍀🐼", size // 4)
    yield "newlines", "好\n" * (size // 4)
    yield "dots", "." * size
    yield "all of ASCII", of("".join(map(chr, range(32, 127))).replace("|", ""), size)  # | could end it as an override


def report(result: FrontendResult) -> str:
    """The result for people."""
    rows = [
        f"text front end beside {result.pack} ({result.precision}), on one core",
        f"{result.cpu}, " + ", ".join(f"{name} {number}" for name, number in result.versions.items()),
        "",
        f"kind        characters    µs/character    voice µs/character    share (goal {SHARE_GOAL:.0%})",
        *(
            f"{kind.kind:<10}  {kind.characters_per_sentence:>10.1f}  {kind.us_per_character:>14.2f}"
            f"  {kind.voice_us_per_character:>20.1f}  {kind.share:>8.1%}"
            for kind in result.kinds
        ),
        "",
        "a Chinese sentence of 30 characters",
        f"without figures  {result.plain_sentence_ms:>8.3f} ms    goal {PLAIN_GOAL_MS:g}",
        f"with figures     {result.digits_sentence_ms:>8.3f} ms    goal {DIGITS_GOAL_MS:g}",
        "",
        f"{result.hostile_bytes / 1e6:g} MB of hostile text, goal {HOSTILE_GOAL_S * result.hostile_bytes / 1e6:g} s",
        *(f"{kind:<17}{seconds:>9.2f} s" for kind, seconds in result.hostile_seconds.items()),
    ]
    return "\n".join(rows)


def write_json(result: FrontendResult, file: Path) -> None:
    """The result for programs."""
    file.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _measure_kind(
    kind: str, columns: list[list[str]], count: int, voice_seconds: Callable[[Reading], float]
) -> KindResult:
    from inference.frontend.reading import read

    texts = _warmed(columns, count)
    characters = sum(map(len, texts))
    seconds = _cpu_seconds(lambda: [read(text) for text in texts])
    spoken = texts[:_SPOKEN]
    voice_s = sum(voice_seconds(read(text)) for text in spoken)
    us, voice_us = 1e6 * seconds / characters, 1e6 * voice_s / sum(map(len, spoken))
    return KindResult(kind, len(texts), characters / len(texts), us, voice_us, us / voice_us)


def _sentence_ms(columns: list[list[str]], count: int) -> float:
    from inference.frontend.reading import read

    texts = [text for text in _warmed(columns, 4 * count) if len(text) in _ABOUT_30]
    if not texts:
        return float("nan")
    return 1e3 * _cpu_seconds(lambda: [read(text) for text in texts]) / len(texts)


def _warmed(columns: list[list[str]], count: int) -> list[str]:
    """`count` sentences that were never read, after as many others of the same words that were."""
    from inference.frontend.reading import read

    sentences = write_sentences(columns, _SEED)
    for text in islice(sentences, count):
        read(text)
    return list(islice(sentences, count))


def _voice_seconds(pack_folder: Path) -> Callable[[Reading], float]:
    """A function that speaks a reading and returns the seconds it took."""
    from inference.utterance import Manner, Utterance
    from inference.voice import Voice

    voice = Voice.load(pack_folder)
    manner = Manner(voice.pack.speakers[0].name)

    def speak(reading: Reading) -> float:
        utterances = [Utterance(sentence.phones, manner) for sentence in reading.sentences]
        for utterance in utterances:  # once for warming: onnxruntime makes room for each new length
            voice.speak_batch([utterance])
        return _cpu_seconds(lambda: [voice.speak_batch([utterance]) for utterance in utterances])

    return speak


def _try_to_read(text: str) -> None:
    from inference.frontend.reading import NothingToSay, OverrideError, read

    try:
        read(text)
    except (NothingToSay, OverrideError):  # an answer too, and it took its time
        return


def _cpu_seconds(work: Callable[..., object], *args: object) -> float:
    start = time.process_time()
    work(*args)
    return time.process_time() - start
