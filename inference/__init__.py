"""Text to speech in one process. `run_worker` is what a spawned process calls; importing this loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.protocol import WorkerSpec
    from shm.channel import Address


def run_worker(spec: WorkerSpec, address: Address) -> None:
    """The whole life of a worker process: `inference.worker`, loaded only where it runs."""
    from inference import worker

    worker.run_worker(spec, address)
