"""Web and mail addresses, spelled out: their dots and figures mean nothing that any other rule knows. Pure, linear."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.numerals import en_digits, zh_digits
from inference.frontend.words import Language

# The lengths are those of RFC 1035 and 5321; they also keep the search linear.
_LABEL: Final = "[A-Za-z0-9-]{1,63}"
_TOP: Final = "(?:com|cn|org|net|io|edu|gov|ai|dev|app|info|tv|uk|hk|tw|jp)"
_ADDRESS: Final = re.compile(
    r"(?i:https?|ftp)://[!-~]+|(?<![A-Za-z0-9])(?i:www)\.[!-~]+"
    rf"|(?<![A-Za-z0-9_.+@-])[A-Za-z0-9_.+-]{{1,64}}@{_LABEL}(?:\.{_LABEL}){{1,8}}"
    rf"|(?<![A-Za-z0-9.@-])(?:{_LABEL}\.){{1,8}}{_TOP}(?![A-Za-z0-9-])(?:/[!-~]*)?"
)
_SCHEME: Final = re.compile("^(?i:https?|ftp)://")
_CLOSING: Final = re.compile(r"[.,?!;:'\")\]]+$")

_ZH: Final = {
    ".": "点", "/": "斜杠", ":": "冒号", "-": "杠", "_": "下划线", "?": "问号", "=": "等于", "&": "和", "#": "井号",
    "%": "百分号", "~": "波浪号", "+": "加",
}  # fmt: skip
_EN: Final = {
    ".": "dot", "/": "slash", ":": "colon", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", "%": "percent", "~": "tilde", "+": "plus",
}  # fmt: skip


def say(text: str, lang: Language) -> str:
    """The text with its addresses said: example.com → example 点 com."""
    if "." not in text:
        return text
    return _ADDRESS.sub(lambda match: _say_address(match.group(), lang), text)


def _say_address(address: str, lang: Language) -> str:
    marks, digits = (_ZH, zh_digits) if lang == "zh" else (_EN, en_digits)
    address = _SCHEME.sub("", address)
    closing = _CLOSING.search(address)  # the sentence's own
    tail = closing.group() if closing else ""
    address = address[: len(address) - len(tail)].rstrip("/")
    address = re.sub(r"(?i)^www(?=\.)", "WWW", address)
    said = re.sub("[0-9]+", lambda m: f" {digits(m.group())} ", address)
    said = re.sub(
        r"[^A-Za-z0-9\s\u4e00-\u9fff]", lambda m: f" {'at' if m.group() == '@' else marks.get(m.group(), ' ')} ", said
    )
    return f" {said} {tail}"
