"""`tts-server bench http`, `seed` and the other benches of a whole server: the flags of each."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tts_server.command import DONE, Failure, UsageError, add_pack, check_output, checked, find_pack

if TYPE_CHECKING:
    from bench.client import Load
    from bench.record import AnyResult
    from bench.rig import Setup

R = TypeVar("R", bound="AnyResult")

_HTTP = """\
Lay load upon a server and say what its callers feel. A server is started for
it and stopped at the end, unless --url names one. Closed loop: --users ask,
listen to the end, wait, and ask again. Open loop: requests are sent at --rate
whatever became of the ones before, and their latency counts from when they
were to be sent. Several numbers are levels, one after another.

  tts-server bench http --users 50
  tts-server bench http --users 1,10,50,200 --wait 1-3 --html report.html
  tts-server bench http --rate 20,40,60 --length mixed --stream --json a.json
  tts-server bench http --search --rate 20 --slo-ms 300

Every answer is checked: its status, that it decodes, that it is as long as its
text may sound and not silent. What fails is an error, whatever its speed."""


def add_load_benches(benches: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The benches that need a whole server."""
    http = benches.add_parser(
        "http",
        help="a server under load, as its callers feel it",
        description=_HTTP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    load = http.add_mutually_exclusive_group()
    load.add_argument("--users", type=_numbers, metavar="N,…", help="closed loop: so many callers (default: 50)")
    load.add_argument("--rate", type=_decimals, metavar="R,…", help="open loop: so many requests a second")
    http.add_argument("--search", action="store_true", help="find the highest rate that holds the SLO, from --rate on")
    http.add_argument("--arrivals", choices=("poisson", "constant"), default="poisson", help="of an open loop")
    http.add_argument(
        "--wait", type=_range, default=(0.0, 0.0), metavar="A-B", help="seconds between a user's requests"
    )
    http.add_argument("--seconds", type=float, default=20.0, help="of each level (default: %(default)g)")
    http.add_argument("--warmup", type=float, default=3.0, help="seconds before each level (default: %(default)g)")
    add_texts(http, "sentence")
    add_common(http, slo_ms=500.0)
    http.set_defaults(run=_bench_http)

    seed = benches.add_parser(
        "seed",
        help="the published test: 50, 200 and 500 users who wait 1 to 3 s",
        description="The published test, done again: 50, 200 and 500 users who ask for an ordinary Chinese sentence, "
        "listen to the end and wait 1 to 3 s. Every text is another one; --repeat has part of them come again, for "
        "the cache. bench/locustfile.py does the same for people who use Locust.",
    )
    seed.add_argument("--scale", type=float, default=1.0, help="times a minute for each (default: %(default)g)")
    seed.add_argument("--users", type=_numbers, default=(), metavar="N,…", help="others than 50,200,500")
    add_common(seed, slo_ms=412.0)
    seed.set_defaults(run=_bench_seed)

    soak = benches.add_parser(
        "soak",
        help="whether memory, open files or shared memory grow with requests",
        description="Have very many requests answered, of mixed lengths unless told otherwise, and look at the "
        "server's processes meanwhile: by how much memory grows with a thousand of them, and whether open files or "
        "segments of shared memory stay.",
    )
    soak.add_argument("--requests", type=int, default=20_000, help="(default: %(default)s)")
    soak.add_argument("--users", type=int, default=20, help="who ask without waiting (default: %(default)s)")
    add_texts(soak, "mixed")
    add_common(soak, slo_ms=500.0)
    soak.set_defaults(run=_bench_soak)

    coldstart = benches.add_parser(
        "coldstart",
        help="how soon a server speaks after its start",
        description="Start a server with no prepared models, and again with those of the first start: milliseconds "
        "until it serves, and until the first audio of a request.",
    )
    coldstart.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    coldstart.add_argument("--serve", default="", metavar="OPTIONS", help="options of `serve`, in one word")
    add_outputs(coldstart)
    coldstart.set_defaults(run=_bench_coldstart)

    efficiency = benches.add_parser(
        "efficiency",
        help="what the server makes of the machine, by what the nets alone make of it",
        description="The nets alone on all cores, and the server with users who do not wait, in turn; the ratio of "
        "their audio per second (goal: 0.95, the client's share of the cores taken off).",
    )
    efficiency.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    efficiency.add_argument(
        "--seconds", type=float, default=10.0, help="of each half of a round (default: %(default)g)"
    )
    efficiency.add_argument("--users", type=int, default=50, help="(default: %(default)s)")
    add_texts(efficiency, "sentence")
    add_pack(efficiency)
    add_common(efficiency, slo_ms=500.0)
    efficiency.set_defaults(run=_bench_efficiency)

    cached = benches.add_parser(
        "cached",
        help="what an answer from the cache costs, by what a bare aiohttp handler costs that returns as much",
        description="A server with keys, limits and its log, and a handler that returns as many bytes, in turn on one "
        "core; a client that asks for the same over and over on another one. The ratio of their answers per second, "
        "and of the processor time for each (goal: 0.6).",
    )
    cached.add_argument("--rounds", type=int, default=10, help="(default: %(default)s)")
    cached.add_argument("--seconds", type=float, default=2.0, help="of each half of a round (default: %(default)g)")
    cached.add_argument("--serve", default="", metavar="OPTIONS", help="options of `serve`, in one word")
    add_outputs(cached)
    cached.set_defaults(run=_bench_cached)

    compare = benches.add_parser("compare", help="two results of the above, side by side: ratios with their spread")
    compare.add_argument("first", type=Path, metavar="A.json")
    compare.add_argument("second", type=Path, metavar="B.json", help="is it better than the first?")
    compare.set_defaults(run=_compare)

    schema = benches.add_parser("schema", help="the form of --json, as JSON Schema")
    schema.add_argument("--docs", action="store_true", help="instead, the tables at the end of docs/bench.md")
    schema.set_defaults(run=_schema)


def add_texts(parser: argparse.ArgumentParser, length: str) -> None:
    """The flags of what is asked for."""
    parser.add_argument(
        "--language", choices=("zh", "en", "mixed"), default="zh", help="of the texts (default: %(default)s)"
    )
    parser.add_argument(
        "--length",
        choices=("short", "sentence", "paragraph", "mixed"),
        default=length,
        help="of the texts; paragraphs have 100 to 300 Chinese characters, and one in ten of mixed is one "
        "(default: %(default)s)",
    )


def add_common(parser: argparse.ArgumentParser, *, slo_ms: float) -> None:
    """The flags of who is asked, and how."""
    parser.add_argument("--url", help="of a server that runs; without it one is started")
    parser.add_argument("--pid", type=int, help="of that server's process, if it is to be watched")
    parser.add_argument(
        "--serve", default="", metavar="OPTIONS", help="options of `serve` for the one that is started, in one word"
    )
    parser.add_argument("--cache", action="store_true", help="let the server that is started keep what it said")
    parser.add_argument(
        "--key", default=os.environ.get("TTS_BENCH_KEY"), help="sent with each request (default: $TTS_BENCH_KEY)"
    )
    parser.add_argument("--voice", default="female", help="(default: %(default)s)")
    parser.add_argument("--engine", help="(default: the server's first)")
    parser.add_argument(
        "--format", choices=("wav", "pcm", "flac", "opus", "mp3"), default="wav", help="(default: %(default)s)"
    )
    parser.add_argument("--stream", action="store_true", help="have the audio as it is made")
    parser.add_argument("--repeat", type=float, default=0.0, metavar="PART", help="of requests, whose text came before")
    parser.add_argument(
        "--text-seed", type=int, help="other texts (default: by the clock, so that no cache knows them)"
    )
    parser.add_argument(
        "--syllable",
        type=_range,
        metavar="A-B",
        help="seconds that a syllable of a plausible answer may take (default: 0.15-0.6)",
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds, for an answer (default: %(default)g)")
    parser.add_argument("--deadline-ms", type=int, metavar="MS", help="sent as X-Deadline-Ms (default: none)")
    parser.add_argument("--clients", type=int, default=1, help="processes that ask (default: %(default)s)")
    parser.add_argument(
        "--slo-ms",
        type=float,
        default=slo_ms,
        help="an answer is good within it: its end, or if streamed its first audio (default: %(default)g)",
    )
    add_outputs(parser)


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The flags of where the result goes."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the result there too; docs/bench.md has its form"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with plots there")
    parser.add_argument("--note", default="", help="what the reader of the result should know")


def _bench_http(args: argparse.Namespace) -> int:
    from bench.client import Load
    from bench.load import measure, report, search

    setup = checked(lambda: make_setup(args, args.language, args.length))

    def load(users: int, rate: float) -> Load:
        return Load(users, args.wait, rate, args.arrivals, args.warmup, args.seconds)

    loads = checked(lambda: [load(0, rate) for rate in args.rate or ()] or [load(n, 0) for n in args.users or (50,)])
    if args.search:
        if len(args.rate or ()) != 1:
            raise UsageError("a search begins with one rate: give --rate")
        return bench(args, lambda: search(setup, loads[0]), report)
    return bench(args, lambda: measure(setup, loads), report)


def _bench_seed(args: argparse.Namespace) -> int:
    from bench.seed import loads, report, run
    from bench.texts import SEED_TEXTS

    setup, levels = checked(lambda: (make_setup(args, SEED_TEXTS, "sentence"), loads(args.scale, args.users)))
    return bench(args, lambda: run(setup, levels), report)


def _bench_soak(args: argparse.Namespace) -> int:
    from bench.soak import measure, report

    setup = checked(lambda: make_setup(args, args.language, args.length))
    return bench(args, lambda: measure(setup, requests=args.requests, users=args.users), report)


def _bench_coldstart(args: argparse.Namespace) -> int:
    from bench.coldstart import measure, report

    return bench(args, lambda: measure(tuple(shlex.split(args.serve)), rounds=args.rounds), report)


def _bench_efficiency(args: argparse.Namespace) -> int:
    from bench.efficiency import measure, report

    setup = checked(lambda: make_setup(args, args.language, args.length))
    pack = find_pack(args)
    return bench(
        args,
        lambda: measure(setup, pack, rounds=args.rounds, seconds=args.seconds, users=args.users),
        report,
    )


def _bench_cached(args: argparse.Namespace) -> int:
    from bench.cached import measure, report

    serve = tuple(shlex.split(args.serve))
    return bench(args, lambda: measure(serve, rounds=args.rounds, seconds=args.seconds), report)


def _compare(args: argparse.Namespace) -> int:
    from bench.compare import compare_files

    print(checked(lambda: compare_files(args.first, args.second)))
    return DONE


def _schema(args: argparse.Namespace) -> int:
    import json

    from bench.record import schema
    from bench.record_listing import as_markdown

    print(as_markdown() if args.docs else json.dumps(schema(), ensure_ascii=False, indent=2))
    return DONE


def make_setup(args: argparse.Namespace, language: str, length: str) -> Setup:
    """What the flags of `add_common` say."""
    import time

    from bench.caller import Ask
    from bench.check import Bounds
    from bench.rig import Setup
    from bench.texts import TextPlan

    seed = int(time.time()) % 100_000 if args.text_seed is None else args.text_seed
    bounds = Bounds(*args.syllable) if args.syllable else Bounds()
    return Setup(
        url=args.url,
        pid=args.pid,
        serve=tuple(shlex.split(args.serve)),
        cache=args.cache or args.repeat > 0,
        ask=Ask(
            "", args.key, args.voice, args.engine, args.format, args.stream, args.timeout, bounds, args.deadline_ms
        ),
        texts=TextPlan(language, length, args.repeat, seed),
        clients=args.clients,
        slo_ms=args.slo_ms,
    )


def bench(args: argparse.Namespace, measure: Callable[[], R], report: Callable[[R], str]) -> int:
    """Measure, tell, and write what is to be written."""
    from bench.engine import BenchError
    from bench.page import can_draw, write_page
    from bench.record import record, write
    from inference.pack import PackError

    for output in (args.json, args.html):
        if output is not None:
            check_output(output)
    if args.html is not None and not can_draw():
        raise UsageError("plots need matplotlib: pip install 'tts-server[bench]', or leave --html out")
    try:
        result = checked(measure)
    except (BenchError, PackError) as error:
        raise Failure(str(error)) from error
    print(report(result))
    found = record(result, args.note)
    if args.json is not None:
        write(found, args.json)
    if args.html is not None:
        write_page(found, args.html)
    return DONE


def _numbers(written: str) -> tuple[int, ...]:
    return tuple(int(part) for part in written.split(","))


def _decimals(written: str) -> tuple[float, ...]:
    return tuple(float(part) for part in written.split(","))


def _range(written: str) -> tuple[float, float]:
    low, _, high = written.partition("-")
    return float(low), float(high or low)
