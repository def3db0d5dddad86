"""The form of a record as people are told of it: the tables at the end of docs/bench.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.record import schema

Schema = Mapping[str, Any]


def as_markdown() -> str:
    """A table for each object in a record, the record's own first."""
    form = schema()
    objects = {"Record": form, **form["$defs"]}
    return "\n".join(line for name, described in objects.items() for line in _table(name, described))


def _table(name: str, described: Schema) -> Iterator[str]:
    yield from ("", f"### {name}", "", " ".join(described.get("description", "").split()), "")
    yield from ("| field | type | what it is |", "|---|---|---|")
    for field, value in described["properties"].items():
        told = " ".join(value.get("description", "").split()).replace("|", "\\|")
        yield f"| `{field}` | {_type(value)} | {told} |"


def _type(value: Schema) -> str:  # noqa: PLR0911  (a return for each kind of type)
    match value:
        case {"$ref": reference}:
            return _linked(reference)
        case {"const": constant}:
            return f"`{constant}`"
        case {"enum": choices}:
            return " or ".join(f"`{choice}`" for choice in choices)
        case {"anyOf": choices} | {"oneOf": choices}:
            return " or ".join(_type(choice) for choice in choices)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "array", "prefixItems": items}:
            return f"{len(items)} × {_type(items[0])}"
        case {"type": "object", "additionalProperties": items}:
            return f"by name: {_type(items)}"
        case _:
            return str(value["type"])


def _linked(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})"
