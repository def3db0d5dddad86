"""What figures count in English, and how a quantity of it is said: what the rules about numbers share."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend import units
from inference.frontend.numerals import en_cardinal, en_number

UNIT: Final = units.pattern(1)
"""How units are written."""
DOT: Final = r"(?:\.(?=\s[a-z\d(&$£€]|[,;:)]))?"
"""The dot of an abbreviated unit that ends no sentence: 12 oz., 50 lbs. (23 kg)."""
COUNTED_NEXT: Final = re.compile(
    r"\s?(?:people|tickets|dollars|euros|yen|pounds|points|meters|miles|students|seats|words|pages|times|days|hours|"
    r"years)"
)
"""What is counted, so that the number before it is no code, day or year."""
ARTICLE: Final = re.compile(
    r"(?i)(?:\b(?:a|an|the|this|that|his|her|my|our|their|your|one|every)"
    r"|(?<!\bit)(?<!hat)(?<!\bhe)(?<!\bshe)(?<!ere)(?<!who)(?<!let)'s)\s$"
)
"""After these a measure is an adjective, which has no plural: a 6-foot fence."""
THING_NEXT: Final = re.compile(
    r"[ -](?!(?:in|on|of|for|last|this|each|per|and|or|to|from|was|were|is|are|today|with|at|by|than|that|after|before|"
    r"away|ago|long|wide|tall|high|deep|left|into|above|below|over|under|if|but|as|we|i|you|he|she|it|they|during|until|"
    r"between|because|since|through|throughout|while|when|within|without|unless|where|which|depending|apart)\b)"
    r"(?:[a-z]{2}[a-z-]*(?<!ed)(?<!ly)(?![a-z])|[A-Z][A-Za-z]+)"
)
"""The noun that such an adjective stands before."""


def quantity(text: str) -> str:
    """A number as it is written, with commas and a point: 1,234.5."""
    return en_number(text) if "." in text or "," in text else en_cardinal(text)
