"""Memory that was freed and that the C library keeps."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Hand freed memory to the system again. glibc keeps what lies between blocks in use: 16 MiB of a worker's, once
    it has loaded and spoken. Takes milliseconds; does nothing where the C library is another.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
