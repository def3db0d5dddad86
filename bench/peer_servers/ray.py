"""Ray Serve: a replica with a core of its own each, in what its documentation calls high throughput: HAProxy as the
front end, and the shorter ways inside. It is Ray with all that belongs to it, on one machine.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bench.peer_servers.speaker import MEDIA_TYPE, ROUTE, Settings, Speaker

_OBJECTS_BYTES: Final = 100 << 20  # about the least that it takes; answers do not go that way


class Speak:
    """One of the replicas."""

    def __init__(self, settings: Settings) -> None:
        from ray import serve

        rank = serve.get_replica_context().rank.local_rank
        self._speaker = Speaker.in_process(settings, rank % len(settings.cores))

    async def __call__(self, request: Request) -> Response:
        """The wav."""
        return Response(self._speaker.speak(await request.json()), media_type=MEDIA_TYPE)


def main() -> None:
    """Serve until told to stop."""
    settings = Settings.given()
    folder = Path(settings.folder)
    os.environ |= _environment(folder / "haproxy")  # Ray reads it as it is imported, and its processes inherit it
    import ray
    from ray import serve

    ray.init(
        num_cpus=len(settings.cores),
        include_dashboard=False,
        object_store_memory=_OBJECTS_BYTES,
        log_to_driver=False,
        _temp_dir=str(folder / "ray"),
        _node_ip_address="127.0.0.1",
    )
    serve.start(http_options={"host": "127.0.0.1", "port": settings.port, "request_timeout_s": settings.timeout_s})
    replicas = serve.deployment(num_replicas=len(settings.cores), ray_actor_options={"num_cpus": 1})(Speak)
    serve.run(replicas.bind(settings), route_prefix=ROUTE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # after Ray, which has its own
    stop.wait()
    ray.shutdown()


def _environment(haproxy: Path) -> Mapping[str, str]:
    haproxy.mkdir()
    return {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # else its front end waits for our workers
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else it puts one into the home folder
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
