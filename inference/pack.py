"""A voice pack: the folder `voices/<name>/` read, checked and described. The layout is docs/voice-pack.md.

Loads no onnxruntime, so that voices can be listed without it; the graphs' own inputs are checked by `voice.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema

from inference.frontend.phones import TABLE_VERSION

MANIFEST: Final = "voice.json"
VOICES: Final = Path(__file__).resolve().parent.parent / "voices"
"""Where the shipped packs are, in a checkout and in an installed wheel alike."""

_SCHEMA: Final = Path(__file__).with_name("voice.schema.json")
_GET_AGAIN: Final = "the pack is damaged or incomplete: copy it again from where it came, or export it again"


class PackError(Exception):
    """A pack that cannot be used: which file, which field (a JSON path), what is wrong and what to do about it."""

    def __init__(self, file: Path, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {field}: {problem}. What to do: {remedy}.")
        self.file = file
        self.field = field
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Speaker:
    """One of a pack's speakers."""

    id: int
    name: str
    gender: str
    languages: tuple[str, ...]
    description: str
    base_f0_hz: float


@dataclass(frozen=True, slots=True)
class Pack:
    """A checked pack: its files are there and are the ones its author hashed."""

    folder: Path
    name: str
    kind: str
    description: str
    license: str
    languages: tuple[str, ...]
    sample_rate_hz: int
    hop_samples: int
    width: int
    stride_frames: int
    context_frames: int
    precision: str
    prosody: Path
    decoder: Path
    speakers: tuple[Speaker, ...]

    @property
    def manifest(self) -> Path:
        """The pack's voice.json."""
        return self.folder / MANIFEST


def load_pack(folder: Path) -> Pack:
    """Read and check the pack in `folder`; PackError says what is wrong with it."""
    manifest = folder / MANIFEST
    fields = _read_manifest(manifest)
    _check_schema(manifest, fields)
    _check_phone_table(manifest, fields)
    speakers = _read_speakers(manifest, fields)
    return Pack(
        folder=folder,
        name=fields["name"],
        kind=fields["kind"],
        description=fields["description"],
        license=fields["license"],
        languages=tuple(fields["languages"]),
        sample_rate_hz=int(fields["sample_rate_hz"]),  # JSON Schema takes 24000.0 for an integer,
        hop_samples=int(fields["hop_samples"]),
        width=int(fields["width"]),
        stride_frames=int(fields.get("stride_frames", 1)),
        context_frames=int(fields["context_frames"]),
        precision=fields["precision"],
        prosody=_checked_graph(manifest, fields, "prosody"),
        decoder=_checked_graph(manifest, fields, "decoder"),
        speakers=speakers,
    )


def find_packs(folder: Path = VOICES) -> list[Path]:
    """The folders in `folder` that hold a voice.json, sorted by name; not checked."""
    return sorted(manifest.parent for manifest in folder.glob(f"*/{MANIFEST}"))


def _read_manifest(manifest: Path) -> Mapping[str, Any]:
    try:
        fields = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        raise PackError(manifest, "$", "no such file", "name a folder that holds a voice pack") from None
    except OSError as error:
        raise PackError(manifest, "$", f"cannot be read ({error.strerror})", "make it readable") from error
    except ValueError as error:  # covers bad UTF-8 as well as bad JSON
        raise PackError(manifest, "$", f"is not JSON ({error})", _GET_AGAIN) from error
    if not isinstance(fields, dict):
        raise PackError(manifest, "$", "is not a JSON object", "name a pack in the format of docs/voice-pack.md")
    return fields


def _check_schema(manifest: Path, fields: Mapping[str, Any]) -> None:
    errors = sorted(_validator().iter_errors(fields), key=lambda error: (len(error.absolute_path), error.json_path))
    for error in errors:
        field, problem = error.json_path, error.message
        if error.validator == "required":
            missing = next(key for key in error.validator_value if key not in error.instance)
            field, problem = f"{field}.{missing}", "is missing"
        if field == "$.kind":
            raise PackError(manifest, field, problem, "use a release that runs this kind of voice")
        if field == "$.format":
            raise PackError(manifest, field, problem, "use a release that reads this format, or export the pack again")
        raise PackError(manifest, field, problem, "correct it as docs/voice-pack.md says, or export the pack again")


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_bytes()))


def _check_phone_table(manifest: Path, fields: Mapping[str, Any]) -> None:
    version = fields["phone_table_version"]
    if version != TABLE_VERSION:
        problem = f"the voice was trained with phone table {version}, this release speaks {TABLE_VERSION}"
        raise PackError(
            manifest, "$.phone_table_version", problem, "use the release it was made for, or train it again"
        )


def _read_speakers(manifest: Path, fields: Mapping[str, Any]) -> tuple[Speaker, ...]:
    speakers = tuple(
        Speaker(int(s["id"]), s["name"], s["gender"], tuple(s["languages"]), s["description"], s["base_f0_hz"])
        for s in fields["speakers"]
    )
    for key in ("id", "name"):
        values = [getattr(speaker, key) for speaker in speakers]
        for number, value in enumerate(values):
            if value in values[:number]:
                field = f"$.speakers[{number}].{key}"
                raise PackError(manifest, field, f"{value!r} is taken by an earlier speaker", "give each its own")
    return speakers


def _checked_graph(manifest: Path, fields: Mapping[str, Any], role: str) -> Path:
    expected = fields["graphs"][role]
    graph = manifest.parent / str(expected["file"])
    field = f"$.graphs.{role}"
    try:
        content = graph.read_bytes()
    except FileNotFoundError:
        raise PackError(graph, f"{field}.file", "no such file", _GET_AGAIN) from None
    except OSError as error:
        raise PackError(graph, f"{field}.file", f"cannot be read ({error.strerror})", "make it readable") from error
    if len(content) != expected["bytes"]:
        problem = f"the file has {len(content)} bytes, {MANIFEST} says {expected['bytes']}"
        raise PackError(graph, f"{field}.bytes", problem, _GET_AGAIN)
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise PackError(graph, f"{field}.sha256", f"the file is not the one that {MANIFEST} names", _GET_AGAIN)
    return graph
