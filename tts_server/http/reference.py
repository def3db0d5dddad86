"""The routes as docs/http.md has them: the OpenAPI document, for people who read Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tts_server import errors
from tts_server.errors import TTSError
from tts_server.http.openapi import fields


def as_markdown(document: Mapping[str, Any]) -> str:
    """Routes, headers and failures, each once."""
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    lines = ["## Routes", "", "| route | |", "|---|---|"]
    lines += [f"| [`{name}`](#{anchor(name)}) | {operation['summary']} |" for name, operation in operations]
    shown: dict[str, str] = {}
    for name, operation in operations:
        lines += ["", f"### {name}", "", f"{operation['summary'].rstrip('.')}."]
        lines += _described(name, operation, schemas, shown)
    taken = {
        parameter["name"]: (parameter["in"], parameter["description"])
        for _, operation in operations
        for parameter in operation["parameters"]
        if parameter["in"] != "path"
    }
    told = {name: header["description"] for _, operation in operations for name, header in _told(operation)}
    lines += ["", "## Headers and parameters of requests", "", "| name | in | |", "|---|---|---|"]
    lines += [f"| `{name}` | {where} | {what} |" for name, (where, what) in taken.items()]
    lines += ["", "## Headers of answers", "", "| name | |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in told.items()]
    lines += ["", "## Failures", "", "| status | `type` | `code`, unless a closer one is told | |", "|---|---|---|---|"]
    lines += [
        f"| {kind.status} | {kind.kind} | `{kind.default_code}` | {' '.join((kind.__doc__ or '').split())} |"
        for kind in _failures()
    ]
    base = TTSError("")
    lines.append(f"| {base.status} | {base.kind} | `{base.code}` | A fault of the server's; its log tells more. |")
    return "\n".join(lines) + "\n"


def _described(
    name: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], shown: dict[str, str]
) -> Iterator[str]:
    """What it takes and gives. `shown` are the bodies that were shown before, and with which route."""
    bodies = operation.get("x-client-messages", [])
    if "requestBody" in operation:
        bodies = [operation["requestBody"]["content"]["application/json"]["schema"]]
    for reference in bodies:
        model = reference["$ref"].rpartition("/")[2]
        if (before := shown.setdefault(model, name)) != name:
            yield from ("", f"Its body is that of [`{before}`](#{anchor(before)}).")
            continue
        schema = schemas[model]
        yield from ("", schema["description"], "", "| field | is | default | |", "|---|---|---|---|")
        for field, wanted, default, what in fields(schema, schemas):
            told = default if default in {"", "required"} else f"`{default}`"
            yield f"| `{field}` | {wanted} | {told} | {what} |"
    yield ""
    if takes := _own(parameter["name"] for parameter in operation["parameters"] if parameter["in"] != "path"):
        yield f"Takes {takes}."
    status, answer = next(iter(operation["responses"].items()))
    gives = "a websocket" if status == "101" else ", ".join(f"`{kind}`" for kind in answer["content"])
    tells = _own(answer["headers"])
    yield f"Gives {status}: {gives}{'; with ' if tells else ''}{tells}."
    if operation.get("security") == []:
        yield "Needs no key."


def _own(names: Iterable[str]) -> str:
    """Those that are not every route's."""
    return ", ".join(f"`{name}`" for name in names if name != "X-Request-Id")


def _told(operation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for answer in operation["responses"].values():
        yield from answer["headers"].items()


def _failures() -> list[type[TTSError]]:
    """All but the base: whoever meets that has met a bug, and is told so."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TTSError)]
    return sorted((kind for kind in kinds if kind is not TTSError), key=lambda kind: (kind.status, kind.default_code))


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    kept = "".join(char for char in heading.lower() if char.isalnum() or char in " -_")
    return kept.replace(" ", "-")
