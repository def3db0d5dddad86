"""What it brings to speak several lines in one run, by their length: on a CPU core, something for short ones alone.

One pinned core. Every round speaks the same lines one by one, by twos, fours and eights, in turn, so that whatever else
the machine does meets all of them; the figures are medians over rounds, in processor time.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.engine import cpu_name, read_sentences
from inference.cores import choose, pin

if TYPE_CHECKING:
    from inference.utterance import Utterance
    from inference.voice import Voice

SIZES: Final = (2, 4, 8)
WORDS: Final = tuple("好 是 对 行 有 嗯 喂 啊".split())
PHRASES: Final = tuple("你好世界 明天再见 今天很好 我们走吧 早上好啊 谢谢大家 没有问题 请等一下".split())


@dataclass(frozen=True, slots=True)
class Kind:
    """Lines of one length."""

    name: str
    audio_s: float
    """Of one line, the mean."""
    x_realtime: float
    """One by one."""
    ratios: Mapping[int, float]
    """How many times as fast, by lines in one run."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What was measured, and on what."""

    pack: str
    kinds: tuple[Kind, ...]
    rounds: int
    cpu: str
    versions: Mapping[str, str]
    date: str


def measure(pack_folder: Path, *, rounds: int = 15) -> BatchResult:
    """Measure the pack; ValueError if there are no rounds, PackError if it is broken. Pins this process to one core."""
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; it must be 1 or more")
    pin(choose(1))  # before onnxruntime looks at it
    from inference.frontend.reading import read
    from inference.utterance import Manner, Utterance
    from inference.voice import Voice

    voice = Voice.load(pack_folder)
    manner = Manner(voice.pack.speakers[0].name)
    sentences = sorted(read_sentences(), key=len)
    middle = len(sentences) // 2
    lines = {
        "words": [read(f"{word}。").sentences[0].phones for word in WORDS],
        "phrases": [read(f"{phrase}。").sentences[0].phones for phrase in PHRASES],
        "sentences": sentences[middle - 4 : middle + 4],  # about as long as one another, which favours batches
    }
    kinds = tuple(
        _measure(voice, name, [Utterance(phones, manner) for phones in texts], rounds) for name, texts in lines.items()
    )
    versions = {"python": platform.python_version(), "onnxruntime": version("onnxruntime"), "os": platform.platform()}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return BatchResult(voice.pack.name, kinds, rounds, cpu_name(), versions, date)


def report(result: BatchResult) -> str:
    """The result for people."""
    rows = [
        f"{result.pack}, one core of {result.cpu}, medians of {result.rounds} rounds",
        "",
        f"{'lines':12}{'seconds':>8}{'× real time':>13}" + "".join(f"{f'{size} in a run':>14}" for size in SIZES),
    ]
    for kind in result.kinds:
        ratios = "".join(f"{kind.ratios[size]:>12.2f} ×" for size in SIZES)
        rows.append(f"{kind.name:12}{kind.audio_s:>8.2f}{kind.x_realtime:>13.0f}{ratios}")
    return "\n".join(rows)


def write_json(result: BatchResult, file: Path) -> None:
    """The result for programs."""
    file.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _measure(voice: Voice, name: str, lines: list[Utterance], rounds: int) -> Kind:
    audio_s = sum(speech.seconds for speech in voice.speak_batch(lines))
    alone_s: list[float] = []
    ratios: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        alone_s.append(_seconds(voice, lines, 1))
        for size, found in ratios.items():
            found.append(alone_s[-1] / _seconds(voice, lines, size))
    return Kind(
        name,
        audio_s / len(lines),
        audio_s / statistics.median(alone_s),
        {size: statistics.median(found) for size, found in ratios.items()},
    )


def _seconds(voice: Voice, lines: list[Utterance], size: int) -> float:
    start = time.process_time()
    for first in range(0, len(lines), size):
        voice.speak_batch(lines[first : first + size])
    return time.process_time() - start
