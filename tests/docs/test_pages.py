"""What the pages say of the code is so, and what they point at is there."""

from __future__ import annotations

import ast
import re
from operator import add, mul, sub, truediv
from pathlib import Path

import pytest

from tests.docs.snippets import PAGES, ROOT
from tts_server.http.openapi import build
from tts_server.http.reference import anchor, as_markdown
from tts_server.http.services import Limits

LINK = re.compile(r"\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
LINKING = (*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", ROOT / "THIRD_PARTY.md", ROOT / "voices/README.md")


def anchors(page: Path) -> set[str]:
    """Where a link into the page may lead."""
    return {anchor(heading) for heading in HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for found in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        target, _, place = "".join(found).partition("#")
        if "://" in target:
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} leads to {target}"
        assert not place or place in anchors(there), f"{page.name} leads to {target}#{place}"


def test_every_page_is_found_from_the_readme() -> None:
    told = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.parent != ROOT and str(page.relative_to(ROOT)) not in told] == []


SUM = re.compile(r"((?:10⁶|[\d.,]+|[()×÷+−]| )+) = ([\d.,]*\d)")
WRITTEN = str.maketrans({"×": "*", "÷": "/", "−": "-", ",": "", " ": ""})


def test_the_sums_in_sizing_are_right() -> None:
    sums = SUM.findall((ROOT / "docs/sizing.md").read_text(encoding="utf-8"))
    assert len(sums) > 20
    for written, told in sums:
        term = written.replace("10⁶", "1000000").translate(WRITTEN)
        found, shown = worth(ast.parse(term, mode="eval").body), float(told.replace(",", ""))
        last_digit = 10.0 ** -len(told.partition(".")[2])
        assert abs(found - shown) <= max(0.51 * last_digit, 0.005 * shown), f"{written} = {found}, not {told}"


def worth(term: ast.expr) -> float:
    """Of a sum."""
    match term:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.BinOp(left, sign, right):
            count = {ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv}[type(sign)]
            return float(count(worth(left), worth(right)))
    raise AssertionError(f"{ast.unparse(term)} is no sum")


def test_the_reference_is_that_of_the_code() -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    made = as_markdown(build(Limits(), ""))
    assert page.endswith(made), "paste the output of `python run.py openapi --markdown` at its end"


def test_the_reference_has_every_code_of_a_failure() -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    codes = set()
    for file in (ROOT / "tts_server").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                codes.add(node.value.value)
    assert {code for code in codes if isinstance(code, str) and f"`{code}`" not in page} == set()
