"""How numbers, codes and files are written, whatever the language: patterns that the rules of both share."""

from __future__ import annotations

import re
from typing import Final

N: Final = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?"
"""A number: 12, 1,234, 3.14."""
TO: Final = r"\s?(?:[-~～–]|—{1,2})\s?"
"""The dash of a range."""
ORNAMENT: Final = "|".join(f"{re.escape(mark)}{{3,}}+" for mark in "=*_#+~^|<>@&%$/\\`-")
"""A row of one sign, as people draw lines: ====."""
SERIAL: Final = (
    r"(?=[A-Z\d]{8,20}(?![A-Za-z\d]))"
    r"(?![A-Z\d]*(?:JQZ|\d(?:[GTMK]B|[GMK]?HZ|[MC]M|KG|ML|MAH|PRO|MAX|PLUS|ULTRA)(?![A-Z])))"
    r"(?:(?:[A-Z]++\d++){2,9}+[A-Z]*+|(?:\d++[A-Z]++){2,9}+\d*+)"
)
"""A code of letters and figures by turns: 5CD2104KQZ. JQZ begins what stands for a word whose phones are given."""
FILES: Final = (
    "JPE?G|PNG|GIF|BMP|HEIC|RAW|CR2|ARW|NEF|DNG|SVG|PSD|PDF|DOCX?|XLSX?|PPTX?|TXT|CSV|ZIP|RAR|MP[34]|MOV|AVI|MKV|WAV|"
    "FLAC|APK|EXE|ISO|DLL|DMG|MSI|BAT|HTML?|XML|JSON|INI|LOG|BAK"
)
"""How the names of files end, as cameras and Windows write them: IMG_2041.JPG."""
