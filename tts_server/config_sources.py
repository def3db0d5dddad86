"""Where settings come from: flags, over the environment, over a file, over the defaults. Read once, checked once.

Everything that is wrong is told at once, each with its source.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tts_server.config import Settings
from tts_server.config_listing import catalogue

FILE_NAME: Final = "tts-server.toml"
FILE_VARIABLE: Final = "TTS_CONFIG"
DEFAULT: Final = "default"


class ConfigError(ValueError):
    """Settings that will not do; a line for each of them, with its source and what it takes."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings, and where each came from."""

    settings: Settings
    sources: Mapping[str, str]
    """By name: `--port`, `TTS_PORT`, the path of the file, or what set a default folder."""
    strange: tuple[str, ...]
    """Variables in the environment that look like settings and are none, each with the nearest that is one."""


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    source: str


def load(environ: Mapping[str, str], flags: Mapping[str, str], file: Path | None = None) -> Effective:
    """The settings that flags (by a setting's name), environment and file give. ConfigError if they will not do.

    The file is `file`, else the one that TTS_CONFIG names, else tts-server.toml in the state folder if it is there.
    """
    by_xdg = _folders(environ, "XDG_STATE_HOME", "XDG_CACHE_HOME", "tts-server")
    by_systemd = _folders(environ, "STATE_DIRECTORY", "CACHE_DIRECTORY", "")
    by_hand = {
        setting.name: _Given(environ[setting.variable], setting.variable)
        for setting in catalogue()
        if environ.get(setting.variable)  # compose files set what is not set to nothing
    }
    by_hand |= {
        setting.name: _Given(flags[setting.name], setting.flag) for setting in catalogue() if setting.name in flags
    }
    in_file = _from_file(environ, file, by_xdg | by_systemd | by_hand)
    given = by_systemd | in_file | by_hand
    if "state_dir" in given and "cache_dir" not in given:
        state = given["state_dir"]
        given["cache_dir"] = _Given(Path(str(state.value), "cache"), state.source)
    given = by_xdg | given
    try:
        settings = Settings.model_validate({name: one.value for name, one in given.items()})
    except ValidationError as error:
        raise ConfigError("\n".join(_told(error, given))) from error
    sources = {name: given[name].source if name in given else DEFAULT for name in Settings.model_fields}
    return Effective(settings, sources, tuple(_strange(environ)))


def _folders(environ: Mapping[str, str], state: str, cache: str, below: str) -> dict[str, _Given]:
    found = {}
    for name, variable in (("state_dir", state), ("cache_dir", cache)):
        folder = environ.get(variable, "").partition(":")[0]  # systemd may name several
        if Path(folder).is_absolute():  # XDG: others are to be ignored
            found[name] = _Given(Path(folder, below), variable)
    return found


def _from_file(environ: Mapping[str, str], file: Path | None, given: Mapping[str, _Given]) -> dict[str, _Given]:
    if file is None and environ.get(FILE_VARIABLE):
        file = Path(environ[FILE_VARIABLE])
    if file is None:
        state_dir = given["state_dir"].value if "state_dir" in given else Settings.model_fields["state_dir"].default
        file = Path(os.path.expanduser(str(state_dir)), FILE_NAME)  # noqa: PTH111  (this one leaves alone what it cannot)
        if not file.exists():
            return {}
    try:
        with file.open("rb") as stream:
            return {name: _Given(value, str(file)) for name, value in tomllib.load(stream).items()}
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error


def _told(error: ValidationError, given: Mapping[str, _Given]) -> Iterator[str]:
    known = {setting.name: setting for setting in catalogue()}
    told = set()
    for problem in error.errors():
        name = str(problem["loc"][0])
        if name in told:
            continue  # the first core that is wrong tells enough
        told.add(name)
        source = given[name].source if name in given else DEFAULT
        if name not in known:
            yield f"{source}: there is no setting {name!r}{_nearest(name, known)}"
            continue
        why = f" ({problem['ctx']['error']})" if problem["type"] == "value_error" else ""
        yield f"{source}: {name} cannot be {given[name].value!r}{why}; it takes {known[name].takes}"


def _strange(environ: Mapping[str, str]) -> Iterator[str]:
    known = {setting.variable.removeprefix("TTS_"): setting for setting in catalogue()}
    for name in sorted(environ):
        word = name.removeprefix("TTS_")
        if word != name and word not in known and name != FILE_VARIABLE:
            yield f"{name}{_nearest(word, known, 'TTS_')}"


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
