"""Voices and readings as tables for people and as JSON for programs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.frontend.reading import Reading, Word
    from inference.pack import Pack


def voices_json(packs: Sequence[Pack]) -> str:
    """Every pack with its speakers."""
    return _json(
        [
            {
                "pack": pack.name,
                "description": pack.description,
                "license": pack.license,
                "languages": pack.languages,
                "sample_rate_hz": pack.sample_rate_hz,
                "precision": pack.precision,
                "voices": [
                    {
                        "name": speaker.name,
                        "gender": speaker.gender,
                        "languages": speaker.languages,
                        "description": speaker.description,
                        "base_f0_hz": speaker.base_f0_hz,
                    }
                    for speaker in pack.speakers
                ],
            }
            for pack in packs
        ]
    )


def voices_table(packs: Sequence[Pack]) -> str:
    """One line for each speaker."""
    rows = [
        (
            pack.name,
            speaker.name,
            speaker.gender,
            ", ".join(speaker.languages),
            f"{speaker.base_f0_hz:.0f} Hz",
            speaker.description,
        )
        for pack in packs
        for speaker in pack.speakers
    ]
    return table(("pack", "voice", "gender", "languages", "pitch", "description"), rows)


def reading_json(reading: Reading) -> str:
    """How a text is read: what the normaliser changed, words with the rules of their readings, the phones of all."""
    return _json(
        {
            "normalized": reading.normalized,
            "words": [
                {
                    "text": word.text,
                    "lang": word.lang,
                    "readings": word.readings,
                    "spoken": word.spoken,
                    "break": word.break_.name.lower(),
                    "rule": word.rule,
                }
                for sentence in reading.sentences
                for word in sentence.words
            ],
            "changes": [
                {"rule": change.rule, "before": change.before, "after": change.after} for change in reading.changes
            ],
            "unspoken": reading.unspoken,
            "phones": [
                {
                    "phone": phone.name,
                    "tone": phone.tone.name.lower(),
                    "position": phone.position.name.lower(),
                    "break": phone.break_.name.lower(),
                }
                for sentence in reading.sentences
                for phone in sentence.phones
            ],
        }
    )


def reading_table(reading: Reading) -> str:
    """The same for people: a line for each change of the text, one for each word, then each sentence's phones."""
    changes = [(change.before, change.after, change.rule) for change in reading.changes]
    rows = [
        (
            word.text,
            word.lang,
            " ".join(word.readings),
            word.rule,
            " ".join(word.spoken) if word.spoken != word.readings else "",
            why_spoken(word),
            word.break_.name.lower(),
        )
        for sentence in reading.sentences
        for word in sentence.words
    ]
    parts = [
        f"normalized  {reading.normalized}",
        *([table(("written", "becomes", "by rule"), changes)] if changes else []),
        table(("word", "lang", "reading", "by rule", "spoken as", "because of", "break after"), rows),
        *("phones  " + " ".join(phone.name for phone in sentence.phones) for sentence in reading.sentences),
    ]
    if reading.unspoken:
        parts.append(f"not spoken, no reading  {' '.join(reading.unspoken)}")
    return "\n\n".join(parts)


def why_spoken(word: Word) -> str:
    """Which rules made the word's spoken form differ from its reading."""
    if word.lang == "en":
        return "weak form" if word.spoken != word.readings else ""
    rules = []
    for reading, spoken in zip(word.readings, word.spoken, strict=True):
        if reading != spoken:
            rules.append({"yi1": "一 sandhi", "bu4": "不 sandhi"}.get(reading, "third-tone sandhi"))
    return ", ".join(dict.fromkeys(rules))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, as wide as their widest cell; a Chinese character is two columns wide."""
    lines = [heads, *rows]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
