"""Web and mail addresses, spelled out: their dots and figures mean nothing that any other rule knows. Pure, linear."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.numerals import en_digits, zh_digits
from inference.frontend.rules import note
from inference.frontend.words import Change, Language

# The lengths are those of RFC 1035 and 5321; they also keep the search linear.
_LABEL: Final = "[A-Za-z0-9-]{1,63}"
_TOP: Final = "(?:com|cn|org|net|io|edu|gov|ai|dev|app|info|tv|uk|hk|tw|jp)"
_ADDRESS: Final = re.compile(
    r"(?i:https?|ftp)://[!-~]+|(?<![A-Za-z0-9])(?i:www)\.[!-~]+"
    rf"|(?<![A-Za-z0-9_.+@-])[A-Za-z0-9_.+-]{{1,64}}@{_LABEL}(?:\.{_LABEL}){{1,8}}"
    rf"|(?<![A-Za-z0-9.@-])(?:{_LABEL}\.){{1,8}}{_TOP}(?![A-Za-z0-9-])(?:/[!-~]*)?"
)
_INNER_DOT: Final = re.compile(r"\.[A-Za-z\d]")
_SCHEME: Final = re.compile("^(?i:(https?|ftp))://")
_CLOSING: Final = re.compile(r"[.,?!;:'\")\]]+$")

_OFFICE: Final = re.compile(
    r"(?<![A-Za-z])(?:hr|it|pr|ir|bd|cs|pm|qa|ui|ux|vip|ceo|cfo|cto|coo|gm|hq|oa|erp|crm|api|id|faq|dpo|qq)"
    r"(?![A-Za-z])(?=[^@]*@)|(?<=@)(?:qq|qmail|ibm|mit|ucl|nyu)(?=\.)"
)
"""Names of a mailbox that are letters: hr@, it@."""
_TOP_SPELLED: Final = re.compile(r"(?<=\.)(?:ai|io|cn|tv|uk|hk|tw|jp|us|de)(?![A-Za-z0-9-])")
_ZH: Final = {
    ".": "点", "/": "斜杠", ":": "冒号", "-": "杠", "_": "下划线", "?": "问号", "=": "等于", "&": "和", "#": "井号",
    "%": "百分号", "~": "波浪号", "+": "加", "@": "at",
}  # fmt: skip
_EN: Final = {
    ".": "dot", "/": "slash", ":": "colon", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", "%": "percent", "~": "tilde", "+": "plus", "@": "at",
}  # fmt: skip


def say(text: str, lang: Language, changes: list[Change]) -> str:
    """The text with its addresses said: example.com → example 点 com."""
    if not _INNER_DOT.search(text):
        return text

    def said(match: re.Match[str]) -> str:
        after = _say_address(match.group(), lang)
        note(changes, "address", match.group(), after.strip())
        return after

    return _ADDRESS.sub(said, text)


def _say_address(address: str, lang: Language) -> str:
    marks, digits = (_ZH, zh_digits) if lang == "zh" else (_EN, en_digits)
    address = _SCHEME.sub(lambda m: m[1].upper() + " ", address)  # nobody says its colon and slashes
    closing = _CLOSING.search(address)  # the sentence's own
    tail = closing.group() if closing else ""
    address = address[: len(address) - len(tail)].rstrip("/")
    address = re.sub(r"(?i)(?<![A-Za-z])www(?=\.)", "WWW", address)
    address = _TOP_SPELLED.sub(lambda m: m.group().upper(), address)
    if "@" in address:
        address = _OFFICE.sub(lambda m: m.group().upper(), address)
    said = re.sub("[0-9]+", lambda m: f" {digits(m.group())} ", address)
    said = re.sub(r"[!-/:-@\[-`{-~]", lambda m: f" {marks.get(m.group(), m.group())} ", said)
    return f" {said.strip()}{tail} "
