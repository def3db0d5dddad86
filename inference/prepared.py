"""Weights that worker processes share: a graph, optimised once per machine, with its packed weights in a file to map.

    cache_dir/<key>/    model.onnx    the optimised graph, without weights
                        weights.bin   the weights, and beside them the same as onnxruntime packs them for this CPU
                        manifest.json what the two must be, to the byte

Loaded with optimisation off, nothing is computed and nothing packed again: every process maps the same pages.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import platform
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import onnxruntime as ort

from inference import alignment, session
from inference.alignment import align
from inference.session import open_session, session_options

KEPT: Final = 16
"""Folders in a cache: the shipped voices of this release and its predecessor take eight, a user's own the others."""

_MODEL, _WEIGHTS, _MANIFEST = "model.onnx", "weights.bin", "manifest.json"
_UNFINISHED: Final = "unfinished-"
_UNFINISHED_S: Final = 3600  # what is older was left by a process that died: preparing takes seconds
_EXTERNAL_BYTES: Final = 1024  # smaller weights stay in the graph: a mapping takes at least a page
_TRIES: Final = 3  # at putting a folder into its place, should others put theirs there or break them meanwhile

_log = logging.getLogger(__name__)


def open_prepared(graph: Path, cache_dir: Path, threads: int = 1) -> ort.InferenceSession:
    """A session for `graph` whose weights are shared with other processes that use the same cache.

    If the cache cannot be used, that is logged, and the session is as `open_session` gives it: no sample differs.
    """
    try:
        model = prepare(graph, cache_dir)
        return open_session(model, threads=threads, optimised=True)
    except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no base; what is wrong with the graph itself is met again below
        _log.warning("weights are not shared, each worker has its own: %s (%s)", error, graph)
        return open_session(graph, threads=threads)


def prepare(graph: Path, cache_dir: Path) -> Path:
    """The prepared model for `graph`, made if it is not there yet or is broken.

    OSError if the cache cannot be used; what onnxruntime raises if the graph is none.
    """
    cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_ours(cache_dir)
    folder = cache_dir / _key(graph)
    if _intact(folder):
        with suppress(OSError):  # a cache that is only read is nobody's to tidy either
            os.utime(folder)  # used lately, so kept
        return folder / _MODEL
    made = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=cache_dir))  # 0700
    try:
        _make(graph, made)
        _put(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    _tidy(cache_dir)
    return folder / _MODEL


def _key(graph: Path) -> str:
    """Whatever the prepared model depends on."""
    settings = [Path(module).read_bytes() for module in (session.__file__, alignment.__file__, __file__)]
    parts = [graph.read_bytes(), ort.__version__.encode(), _cpu().encode(), *settings]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def _cpu() -> str:
    """The processor and what it can do: kernels, and with them the packing of weights, are chosen by that."""
    names = {"vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features"}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    known = sorted({line for line in lines if line.partition(":")[0].strip() in names})
    return "\n".join([platform.machine(), platform.processor(), *known])


def check_ours(path: Path) -> None:
    """PermissionError if others could write there: their model would be run as our own. What the administrator wrote is
    no worse than we are: a container image may bring its cache along.
    """
    status = path.stat()
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "belongs to, or can be written by, another user", str(path))


def _intact(folder: Path) -> bool:
    try:
        check_ours(folder)
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        return set(manifest) == {_MODEL, _WEIGHTS} and all(
            _described(folder / name) == manifest[name] for name in manifest
        )
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        _log.warning("a prepared model is made again: %s (%s)", error, folder)
        return False


def _described(file: Path) -> dict[str, int | str]:
    with file.open("rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


def _make(graph: Path, folder: Path) -> None:
    options = session_options()
    options.optimized_model_filepath = str(folder / _MODEL)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_min_size_in_bytes", str(_EXTERNAL_BYTES)
    )
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    ort.InferenceSession(str(graph), sess_options=options, providers=["CPUExecutionProvider"])
    model, weights = folder / _MODEL, folder / _WEIGHTS
    weights.touch()  # a graph may have no weight large enough
    content = bytearray(weights.read_bytes())
    model.write_bytes(align(model.read_bytes(), content))
    weights.write_bytes(content)
    manifest = {file.name: _described(file) for file in (model, weights)}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o600)


def _put(made: Path, folder: Path) -> None:
    """Rename, so that there is a whole folder or none. Who comes second takes what the first has put there."""
    for _ in range(_TRIES):
        try:
            made.rename(folder)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise
        else:
            return
        if _intact(folder):
            return
        broken = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
        try:
            folder.rename(broken / "broken")
        except FileNotFoundError:  # another process was faster
            pass
        finally:
            shutil.rmtree(broken, ignore_errors=True)
    raise FileExistsError(errno.EEXIST, "is broken, again and again", str(folder))


def _tidy(cache_dir: Path) -> None:
    """Remove what has not been used for longest. Processes that have it mapped keep it."""
    folders = sorted(
        (path for path in cache_dir.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True
    )
    finished = [path for path in folders if not path.name.startswith(_UNFINISHED)]
    old = [path for path in set(folders) - set(finished) if time.time() - path.stat().st_mtime > _UNFINISHED_S]
    for path in [*finished[KEPT:], *old]:
        shutil.rmtree(path, ignore_errors=True)
