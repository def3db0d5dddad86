"""Rules, alerts and the dashboard: judged by promtool; every query is asked of a Prometheus that watches a server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.test_service import ROOT, Server, serving
from tests.tts_server.redis_server import PROGRAM as REDIS
from tests.tts_server.redis_server import redis_server
from tts_server.metrics import Metrics

DEPLOY = ROOT / "deploy"
RULES, ALERTS = DEPLOY / "prometheus/rules.yml", DEPLOY / "prometheus/alerts.yml"
DASHBOARD = DEPLOY / "grafana/dashboards/tts-server.json"
WINDOW = "10s"
"""What is put in for Grafana's $__rate_interval: ten samples."""
RARE = {
    "tts_fallbacks_total": "only when an engine does not do",
    "tts_connections_cut_total": "only of those who misbehave",
    "tts_worker_restarts_total": "only when a worker dies",
    "tts_remote_tasks_total": "only where there are remote engines",
    "tts_breaker_state": "only of engines that were asked",
}
"""Metrics with labels of which there is no child until it happens."""

needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Every query of the dashboard as Grafana asks it for all instances, and every expression of a rule."""
    filled = {"$job": "tts", "$instance": ".+", "$__rate_interval": WINDOW}
    found = []
    for panel in panels():
        for target in panel["targets"]:
            expr = re.sub(r"\$\w+", lambda name: filled[name[0]], target["expr"])
            found.append(expr)
    return found + [rule["expr"] for rule in rules(RULES)]


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    told = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_alert_is_tried_and_says_what_to_do() -> None:
    tried = (DEPLOY / "prometheus/alerts_test.yml").read_text(encoding="utf-8")
    runbook = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for alert in rules(ALERTS):
        name = alert["alert"]
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        assert alert["annotations"]["summary"], name
        assert alert["annotations"]["runbook"], name
        assert f'alertname="{name}"' in tried, f"nobody has seen {name} fire"
        assert f"`{name}`" in runbook, f"docs/operations.md has no line for {name}"


def test_the_runbook_knows_no_alert_that_is_not_there() -> None:
    told = set(re.findall(r"`(Tts[A-Z]\w+)`", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    assert told == {alert["alert"] for alert in rules(ALERTS)}


def families() -> dict[str, tuple[str, ...]]:
    """Every name that the server's metrics have, and its labels."""
    found: dict[str, tuple[str, ...]] = {}
    for name, collector in Metrics().registry._names_to_collectors.items():
        labels = getattr(collector, "_labelnames", ())
        found[name] = (*labels, "le") if name.endswith("_bucket") else tuple(labels)
    worker = ("engine", "worker")
    found |= {f"process_{name}": () for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds")}
    return found | {"tts_worker_cpu_seconds_total": worker, "tts_worker_memory_bytes": (*worker, "kind"), "up": ()}


@pytest.mark.parametrize("file", [DASHBOARD, RULES, ALERTS], ids=lambda file: file.name)
def test_no_metric_is_asked_for_that_does_not_exist(file: Path) -> None:
    known = families()
    recorded = {rule["record"] for rule in rules(RULES)}
    exprs = [target["expr"] for panel in panels() for target in panel["targets"]] if file == DASHBOARD else []
    exprs += [rule["expr"] for rule in rules(file)] if file != DASHBOARD else []
    assert exprs
    for expr in exprs:
        for name, selector in re.findall(r"(?<![\w:])((?:tts|process|job|instance)[:_][\w:]+)(?:\{([^}]*)\})?", expr):
            assert name in known or name in recorded, expr
            if name in known:
                labels = set(re.findall(r"(\w+)\s*[=!]~?", selector)) - {"job", "instance"}
                assert labels <= set(known[name]), (expr, known[name])


def test_the_dashboard_is_what_its_maker_makes() -> None:
    pytest.importorskip("grafana_foundation_sdk")
    shown = subprocess.run(
        [sys.executable, str(DEPLOY / "grafana/make.py"), "--show"], capture_output=True, text=True, check=True
    ).stdout
    assert shown == DASHBOARD.read_text(encoding="utf-8"), "run deploy/grafana/make.py"


def test_grafanas_own_library_reads_the_dashboard() -> None:
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    read = models.Dashboard.from_json(json.loads(DASHBOARD.read_text(encoding="utf-8")))
    assert read.uid == "tts-server"
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())
    for panel in panels():
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == list("ABCDEFGH"[: len(refs)])
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


# --- a Prometheus at work --------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """One with our rules, which looks every second."""
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES), str(ALERTS)]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


async def ask(session: aiohttp.ClientSession, expr: str) -> list[dict[str, Any]]:
    async with session.get("/api/v1/query", params={"query": expr}) as answer:
        told = await answer.json()
    assert told["status"] == "success", (expr, told)
    result: list[dict[str, Any]] = told["data"]["result"]
    return [one for one in result if one["value"][1] != "NaN"]


async def ready(session: aiohttp.ClientSession) -> None:
    """It has read its rules, and answers."""
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get("/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


async def without_answer(session: aiohttp.ClientSession, exprs: list[str]) -> list[str]:
    """Those that have none within a minute. Prometheus has no other word for having looked often enough."""
    silent = exprs
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while silent:
                silent = [expr for expr in silent if not await ask(session, expr)]
                await asyncio.sleep(0.2)
    return silent


async def use(server: Server, stop: asyncio.Event) -> None:
    """Callers of every kind, until told."""
    number = 0
    async with aiohttp.ClientSession(server.url) as session:
        while not stop.is_set():
            number += 1
            bodies: tuple[dict[str, Any], ...] = (
                {"text": f"{number}号。"},
                {"text": "你好。", "stream": True},
                {"text": f"Number {number}. And on.", "engine": "standard", "format": "mp3"},
                {"text": ""},
            )
            for body in bodies:
                async with session.post("/api/tts", json=body) as answer:
                    await answer.read()
            if number == 1:
                async with session.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
                    assert answer.status == 202, await answer.text()
            await asyncio.sleep(0.05)  # callers come and go; the cores are others' too


@pytest.fixture
async def watched(voices_dir: Path, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A Prometheus that watches a server in use, with a Redis."""
    with (
        redis_server(tmp_path) as redis,
        serving(voices_dir, tmp_path / "state", "--redis-url", redis.url) as server,
        prometheus(server.url, tmp_path) as url,
    ):
        stop = asyncio.Event()
        using = asyncio.create_task(use(server, stop))
        try:
            async with aiohttp.ClientSession(url) as session:
                await ready(session)
                yield session
        finally:
            stop.set()
            await using


@needs_prometheus
@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")
async def test_every_query_has_an_answer(watched: aiohttp.ClientSession) -> None:
    asked = queries()
    rare = [expr for expr in asked if any(name in expr for name in RARE)]
    assert await without_answer(watched, [expr for expr in asked if expr not in rare]) == []
    for expr in [*rare, *(alert["expr"] for alert in rules(ALERTS))]:
        await ask(watched, expr)  # at least it is understood
    firing = await ask(watched, 'ALERTS{alertstate="firing"}')
    assert [one["metric"]["alertname"] for one in firing] == []
