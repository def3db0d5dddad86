"""The page's files as they are given out: to whom, with which headers, and what they may not contain."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.tts_server.http.conftest import Serve
from tts_server.http.guard import Guard

FOLDER = Path(__file__).resolve().parents[3] / "tts_server" / "web"
SCRIPTS = sorted(FOLDER.glob("*.js"))
PAGE = (FOLDER / "index.html").read_text(encoding="utf-8")


class Attributes(HTMLParser):
    """All attributes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]


def attributes(name: str) -> list[str]:
    parser = Attributes()
    parser.feed(PAGE)
    return [value for _, attribute, value in parser.found if attribute == name]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/web/style.css", "text/css; charset=utf-8"),
        ("/web/app.js", "text/javascript; charset=utf-8"),
        ("/web/vendor/eventsource-parser.js", "text/javascript; charset=utf-8"),
        ("/web/icon.svg", "image/svg+xml"),
    ],
)
async def test_a_file_comes_with_its_type_and_under_a_policy(
    client: TestClient[Any, Any], path: str, kind: str
) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    policy = dict(part.split(maxsplit=1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "media-src": "'self' blob:",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_a_browser_that_has_it_is_told_so(client: TestClient[Any, Any]) -> None:
    first = await client.get("/web/app.js")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await client.get("/web/app.js", headers={"If-None-Match": known})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
    assert (await client.get("/web/app.js", headers={"If-None-Match": '"other"'})).status == 200
    assert (await client.head("/")).headers["Content-Length"] == str(len(PAGE.encode()))


@pytest.mark.parametrize(
    "name", ["nothing.js", "vendor", "vendor/eventsource-parser.LICENSE", "..%2fhttp%2fpage.py", "%2e%2e/http/page.py"]
)
async def test_there_is_nothing_else(client: TestClient[Any, Any], name: str) -> None:
    answer = await client.get(f"/web/{name}")
    assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")


async def test_the_page_needs_no_key_and_what_it_asks_does(serve: Serve) -> None:
    client = await serve(guard=Guard(open=False))
    assert [(await client.get(path)).status for path in ("/", "/web/app.js")] == [200, 200]
    assert (await client.get("/v1/audio/voices")).status == 401
    assert (await client.post("/api/tts/preview", json={"text": "Hello."})).status == 401


def test_nothing_in_it_is_inline_or_of_other_hosts() -> None:
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=|javascript:", PAGE)
    for value in attributes("src") + attributes("href"):
        assert not re.match(r"\w+:|//|/", value), f"{value}: relative, so that it works behind a proxy's path"
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), script
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            script
        )


def test_all_that_it_says_it_says_in_both_languages() -> None:
    text = (FOLDER / "messages.js").read_text(encoding="utf-8")
    english, chinese = (
        set(re.findall(r"(\w+): \"", part)) for part in text.split("export const EXAMPLES")[0].split("  zh: {")
    )
    assert english == chinese
    used = {
        value
        for name in ("i18n", "i18n-label", "i18n-title", "i18n-placeholder")
        for value in attributes(f"data-{name}")
    }
    for script in SCRIPTS:
        used |= set(re.findall(r"\bt\(\"(\w+)\"", script.read_text(encoding="utf-8")))
    assert used <= english, used - english


def test_every_element_that_a_script_looks_for_is_there() -> None:
    there = set(attributes("id"))
    for script in SCRIPTS:
        wanted = set(re.findall(r"\$\(\"([\w-]+)\"\)", script.read_text(encoding="utf-8")))
        assert wanted <= there, (script.name, wanted - there)
