"""The ffmpeg program as a child process, one for each response in AAC: samples go in, whole ADTS frames come out.

No library that may be linked here encodes AAC (THIRD_PARTY.md), so it is a program of its own. One thread at a time
talks to it, and both pipes are served together: neither side can wait for the other.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import time
from functools import cache
from threading import BoundedSemaphore
from typing import IO, Final, NoReturn

import numpy as np
import numpy.typing as npt

from tts_server.audio import AudioError
from tts_server.errors import QueueFull

_BIT_RATE: Final = 64_000
_MOST_AT_ONCE: Final = 32  # each has 8 MB of its own and six threads; a core encodes 85 seconds of speech in one
_STALLED_S: Final = 10.0  # a second of speech takes it 10 ms: nothing moved for so long is a stopped process
_LAG_S: Final = 0.25  # how long to wait for frames that are due; they may as well leave with the next piece
_HELD_S: Final = 0.1  # what ffmpeg keeps until more comes: it reads pieces of up to a tenth of a second
_FRAME_SAMPLES: Final = 1024
_HEADER_BYTES: Final = 7
_READ_BYTES: Final = 65_536  # what a pipe holds
_COMPLAINT_BYTES: Final = 1_000  # of what it says on stderr, the end: that is where it names the cause

_places = BoundedSemaphore(_MOST_AT_ONCE)


@cache
def find_ffmpeg() -> str | None:
    """The ffmpeg on the PATH, else the one that the `aac` extra installs."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # not installed; installed without a program for this machine
        return None


def why_no_ffmpeg() -> str | None:
    """Why there is no AAC here and what to do about it; None: there is."""
    if find_ffmpeg() is None:
        return "aac needs the ffmpeg program: put it on the PATH, or pip install 'tts-server[aac]'"
    return None


class FfmpegAac:
    """A running ffmpeg that makes AAC in ADTS. Whoever opens it calls `close` or `abort`, in one thread at a time."""

    def __init__(self, sample_rate_hz: int, *, streamed: bool) -> None:
        program = find_ffmpeg()
        if program is None:
            raise AudioError(why_no_ffmpeg())
        if not _places.acquire(blocking=False):  # waiting would hold the threads that the others need to end
            raise QueueFull("too many AAC streams at once; try again soon, or ask for another format", retry_after_s=1)
        command = [program, "-v", "error", "-nostdin", "-f", "s16le", "-ar", str(sample_rate_hz), "-ac", "1"]
        command += ["-i", "pipe:0", "-threads", "1", "-c:a", "aac", "-b:a", str(_BIT_RATE)]
        command += ["-flush_packets", "1", "-f", "adts", "pipe:1"]
        try:  # a process group of its own: Ctrl-C is for the server, which lets it finish
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            _places.release()
            raise AudioError(f"{program} could not be started: {error}") from error
        self._stdin, self._stdout, self._stderr = (
            _unblocked(pipe) for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._sample_rate_hz = sample_rate_hz
        self._streamed = streamed
        self._unsent = memoryview(b"")
        self._encoded = bytearray()
        self._complaint = b""
        self._samples_in = 0
        self._frames_out = 0
        self._over = False

    def write(self, pcm: npt.NDArray[np.int16]) -> bytes:
        """Encode; return the frames that are done."""
        self._unsent = memoryview(pcm.astype("<i2", copy=False).tobytes())
        self._samples_in += len(pcm)
        while self._unsent:
            if not self._serve(_STALLED_S):
                self._fail("stopped answering")
        frames = self._take_frames()
        deadline = time.monotonic() + (_LAG_S if self._streamed else 0)
        while self._frames_out < self._due_frames() and (left_s := deadline - time.monotonic()) > 0:
            self._serve(left_s)
            frames += self._take_frames()
        return frames

    def close(self) -> bytes:
        """End it; return the rest. AudioError if it did not encode everything."""
        self._stdin.close()
        while not self._stdout.closed:
            if not self._serve(_STALLED_S):
                self._fail("stopped answering")
        try:
            code = self._process.wait(_STALLED_S)
        except subprocess.TimeoutExpired:
            self._fail("did not end")
        rest = self._take_frames()
        if code or self._encoded or self._frames_out * _FRAME_SAMPLES < self._samples_in:
            self._fail(f"ended with status {code} after {self._frames_out} frames")
        self.abort()
        return rest

    def abort(self) -> None:
        """End it at once and leave nothing behind."""
        if self._over:
            return
        self._over = True
        self._process.kill()  # does nothing to one that has ended and was waited for
        self._process.wait()  # moments: nothing survives a kill
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()
        _places.release()

    def _due_frames(self) -> int:
        return int(self._samples_in - _HELD_S * self._sample_rate_hz) // _FRAME_SAMPLES - 1  # one is inside the codec

    def _serve(self, patience_s: float) -> bool:
        """Wait until a pipe is ready and move what it takes or has. False: none was."""
        with selectors.PollSelector() as pipes:
            if self._unsent:
                pipes.register(self._stdin, selectors.EVENT_WRITE)
            for pipe in (self._stdout, self._stderr):
                if not pipe.closed:
                    pipes.register(pipe, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in pipes.select(patience_s)]
        if self._stdin in ready:
            try:
                self._unsent = self._unsent[self._stdin.write(self._unsent) or 0 :]
            except BrokenPipeError:
                self._fail("ended early")
        if self._stdout in ready:
            self._encoded += _read(self._stdout)
        if self._stderr in ready:
            self._complaint = (self._complaint + _read(self._stderr))[-_COMPLAINT_BYTES:]
        return bool(ready)

    def _take_frames(self) -> bytes:
        """The whole frames among what has come; the beginning of another stays."""
        end = 0
        while end + _HEADER_BYTES <= len(self._encoded):
            header = self._encoded[end : end + _HEADER_BYTES]
            frame_bytes = (header[3] & 0x03) << 11 | header[4] << 3 | header[5] >> 5  # ISO/IEC 14496-3, 1.A.2.2
            if frame_bytes < _HEADER_BYTES:
                self._fail("wrote what is not AAC")
            if end + frame_bytes > len(self._encoded):
                break
            end += frame_bytes
            self._frames_out += 1
        frames = bytes(self._encoded[:end])
        del self._encoded[:end]
        return frames

    def _fail(self, what: str) -> NoReturn:
        self._process.kill()
        self._process.wait()
        if not self._stderr.closed:
            self._complaint += _read(self._stderr)
        self.abort()
        complaint = self._complaint.decode(errors="replace").strip()
        raise AudioError(f"ffmpeg {what}{': ' if complaint else ''}{complaint}")


def _unblocked(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "the process is started with three pipes: this is a bug"  # noqa: S101
    os.set_blocking(pipe.fileno(), False)
    return pipe


def _read(pipe: IO[bytes]) -> bytes:
    """What has come. Closes the pipe if its other end is closed."""
    data = pipe.read(_READ_BYTES)
    if data == b"":
        pipe.close()
    return data or b""
