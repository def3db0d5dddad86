"""Which release this is."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """As it was installed; a checkout that is not installed has none."""
    try:
        return importlib.metadata.version("tts-server")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
