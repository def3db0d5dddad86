"""`bench seed` for people who use Locust: the same users, waits, texts and checks.

    locust -f bench/locustfile.py --host http://127.0.0.1:8000 --headless -u 50 -r 25 -t 1m

Locust is not needed by anything else here: `pip install '.[locust]'`. TTS_BENCH_REPEAT=0.5 repeats half of the texts,
TTS_BENCH_KEY is sent as the key.
"""

from __future__ import annotations

import os
import time
from itertools import count

from locust import HttpUser, between, task

from bench.check import Bounds, WrongAnswer, check
from bench.seed import WAIT_S
from bench.texts import SEED_TEXTS, TextPlan, texts

_PLAN = TextPlan(SEED_TEXTS, repeat=float(os.environ.get("TTS_BENCH_REPEAT", "0")), seed=int(time.time()) % 100_000)
_KEY = os.environ.get("TTS_BENCH_KEY")
_MOST_USERS = 100_000  # each has texts of its own
_numbers = count()


class Listener(HttpUser):
    """Asks for a sentence, hears it to its end, waits."""

    wait_time = between(*WAIT_S)

    def on_start(self) -> None:
        """Texts that nobody else asks for."""
        self._texts = texts(_PLAN, next(_numbers), _MOST_USERS)
        if _KEY:
            self.client.headers["Authorization"] = f"Bearer {_KEY}"

    @task
    def speak(self) -> None:
        """One request; a wrong answer is a failure."""
        text = next(self._texts).text
        body = {"text": text, "voice": "female", "format": "wav"}
        with self.client.post("/api/tts", json=body, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return
            try:
                check(text, "wav", response.content, 0, Bounds())
            except WrongAnswer as wrong:
                response.failure(wrong.kind)
