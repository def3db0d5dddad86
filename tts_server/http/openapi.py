"""What the routes take and give: for programs /openapi.json, for people /docs. Both come from what checks requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method, as it is documented."""

    method: str
    path: str
    summary: str
    bodies: tuple[type[BaseModel], ...] = ()
    gives: Iterable[str] = ("application/json",)
    status: str = "200"


OPERATIONS: Final = (
    Operation("post", "/api/tts", "Speak a text; whole, or streamed", (TtsBody,), CONTENT_TYPES.values()),
    Operation("post", "/api/tts/jobs", "Have a long text spoken in the background", (JobBody,), status="202"),
    Operation("get", "/api/tts/jobs", "One's jobs, the latest first; ?limit= and ?cursor= for more"),
    Operation("get", "/api/tts/jobs/{id}", "How far a job has come, and how it ended"),
    Operation("delete", "/api/tts/jobs/{id}", "Cancel a job; remove one that has ended"),
    Operation(
        "get",
        "/api/tts/jobs/{id}/audio",
        "The audio, whole or in ranges; of wav and pcm also what there is so far",
        gives=CONTENT_TYPES.values(),
    ),
    Operation("get", "/api/tts/jobs/{id}/events", "The same as it changes", gives=("text/event-stream",)),
    Operation(
        "post",
        "/v1/audio/speech",
        "Speak a text as OpenAI's API does: audio streamed as it is made, or as server-sent events",
        (OpenAISpeechBody,),
        (*CONTENT_TYPES.values(), "text/event-stream"),
    ),
    Operation(
        "get",
        "/v1/audio/speech/stream",
        "A websocket: text comes in pieces as it is written, audio goes out sentence by sentence. The client sends "
        "these messages, as JSON; the server answers each sentence with audio.start, binary messages and audio.done, "
        "and input.done with session.done.",
        (SessionConfig, InputText, Command),
        status="101",
    ),
    Operation("get", "/v1/audio/voices", "The voices; ?legacy=true for their names alone"),
    Operation("get", "/v1/models", "The engines, and OpenAI's names that mean the default one"),
    Operation("get", "/v1/models/{id}", "One of them"),
    Operation("get", "/healthz", "Whether the server is alive; also /livez, /health and /v2/health/live"),
    Operation("get", "/readyz", "Whether every engine can speak, else 503; also /v2/health/ready"),
    Operation("get", "/metrics", "For Prometheus", gives=("text/plain",)),
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
            operation.status: {"description": "As asked", "content": {kind: {} for kind in operation.gives}},
            "default": {
                "description": "Refused or failed",
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
    if "{id}" in operation.path:
        described["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    return described


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
    required = schema.get("required", ())
    rows = []
    for name, field in schema["properties"].items():
        default = field.get("default")
        shown = "" if default is None else orjson.dumps(default).decode()
        cells = (wanted(field, schemas), "required" if name in required else shown, field.get("description", ""))
        rows.append(f"<tr><td><code>{escape(name)}</code>" + "".join(f"<td>{escape(cell)}" for cell in cells))
    heading = escape(schema.get("description", ""))
    return f"<p>{heading}</p><table><tr><th>field<th>is<th>default<th>{''.join(rows)}</table>"
