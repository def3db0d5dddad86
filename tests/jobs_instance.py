"""A whole server, with workers of its own that say what `tests.engines` says, fifty lines a second.

`python -m tests.jobs_instance '{"port": 0, …}'`, the settings as JSON.
"""

from __future__ import annotations

import json
import sys
import time

from inference.engine import Broken, Piece
from inference.protocol import WorkerSpec
from tests.engines import ToneEngine
from tts_server.config import Settings
from tts_server.gateway import SpeechGateway
from tts_server.metrics import Metrics
from tts_server.router import Router
from tts_server.server import run

LINE_S = 0.02


class UnhurriedEngine(ToneEngine):
    def step(self) -> list[Piece | Broken]:
        time.sleep(LINE_S)
        return super().step()


def load(_: WorkerSpec) -> UnhurriedEngine:
    return UnhurriedEngine()


def make(settings: Settings, metrics: Metrics) -> Router:
    return Router(settings, metrics, SpeechGateway(settings, metrics, load=load))


if __name__ == "__main__":
    raise SystemExit(run(Settings.model_validate(json.loads(sys.argv[1])), make_gateway=make))
