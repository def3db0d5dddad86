"""MOSEC: a front end in Rust, a worker in Python for each core. Batches are of one, as they are unless one asks for
more: on a CPU core a batch is no faster (`bench batch`).
"""

from __future__ import annotations

import os
from typing import Any, Final

from mosec import Server, Worker

from bench.peer_servers.speaker import MEDIA_TYPE, ROUTE, Settings, Speaker

_NUMBER: Final = "PEER_WORKER"


class Speak(Worker):
    """One of the workers; requests reach it as JSON, read."""

    resp_mime_type = MEDIA_TYPE

    def __init__(self) -> None:
        super().__init__()
        self._speaker = Speaker.in_process(Settings.given(), int(os.environ[_NUMBER]))

    def forward(self, data: dict[str, Any]) -> bytes:
        """The wav."""
        return self._speaker.speak(data)

    def serialize(self, data: bytes) -> bytes:
        """As it is."""
        return data


def main() -> None:
    """Serve until told to stop."""
    settings = Settings.given()
    os.environ |= {"MOSEC_ADDRESS": "127.0.0.1", "MOSEC_PORT": str(settings.port), "MOSEC_LOG_LEVEL": "warning"}
    if settings.timeout_s is not None:
        os.environ["MOSEC_TIMEOUT"] = str(round(1000 * settings.timeout_s))
    server = Server()
    count = len(settings.cores)
    server.append_worker(Speak, num=count, env=[{_NUMBER: str(number)} for number in range(count)], route=ROUTE)
    server.run()


if __name__ == "__main__":
    main()
