"""Everything that can go wrong with a request, each with its status: the only place where a failure becomes one.

The shape is OpenAI's, which clients already read: {"error": {"message", "type", "param", "code"}}.
"""

from __future__ import annotations

import math
from typing import ClassVar


class TTSError(Exception):
    """A request that cannot be served. The message says what is wrong and what to do; it is shown to the caller."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"
    retriable: ClassVar[bool] = False
    """Whether the same request may well succeed later. Clients that retry by themselves are told."""

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, dict[str, str | None]]:
        """What the caller is told."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """When to come back, in the two ways that clients read; and whether to."""
        if self.retry_after_s is not None:
            wait_ms = max(1, round(self.retry_after_s * 1000))
            return {"Retry-After": str(math.ceil(wait_ms / 1000)), "retry-after-ms": str(wait_ms)}
        return {"x-should-retry": "false"} if self.status >= 500 and not self.retriable else {}


class InvalidRequest(TTSError):
    """The request itself is wrong: a field, its range, its shape."""

    status = 400
    kind = "invalid_request_error"
    default_code = "invalid_value"


class NotFound(InvalidRequest):
    """No such route, voice, model or engine."""

    status = 404
    default_code = "not_found"


class MethodNotAllowed(InvalidRequest):
    """The route exists, for another method."""

    status = 405
    default_code = "method_not_allowed"


class TooLarge(InvalidRequest):
    """The body is longer than any request has reason to be."""

    status = 413
    default_code = "body_too_large"


class UnsupportedMediaType(InvalidRequest):
    """The body is not JSON."""

    status = 415
    default_code = "unsupported_media_type"


class QueueFull(TTSError):
    """More is waiting than can be spoken in time; refused at the door, before any work."""

    status = 503
    default_code = "queue_full"
    retriable = True


class ShuttingDown(TTSError):
    """The server finishes what it has and takes nothing new."""

    status = 503
    default_code = "shutting_down"
    retriable = True


class EngineUnavailable(TTSError):
    """No worker of the engine is ready."""

    status = 503
    default_code = "engine_unavailable"
    retriable = True


class DeadlineExceeded(TTSError):
    """The caller's deadline, or the server's, passed before the audio was ready."""

    status = 504
    kind = "timeout_error"
    default_code = "deadline_exceeded"


class EngineFailed(TTSError):
    """The engine could not speak this text: it failed on it, or workers died of it."""

    status = 500
    default_code = "engine_failed"
