from __future__ import annotations

import ctypes
from types import SimpleNamespace

import psutil
import pytest

from inference.heap import give_back


def test_what_is_freed_goes_back_to_the_system() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(ctypes.c_size_t(4096)) for _ in range(10_000)]
    last = libc.malloc(ctypes.c_size_t(4096))  # keeps the heap from shrinking by itself
    for block in blocks:
        ctypes.memset(block, 1, 4096)
        libc.free(block)
    before = psutil.Process().memory_info().rss
    give_back()
    assert before - psutil.Process().memory_info().rss > 20_000_000
    libc.free(last)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    give_back()
