"""Who asks, and what he may: tiers, and callers of a tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tts_server.speech import Voice

LOWEST_PRIORITY: Final = 9
_UNBOUND: Final = BeforeValidator(lambda value: None if value == "none" else value)  # TOML and the shell have no null


class Tier(BaseModel):
    """What callers of one kind may take. None: no bound."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    priority: int = Field(1, ge=0, le=LOWEST_PRIORITY)
    """0 is served first."""
    requests_per_s: Annotated[float | None, _UNBOUND] = Field(default=None, gt=0.001, le=1e6)
    burst: Annotated[int | None, _UNBOUND] = Field(default=None, ge=1, le=10_000_000)
    """Requests that may come at once after a pause; None: as many as are allowed in a second."""
    characters_per_min: Annotated[int | None, _UNBOUND] = Field(default=None, ge=1, le=1_000_000_000)
    concurrent: Annotated[int | None, _UNBOUND] = Field(default=None, ge=1, le=1_000_000)
    """Requests being served at once, each websocket counting as one."""


TIERS: Final = MappingProxyType(
    {
        "vip": Tier(priority=0, requests_per_s=100, burst=200, characters_per_min=600_000, concurrent=100),
        # a quarter of what two cores speak in a minute: a character lasts 0.22 s, and takes 400 times less
        "standard": Tier(priority=1, requests_per_s=10, burst=40, characters_per_min=60_000, concurrent=20),
        "anonymous": Tier(priority=2, requests_per_s=1, burst=10, characters_per_min=6_000, concurrent=2),
    }
)
ANONYMOUS: Final = "anonymous"
STANDARD: Final = "standard"


def over_the_defaults(given: object) -> object:
    """Tiers as they are written in a file, or as JSON, laid over those there are anyway; for pydantic to check.

    What a tier does not say is as in the one of its name, a new one's as in `standard`.
    """
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from error
    if not isinstance(given, dict):
        return given
    laid: dict[str, Any] = dict(TIERS)
    for name, tier in given.items():
        laid[name] = TIERS.get(name, TIERS[STANDARD]).model_dump() | tier if isinstance(tier, dict) else tier
    return laid


def as_written(tiers: Mapping[str, Tier]) -> str:
    """What was laid over the defaults, as JSON."""
    changed = {}
    for name, tier in tiers.items():
        base = TIERS.get(name, TIERS[STANDARD]).model_dump()
        differs = {key: "none" if value is None else value for key, value in tier if value != base[key]}
        if differs or name not in TIERS:
            changed[name] = differs
    return orjson.dumps(changed).decode()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    id: str
    """`key:NAME`, `address:…`, or `anybody` where nobody is asked: what limits are counted by, and the log tells."""
    tier: str
    may: Tier
    """The tier's limits, or the key's own."""
    voices: frozenset[str] | None = None
    """Names of those that he may use; None: all."""
    engines: frozenset[str] | None = None
    key_hash: str = ""
    """The beginning of his key's hash: a name may be given again, to somebody else."""

    @property
    def owner(self) -> str:
        """Whom his jobs belong to: him with this very key."""
        return f"{self.id}#{self.key_hash}" if self.key_hash else self.id

    def allows(self, voice: Voice) -> bool:
        """Whether he may have it speak."""
        return (self.voices is None or voice.id in self.voices) and (
            self.engines is None or voice.engine in self.engines
        )
