"""`tts-server bench vip`, `peers`, `instances` and what else proves a figure of record; and all of them, one by one."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from tts_server.bench_load_cli import add_common, add_outputs, add_texts, bench, make_setup
from tts_server.command import DONE, Failure, add_pack, checked, find_pack


def add_proofs(benches: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The benches that answer one question each."""
    vip = benches.add_parser(
        "vip",
        help="what VIPs feel while others overload the server",
        description="VIPs ask for short texts at a modest rate, from a client process of their own: alone, and while "
        "standard callers ask for twice what the server can do; round by round, whole answers and streamed ones (goal: "
        "p95 within 1.5 of what it is alone). The texts and the deadline that are given are the others'.",
    )
    vip.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    vip.add_argument("--seconds", type=float, default=15.0, help="of each load (default: %(default)g)")
    vip.add_argument("--warmup", type=float, default=3.0, help="seconds before each load (default: %(default)g)")
    vip.add_argument("--rate", type=float, default=5.0, help="VIPs' requests a second (default: %(default)g)")
    vip.add_argument(
        "--offer", type=float, metavar="R", help="others' requests a second (default: twice what users are answered)"
    )
    add_texts(vip, "mixed")
    add_common(vip, slo_ms=1000.0)
    vip.set_defaults(run=_vip, deadline_ms=1000)

    peers = benches.add_parser(
        "peers",
        help="this server beside others' with the same voice",
        description="Put the same voice behind MOSEC, LitServe, Ray Serve and a plain aiohttp server, each as it "
        "advises for CPUs, and behind this one with all that it does; then lay the same loads upon each in turn: 50 "
        "users with short texts; 80 %% of what it can do, one text in ten a paragraph; twice what it can do, VIPs "
        "beside. The others need the extra [peers], and are given phones.",
    )
    peers.add_argument("--peers", metavar="NAME,…", help="mosec, litserve, plain, ray (default: those installed)")
    peers.add_argument("--rounds", type=int, default=3, help="turns of each server (default: %(default)s)")
    peers.add_argument("--seconds", type=float, default=10.0, help="of each load (default: %(default)g)")
    peers.add_argument("--slo-ms", type=int, default=1000, help="what comes later is no good (default: %(default)s)")
    peers.add_argument(
        "--peer-timeout", type=float, metavar="S", help="seconds that peers give a request (default: their own)"
    )
    add_outputs(peers)
    add_pack(peers)
    peers.set_defaults(run=_peers)

    for name, users, help_ in (
        ("instances", 50, "two instances on two cores beside one on one"),
        ("batching", 500, "lines given to workers in batches, and one at a time"),
    ):
        told = "in turn, with users who do not wait: the ratio of their audio per second, and without what clients took"
        pair = benches.add_parser(name, help=help_, description=f"{help_.capitalize()}, {told}.")
        pair.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
        pair.add_argument("--seconds", type=float, default=10.0, help="of each turn (default: %(default)g)")
        pair.add_argument("--users", type=int, default=users, help="(default: %(default)s)")
        add_texts(pair, "sentence" if name == "instances" else "short")
        add_common(pair, slo_ms=500.0)
        pair.set_defaults(run=_pair, what=name)

    underruns = benches.add_parser(
        "underruns",
        help="whether streamed answers run dry, up to 80 %% of capacity",
        description="Streamed paragraphs: what users who do not wait are answered, and then 20, 40, 60 and 80 %%.",
    )
    underruns.add_argument("--seconds", type=float, default=10.0, help="of each load (default: %(default)g)")
    underruns.add_argument("--warmup", type=float, default=3.0, help="seconds before each load (default: %(default)g)")
    add_texts(underruns, "paragraph")
    add_common(underruns, slo_ms=500.0)
    underruns.set_defaults(run=_underruns)

    idle = benches.add_parser("idle", help="what a server takes that nobody asks for anything")
    idle.add_argument("--seconds", type=float, default=20.0, help="(default: %(default)g)")
    idle.add_argument("--serve", default="", metavar="OPTIONS", help="options of `serve`, in one word")
    add_outputs(idle)
    idle.set_defaults(run=_idle)

    all_ = benches.add_parser(
        "all",
        help="every figure of record, one bench after another, and the table of them",
        description="Run each bench whose figure has a goal, each as a process of its own, and write its result; then "
        "the table of figures, goals and what was measured, as Markdown and as a page. What fails is told.",
    )
    all_.add_argument("prefix", type=Path, metavar="PREFIX", help="of the files, such as bench/results/2026-11-22")
    all_.add_argument("--scale", type=float, default=1.0, help="times the usual length of each (default: %(default)g)")
    all_.add_argument("--only", metavar="NAME,…", help="some of them; the table has what earlier runs left")
    all_.set_defaults(run=_all)


def _vip(args: argparse.Namespace) -> int:
    from bench.vip import measure, report

    found = checked(lambda: make_setup(args, args.language, args.length))
    return bench(
        args,
        lambda: measure(
            found,
            rounds=args.rounds,
            seconds=args.seconds,
            rate_per_s=args.rate,
            offered_qps=args.offer,
            warmup_s=args.warmup,
        ),
        report,
    )


def _peers(args: argparse.Namespace) -> int:
    from bench.peers import measure, report

    pack = find_pack(args)
    names = args.peers.split(",") if args.peers is not None else None
    return bench(
        args,
        lambda: measure(
            pack,
            names,
            rounds=args.rounds,
            seconds=args.seconds,
            slo_ms=args.slo_ms,
            peer_timeout_s=args.peer_timeout,
        ),
        report,
    )


def _pair(args: argparse.Namespace) -> int:
    from bench import pairs

    measure = pairs.instances if args.what == "instances" else pairs.batching
    found = checked(lambda: make_setup(args, args.language, args.length))
    return bench(args, lambda: measure(found, rounds=args.rounds, seconds=args.seconds, users=args.users), pairs.report)


def _underruns(args: argparse.Namespace) -> int:
    from bench.underruns import measure, report

    found = checked(lambda: make_setup(args, args.language, args.length))
    return bench(args, lambda: measure(found, seconds=args.seconds, warmup_s=args.warmup), report)


def _idle(args: argparse.Namespace) -> int:
    from bench.idle import measure, report

    return bench(args, lambda: measure(tuple(shlex.split(args.serve)), seconds=args.seconds), report)


def _all(args: argparse.Namespace) -> int:
    from bench.table import as_text, run, write

    if not args.prefix.parent.is_dir():
        raise Failure(f"there is no folder {args.prefix.parent}")
    failed = checked(lambda: run(args.prefix, args.scale, args.only.split(",") if args.only else None))
    write(args.prefix)
    print(as_text(args.prefix))
    if failed:
        raise Failure(f"these failed, and why is said above: {', '.join(failed)}")
    return DONE
