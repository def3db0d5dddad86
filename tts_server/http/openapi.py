"""What the routes take and give: for programs /openapi.json, for people /docs. Both come from what checks requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tts_server.encoding import CONTENT_TYPES
from tts_server.http.bodies import Command, InputText, JobBody, OpenAISpeechBody, SessionConfig, TtsBody, wanted
from tts_server.http.guard import OPEN_ROUTES
from tts_server.http.middlewares import json_response
from tts_server.http.services import Limits

_REF: Final = "#/components/schemas/{model}"
_ERROR: Final = {
    "type": "object",
    "description": "Of every failure, whatever the route",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string", "description": "What is wrong, and what would be right"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field that is wrong"},
                "code": {"type": "string", "description": "For programs to act upon"},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
_KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Needed once the server has keys"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, by another header"},
}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-size:.95em}table{border-collapse:collapse;margin:.5rem 0 2rem}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #8884}"
)


_TAKEN: Final = {
    "X-Request-Id": "Of the caller's own: up to 128 letters, figures and . _ : - ; else one is made. The log has it",
    "X-Deadline-Ms": "When an answer is of no use any more; then it is refused or ended (504). deadline_s at most",
    "X-Priority": "From 0, which is first, to 9; only lower ones than the caller's tier has are to be had",
    "Cache-Control": "no-store: neither give what was made for others, nor keep this for them",
    "Range": "bytes=0-99, bytes=100- or bytes=-100",
    "If-Range": "The ETag of what one has a part of; if it is another one's, all is sent",
    "limit": "How many at once, 1 to 100; 20",
    "cursor": "next_cursor of the page before",
    "legacy": "true: the names of the voices alone",
}
_TOLD: Final = {
    "X-Request-Id": "As it was given, or made; on every answer",
    "X-Engine": "Which engine spoke",
    "X-Voice": "With which voice",
    "X-Sample-Rate": "Of the audio, in Hz",
    "X-Audio-Seconds": "How long the audio is; not on streams, which do not know it yet",
    "X-Cache": "HIT: all of it was known; PARTIAL: some lines; MISS: none",
    "X-Unspoken-Characters": "How many characters had no reading and were left out, if there were any",
    "Server-Timing": "Milliseconds in the queue, of reading, of inference (lines run side by side) and of encoding",
    "RateLimit-Limit": "Of the caller's limit that is nearest, if he has any; also -Remaining, -Reset and -Policy",
    "Retry-After": "Of 429 and 503: seconds until it is worth asking again; retry-after-ms says it in milliseconds",
    "ETag": "Of audio that will not change any more",
    "Content-Range": "Of 206: which bytes these are",
    "Location": "Where the job can be asked for",
}
_QUERY: Final = frozenset({"limit", "cursor", "legacy"})
_SPEAKING: Final = ("X-Request-Id", "X-Deadline-Ms", "X-Priority", "Cache-Control")
_SPOKEN: Final = (
    *("X-Request-Id", "X-Engine", "X-Voice", "X-Sample-Rate", "X-Audio-Seconds", "X-Cache", "X-Unspoken-Characters"),
    *("Server-Timing", "RateLimit-Limit"),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method, as it is documented."""

    method: str
    path: str
    summary: str
    bodies: tuple[type[BaseModel], ...] = ()
    gives: Iterable[str] = ("application/json",)
    status: str = "200"
    takes: tuple[str, ...] = ("X-Request-Id",)
    """Headers and parameters of its own, of `_TAKEN`."""
    tells: tuple[str, ...] = ("X-Request-Id",)
    """Headers of its answers, of `_TOLD`."""


OPERATIONS: Final = (
    Operation(
        "post",
        "/api/tts",
        "Speak a text; whole, or streamed, or streamed as server-sent events that tell when each word is said",
        (TtsBody,),
        (*CONTENT_TYPES.values(), "text/event-stream"),
        takes=_SPEAKING,
        tells=_SPOKEN,
    ),
    Operation(
        "post",
        "/api/tts/preview",
        "The same, for listening on a page: switched off (503) while the server is busy",
        (TtsBody,),
        CONTENT_TYPES.values(),
        takes=_SPEAKING,
        tells=_SPOKEN,
    ),
    Operation("get", "/api/tts/status", "How busy the server is, what it leaves undone, and how its engines do"),
    Operation(
        "get",
        "/api/tts/status/events",
        "The same as it changes, and every two seconds",
        gives=("text/event-stream",),
    ),
    Operation(
        "post",
        "/api/tts/jobs",
        "Have a long text spoken in the background",
        (JobBody,),
        status="202",
        tells=("X-Request-Id", "Location"),
    ),
    Operation("get", "/api/tts/jobs", "One's jobs, the latest first", takes=("X-Request-Id", "limit", "cursor")),
    Operation("get", "/api/tts/jobs/{id}", "How far a job has come, and how it ended"),
    Operation("delete", "/api/tts/jobs/{id}", "Cancel a job; remove one that has ended"),
    Operation(
        "get",
        "/api/tts/jobs/{id}/audio",
        "The audio, whole or in ranges; of wav and pcm also what there is so far",
        gives=CONTENT_TYPES.values(),
        takes=("X-Request-Id", "Range", "If-Range"),
        tells=(*_SPOKEN[:5], "ETag", "Content-Range"),
    ),
    Operation("get", "/api/tts/jobs/{id}/events", "The same as it changes", gives=("text/event-stream",)),
    Operation(
        "post",
        "/v1/audio/speech",
        "Speak a text as OpenAI's API does: audio streamed as it is made, or as server-sent events",
        (OpenAISpeechBody,),
        (*CONTENT_TYPES.values(), "text/event-stream"),
        takes=_SPEAKING,
        tells=_SPOKEN,
    ),
    Operation(
        "get",
        "/v1/audio/speech/stream",
        "A websocket: text comes in pieces as it is written, audio goes out sentence by sentence. The client sends "
        "these messages, as JSON; the server answers each sentence with audio.start, binary messages and audio.done, "
        "and input.done with session.done.",
        (SessionConfig, InputText, Command),
        status="101",
        takes=_SPEAKING,
    ),
    Operation("get", "/v1/audio/voices", "The voices", takes=("X-Request-Id", "legacy")),
    Operation("get", "/v1/models", "The engines, and OpenAI's names that mean the default one"),
    Operation("get", "/v1/models/{id}", "One of them"),
    Operation("get", "/healthz", "Whether the server is alive; also /livez, /health and /v2/health/live"),
    Operation("get", "/readyz", "Whether every engine can speak, else 503; also /v2/health/ready"),
    Operation("get", "/metrics", "For Prometheus", gives=("text/plain",)),
    Operation("get", "/", "The page: type, and listen", gives=("text/html",)),
    Operation("get", "/web/{name}", "What the page is made of", gives=("text/javascript", "text/css", "image/svg+xml")),
    Operation("get", "/openapi.json", "This, for programs"),
    Operation("get", "/docs", "This, for people", gives=("text/html",)),
)


def routes(limits: Limits, version: str) -> list[web.RouteDef]:
    """/openapi.json and /docs; both are made once."""
    document = build(limits, version)
    page = _page(document)

    async def show_document(_: web.Request) -> web.Response:
        return json_response(document)

    async def show_page(_: web.Request) -> web.Response:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return web.Response(text=page, content_type="text/html", charset="utf-8", headers=policy)

    return [web.get("/openapi.json", show_document), web.get("/docs", show_page)]


def build(limits: Limits, version: str) -> dict[str, Any]:
    """The OpenAPI document."""
    models = dict.fromkeys(body for operation in OPERATIONS for body in operation.bodies)
    _, made = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas = made["$defs"] | {"Error": _ERROR}
    schemas["TtsBody"]["properties"]["text"]["maxLength"] = limits.tts_characters
    schemas["JobBody"]["properties"]["text"]["maxLength"] = limits.job_characters
    schemas["OpenAISpeechBody"]["properties"]["input"]["maxLength"] = limits.openai_characters
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "tts-server", "version": version, "description": "Speaks Chinese and English on a CPU."},
        "paths": paths,
        "security": [{"bearer": []}, {"header": []}],
        "components": {"schemas": schemas, "securitySchemes": _KEYS},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    references = [{"$ref": _REF.format(model=body.__name__)} for body in operation.bodies]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            operation.status: {
                "description": "As asked",
                "headers": {
                    name: {"description": _TOLD[name], "schema": {"type": "string"}} for name in operation.tells
                },
                "content": {kind: {} for kind in operation.gives},
            },
            "default": {
                "description": "Refused or failed",
                "headers": {"Retry-After": {"description": _TOLD["Retry-After"], "schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}},
            },
        },
    }
    if operation.path in OPEN_ROUTES:
        described["security"] = []
    if operation.method == "post":
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": references[0]}}}
    elif references:
        described["x-client-messages"] = references  # OpenAPI has no words for websockets
    described["parameters"] = [
        {
            "name": name,
            "in": "query" if name in _QUERY else "header",
            "description": _TAKEN[name],
            "schema": {"type": "string"},
        }
        for name in operation.takes
    ]
    for name in re.findall(r"{(\w+)}", operation.path):
        described["parameters"].append({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
    return described


def fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Of a body: each field's name, what it must be, what it is if it is not given, and what it is for."""
    for name, field in schema["properties"].items():
        default = field.get("default")
        shown = "" if default is None else orjson.dumps(default).decode()
        required = "required" if name in schema.get("required", ()) else shown
        yield name, wanted(field, schemas), required, field.get("description", "")


def _page(document: Mapping[str, Any]) -> str:
    schemas = document["components"]["schemas"]
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>tts-server</title><style>{_STYLE}</style>"]
    parts.append(f"<h1>tts-server {escape(document['info']['version'])}</h1>")
    parts.append("<p>The same for programs: <a href=openapi.json>openapi.json</a></p>")
    for operation in OPERATIONS:
        parts.append(f"<h2><code>{operation.method.upper()} {escape(operation.path)}</code></h2>")
        parts.append(f"<p>{escape(operation.summary)}</p>")
        parts.extend(_table(schemas[body.__name__], schemas) for body in operation.bodies)
    return "".join(parts)


def _table(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    rows = []
    for name, *cells in fields(schema, schemas):
        rows.append(f"<tr><td><code>{escape(name)}</code>" + "".join(f"<td>{escape(cell)}" for cell in cells))
    heading = escape(schema.get("description", ""))
    return f"<p>{heading}</p><table><tr><th>field<th>is<th>default<th>{''.join(rows)}</table>"
