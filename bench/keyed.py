"""A server of our own with two keys: a VIP's and a standard caller's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from bench.served import Server, serving
from tts_server.keys import Key, changing, digest, make_secret

_TIERS: Final = {
    name: {"priority": place, "requests_per_s": 1e6, "burst": 10**7, "characters_per_min": 10**9, "concurrent": 10**6}
    for place, name in enumerate(("vip", "standard"))
}
"""Limits that are counted and never reached: all of them come with two keys."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """It, and what opens it."""

    server: Server
    vip_key: str
    standard_key: str


@contextmanager
def keyed_serving(options: Sequence[str], folder: Path) -> Iterator[Keyed]:
    """Start it with these options of `serve`; its keys, state and prepared models are kept in `folder`. BenchError if
    it does not serve.
    """
    keys_file = folder / "keys.json"
    keys_file.unlink(missing_ok=True)
    secrets = {tier: make_secret() for tier in _TIERS}
    with changing(keys_file) as keys:
        keys += [
            Key(name=tier, tier=tier, sha256=digest(secret), created=datetime.now(UTC))
            for tier, secret in secrets.items()
        ]
    with serving(
        [*options, "--keys-file", str(keys_file), "--tiers", orjson.dumps(_TIERS).decode()], folder=folder
    ) as server:
        yield Keyed(server, secrets["vip"], secrets["standard"])
