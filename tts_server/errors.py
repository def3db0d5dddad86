"""Everything that can go wrong with a request, each with its status: the only place where a failure becomes one.

The shape is OpenAI's, which clients already read: {"error": {"message", "type", "param", "code"}}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final

POISONOUS: Final = "poisonous_text"
"""The code of an EngineFailed whose text workers died of: no other engine is to be tried with it."""


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


class Unauthorized(TTSError):
    """No key, or one that opens nothing."""

    status = 401
    kind = "authentication_error"
    default_code = "invalid_api_key"

    def headers(self) -> dict[str, str]:
        """How to say who one is."""
        return {"WWW-Authenticate": 'Bearer realm="tts-server"'}


class Forbidden(TTSError):
    """The key is right, and may not do this."""

    status = 403
    kind = "permission_error"
    default_code = "not_allowed"


class RateLimited(TTSError):
    """The caller has taken as much as may be taken; `headers` tell of the limit that was met."""

    status = 429
    kind = "rate_limit_error"
    default_code = "rate_limit_exceeded"
    retriable = True

    def __init__(self, message: str, *, retry_after_s: float, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self._headers = headers or {}

    def headers(self) -> dict[str, str]:
        """When to come back, and what the limit is."""
        return super().headers() | dict(self._headers)


class QueueFull(TTSError):
    """More is waiting than can be spoken in time; refused at the door, before any work."""

    status = 503
    default_code = "queue_full"
    retriable = True


class Overloaded(TTSError):
    """The server has more to do than it can, and takes nothing new of callers who are not first."""

    status = 503
    default_code = "overloaded"
    retriable = True


class PreviewOff(TTSError):
    """The web page's preview is switched off, for those whose work it is."""

    status = 503
    default_code = "preview_off"
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


class Conflict(InvalidRequest):
    """The request contradicts what there is: an earlier one, or the state of a job."""

    status = 409
    default_code = "conflict"


class RangeNotSatisfiable(InvalidRequest):
    """The audio has no such bytes, or not yet."""

    status = 416
    default_code = "range_not_satisfiable"

    def __init__(self, message: str, there_bytes: int) -> None:
        super().__init__(message)
        self._there_bytes = there_bytes

    def headers(self) -> dict[str, str]:
        """How many bytes there are."""
        return {"Content-Range": f"bytes */{self._there_bytes}", "Accept-Ranges": "bytes"}


class TooManyJobs(TTSError):
    """The caller has as many unfinished jobs as he may have."""

    status = 429
    kind = "rate_limit_error"
    default_code = "too_many_jobs"
    retriable = True


class JobsUnavailable(TTSError):
    """The jobs cannot be read or written just now."""

    status = 503
    default_code = "jobs_unavailable"
    retriable = True


class DiskFull(TTSError):
    """The disk has no room for what a job may become."""

    status = 507
    default_code = "disk_full"
    retriable = True
