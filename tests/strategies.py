"""What Hypothesis draws from, where its own would not do."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def floats(low: float | None = None, high: float | None = None, **more: Any) -> st.SearchStrategy[float]:
    """Without numbers next to zero: onnxruntime has the processor take them for it, once a voice has spoken."""
    return st.floats(low, high, allow_subnormal=False, **more)
