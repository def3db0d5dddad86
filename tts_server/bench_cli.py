"""`tts-server bench`: what can be measured, and the flags of each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tts_server.bench_load_cli import add_load_benches
from tts_server.bench_proof_cli import add_proofs
from tts_server.command import DONE, Failure, add_pack, check_output, checked, find_pack

T = TypeVar("T")


def add_benches(bench: argparse.ArgumentParser) -> None:
    """What `bench` can measure."""
    benches = bench.add_subparsers(metavar="WHAT", required=True)
    engine = benches.add_parser("engine", help="how fast a voice is on this machine")
    engine.add_argument("--seconds", type=float, default=10.0, help="how long to measure (default: %(default)g)")
    engine.add_argument("--cores", type=int, help="how many cores, a process on each (default: all it may use)")
    engine.add_argument("--batch", type=int, default=1, help="sentences in one run of a graph (default: %(default)s)")
    engine.add_argument("--precision", choices=("int8", "fp32"), help="insist that the pack is of this precision")
    engine.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    add_pack(engine)
    engine.set_defaults(run=_bench_engine)

    frontend = benches.add_parser(
        "frontend",
        help="what reading a text costs, beside speaking it",
        description="Measure the text front end on one core: microseconds per character for plain Chinese, Chinese "
        "with digits, English and mixed text, and what part that is of the voice's time for the same text (goal: at "
        "most 5 %%); milliseconds for a Chinese sentence of 30 characters (goals: 0.3, and 1 with digits); seconds for "
        "floods of hostile text (goal: 2 per MB). Seconds are the processor's: other programs lengthen them little.",
    )
    frontend.add_argument("--sentences", type=int, default=400, help="of each kind of text (default: %(default)s)")
    frontend.add_argument(
        "--hostile-bytes", type=int, default=1_000_000, metavar="N", help="of each flood (default: %(default)s)"
    )
    frontend.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the result there too: kinds (us_per_character, voice_us_per_character, share, …), "
        "plain_sentence_ms, digits_sentence_ms, hostile_seconds, cpu, versions, date",
    )
    add_pack(frontend)
    frontend.set_defaults(run=_bench_frontend)

    batch = benches.add_parser(
        "batch",
        help="what it brings to speak several lines in one run",
        description="Speak words, phrases and sentences one by one and two, four and eight in a run, in turn, on one "
        "core: short lines gain by it, sentences do not. The server does what this shows.",
    )
    batch.add_argument("--rounds", type=int, default=15, help="medians of so many (default: %(default)s)")
    batch.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    add_pack(batch)
    batch.set_defaults(run=_bench_batch)

    ring = benches.add_parser(
        "ring",
        help="the shared-memory ring beside Queue, Pipe and a Unix socket",
        description="Two pinned processes send one another messages of 64 bytes, 4 KiB and 1 MiB: messages a second "
        "one way, and microseconds there and back (goals: 10 times Queue at 1 MiB; a median under 50 µs while both "
        "sides are awake). It wants two cores with nothing else to do.",
    )
    ring.add_argument("--seconds", type=float, default=1.0, help="for each figure (default: %(default)g)")
    ring.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    ring.set_defaults(run=_bench_ring)

    memory = benches.add_parser(
        "memory",
        help="what each further worker costs in memory, and where it goes",
        description="Start workers one after another, let each speak, and read what the system says of their memory: "
        "RSS, PSS (pages in common are shared out) and USS (pages of its own). Then take one apart: Python, "
        "dictionaries, onnxruntime, the voice, working buffers. A MiB is 1,048,576 bytes.",
    )
    memory.add_argument("--workers", type=int, default=3, help="how many (default: %(default)s)")
    memory.add_argument("--own-weights", action="store_true", help="each worker packs its own weights, for comparison")
    memory.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    add_pack(memory)
    memory.set_defaults(run=_bench_memory)

    add_load_benches(benches)
    add_proofs(benches)


def _bench_engine(args: argparse.Namespace) -> int:
    from bench.engine import measure, report, write_json

    pack = find_pack(args)
    return _bench(
        args,
        lambda: measure(pack, seconds=args.seconds, cores=args.cores, batch=args.batch, precision=args.precision),
        report,
        write_json,
    )


def _bench_frontend(args: argparse.Namespace) -> int:
    from bench.frontend import measure, report, write_json

    pack = find_pack(args)
    return _bench(
        args,
        lambda: measure(pack, sentences=args.sentences, hostile_bytes=args.hostile_bytes),
        report,
        write_json,
    )


def _bench_batch(args: argparse.Namespace) -> int:
    from bench.batch import measure, report, write_json

    pack = find_pack(args)
    return _bench(args, lambda: measure(pack, rounds=args.rounds), report, write_json)


def _bench_ring(args: argparse.Namespace) -> int:
    from bench.ring import measure, report, write_json

    return _bench(args, lambda: measure(seconds=args.seconds), report, write_json)


def _bench_memory(args: argparse.Namespace) -> int:
    from bench.memory import measure, report, write_json

    pack = find_pack(args)
    return _bench(
        args, lambda: measure(pack, workers=args.workers, shared_weights=not args.own_weights), report, write_json
    )


def _bench(
    args: argparse.Namespace,
    measure: Callable[[], T],
    report: Callable[[T], str],
    write_json: Callable[[T, Path], None],
) -> int:
    from bench.engine import BenchError
    from inference.pack import PackError
    from shm.segment import SegmentError

    if args.json is not None:
        check_output(args.json)
    try:
        result = checked(measure)
    except (BenchError, PackError, SegmentError) as error:
        raise Failure(str(error)) from error
    print(report(result))
    if args.json is not None:
        write_json(result, args.json)
    return DONE
