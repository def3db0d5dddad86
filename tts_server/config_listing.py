"""The settings as people are told of them: flags and their help, tables on a terminal and in the docs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import orjson

from tts_server.caller import as_written
from tts_server.config import SWITCH, Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from tts_server.config_sources import Effective


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its names, what it takes, what it is for."""

    name: str
    group: str
    default: str
    takes: str
    what: str
    why: str

    @property
    def flag(self) -> str:
        """On the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return f"TTS_{self.name.upper()}"


def catalogue() -> tuple[Setting, ...]:
    """Every setting, group by group."""
    return tuple(_describe(name, field) for name, field in Settings.model_fields.items())


def add_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each setting. What is not given leaves nothing in the namespace; what is given stays text."""
    for group, settings in groupby(catalogue(), attrgetter("group")):
        flags = parser.add_argument_group(group)
        for setting in settings:
            flags.add_argument(
                setting.flag,
                nargs="?" if setting.takes == SWITCH else None,
                const="true" if setting.takes == SWITCH else None,
                metavar=setting.name.rpartition("_")[2].upper(),
                default=argparse.SUPPRESS,
                help=f"{setting.what} (default: {setting.default})".replace("%", "%%"),
            )


def as_text(effective: Effective) -> str:
    """Name, value and source, for a terminal."""
    rows = list(_rows(effective))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}" for name, value, source in rows)


def as_json(effective: Effective) -> str:
    """The same for programs: `{"port": {"value": 8000, "from": "default"}, …}`."""
    values = effective.settings.model_dump(mode="json")
    listing = {name: {"value": value, "from": effective.sources[name]} for name, value in values.items()}
    return orjson.dumps(listing, option=orjson.OPT_INDENT_2).decode()


def as_markdown() -> str:
    """The tables of docs/configuration.md."""
    lines: list[str] = []
    for group, settings in groupby(catalogue(), attrgetter("group")):
        lines += [
            f"## {group}",
            "",
            "| setting | default | takes | what it is | why the default |",
            "|---|---|---|---|---|",
        ]
        lines += [f"| `{s.name}` | `{s.default}` | {s.takes} | {s.what} | {s.why} |" for s in settings]
        lines.append("")
    return "\n".join(lines)


def _rows(effective: Effective) -> Iterator[tuple[str, str, str]]:
    for name, value in effective.settings:
        yield name, _show(value), effective.sources[name]


def _describe(name: str, field: FieldInfo) -> Setting:
    more = field.json_schema_extra
    assert isinstance(more, dict), "every field is made by `_setting`"  # noqa: S101
    takes = str(more["takes"]) or _takes(field)
    if field.default is None:
        takes += ", or auto"
    default = str(more["shown"]) or _show(field.default)
    return Setting(name, str(more["group"]), default, takes, field.description or "", str(more["why"]))


def _takes(field: FieldInfo) -> str:
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(choices)
    if Path in _types(field.annotation):
        return "a folder"
    low, high = (next(getattr(limit, end) for limit in field.metadata if hasattr(limit, end)) for end in ("ge", "le"))
    return f"{'a whole number' if int in _types(field.annotation) else 'a number'} from {low:.10g} to {high:.10g}"


def _types(annotation: object) -> set[object]:
    return {annotation}.union(*map(_types, get_args(annotation)))


def _show(value: object) -> str:
    """As one would write it in the environment or behind a flag."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return as_written(value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)
