"""The one place that opens an onnxruntime session, so that every room runs a graph under the same settings."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def open_session(graph: Path, *, threads: int = 1, optimised: bool = False) -> ort.InferenceSession:
    """A CPU session for `graph`, which may be `optimised` already, for this machine, under these settings.

    Whoever pins a process does so before this: onnxruntime reads the affinity here.
    """
    options = session_options(threads)
    if optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(graph), sess_options=options, providers=["CPUExecutionProvider"])


def session_options(threads: int = 1) -> ort.SessionOptions:
    """The settings, each with its reason."""
    options = ort.SessionOptions()
    # One thread in a pinned process: cores are filled by processes, each with a sentence of its own, and never wait for
    # one another inside an operator.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # An idle voice must not burn its core waiting for work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # All fusions, the CPU's own layouts too: 275 against 244 times real time with the extended level (int8, 256 wide).
    # The graphs we ship are saved unoptimised, so that this happens on the machine which runs them.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # The arena stays: without it big blocks are mapped and unmapped on every run (248 against 275 times real time). It
    # costs some 25 MiB and then grows no further: 125 after 1,000 sentences of 1 to 20 s as after 3,000, 92 to 102
    # without it. Extended only as requested, or shrunk after every run, it takes more: 154 and 207.
    options.enable_cpu_mem_arena = True
    # A memory pattern is kept for each input shape; sentences hardly ever repeat one: 4 MiB more, and no faster.
    options.enable_mem_pattern = False
    # Sounds that die away end in denormal numbers, which are many times slower to add.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.log_severity_level = 3  # errors only: they arrive as exceptions anyway
    return options
