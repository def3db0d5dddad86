"""The web page at `/`: files that are read once, and given to everybody, for they tell nothing of what is done here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

_FOLDER: Final = Path(__file__).resolve().parent.parent / "web"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is given out; other files of the folder are for people who read the code."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, and asked after: with its tag that costs no body, and no release stays behind
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    headers: dict[str, str]

    @property
    def tag(self) -> str:
        return self.headers[hdrs.ETAG]


def routes() -> list[web.RouteDef]:
    """The page and its files. Reads them: call it before anybody is served."""
    files = {str(file.relative_to(_FOLDER)): _read(file) for file in _FOLDER.rglob("*") if file.suffix in _TYPES}

    async def show_page(request: web.Request) -> web.Response:
        return _answer(request, files["index.html"])

    async def show_file(request: web.Request) -> web.Response:
        file = files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file)

    return [web.get("/", show_page), web.get("/web/{name:.+}", show_file)]


def _read(file: Path) -> _File:
    body = file.read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _File(body, _HEADERS | {hdrs.CONTENT_TYPE: _TYPES[file.suffix], hdrs.ETAG: tag})


def _answer(request: web.Request, file: _File) -> web.Response:
    known = request.if_none_match or ()
    if any(tag.value in {"*", file.tag.strip('"')} for tag in known):
        unchanged = {name: value for name, value in file.headers.items() if name != hdrs.CONTENT_TYPE}
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=unchanged)
    return web.Response(body=file.body, headers=file.headers)
