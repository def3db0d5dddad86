"""LitServe as it advises for CPUs and for many requests: a worker for each core, ZeroMQ before it, and by its own
choice as many front ends.
"""

from __future__ import annotations

import os
from typing import Any

from litserve import LitAPI, LitServer
from starlette.responses import Response

from bench.peer_servers.speaker import MEDIA_TYPE, ROUTE, Settings, Speaker


class Speak(LitAPI):
    """One of the workers; requests reach it as JSON, read."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the voice. LitServe calls the CPU one device, whatever its cores."""
        self._speaker = Speaker.in_process(Settings.given(), int(os.environ["LITSERVE_WORKER_ID"]))

    def predict(self, x: dict[str, Any]) -> bytes:
        """The wav."""
        return self._speaker.speak(x)

    def encode_response(self, output: bytes) -> Response:
        """As a file."""
        return Response(output, media_type=MEDIA_TYPE)


def main() -> None:
    """Serve until told to stop."""
    settings = Settings.given()
    limits = {} if settings.timeout_s is None else {"timeout": settings.timeout_s}
    server = LitServer(
        Speak(api_path=ROUTE), accelerator="cpu", workers_per_device=len(settings.cores), fast_queue=True, **limits
    )
    server.run(host="127.0.0.1", port=settings.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
