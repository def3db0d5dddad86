"""The Range header of RFC 9110, for bodies of which the end may not be known yet. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tts_server.errors import RangeNotSatisfiable

_ONE: Final = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to, and without, `end`."""

    start: int
    end: int


def wanted(header: str | None, there: int, *, complete: bool) -> Span | None:
    """The bytes that a Range header asks for, of so many that are there; None: it is to be passed over.

    That is allowed always, and is done for several ranges, for what is no range of bytes, and for the last bytes of a
    body that still grows. RangeNotSatisfiable if what it asks for is not there.
    """
    found = _ONE.fullmatch(header or "")
    if found is None or found.group(1, 2) == ("", ""):
        return None
    first, last = found.group(1, 2)
    if not first:
        if not complete:
            return None
        span = Span(max(0, there - int(last)), there)
    else:
        span = Span(int(first), min(there, int(last) + 1) if last else there)
        if last and int(last) < int(first):
            return None
    if span.start >= there:
        raise RangeNotSatisfiable("there are no such bytes" if complete else "there are no such bytes yet", there)
    return span


def content_range(span: Span, there: int, *, complete: bool) -> str:
    """What an answer with these bytes is said to be."""
    return f"bytes {span.start}-{span.end - 1}/{there if complete else '*'}"
