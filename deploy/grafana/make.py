"""The dashboard, by Grafana's own library: `python deploy/grafana/make.py` writes dashboards/tts-server.json.

`pip install grafana-foundation-sdk` first (extra [dev]). tests/deploy/test_prometheus.py holds the file to this, and
asks a Prometheus that watches a server at work for every line of it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FILE: Final = Path(__file__).with_name("dashboards") / "tts-server.json"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

ME: Final = 'job="$job", instance=~"$instance"'
SPEECH: Final = rf'{ME}, route=~"/api/tts|(/v1)?/audio/speech"'
RATE: Final = "[$__rate_interval]"

Kind = Literal["lines", "stack", "number", "heat"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, in which unit, and its queries, each with what its lines are called."""

    title: str
    unit: str
    queries: dict[str, str]
    """Expressions by legend."""
    kind: Kind = "lines"
    what: str = ""
    steps: dict[float, str] = field(default_factory=dict)
    """Colours from a value on; below the first it is green."""


def quantile(share: float, histogram: str, by: str = "", selector: str = ME) -> str:
    """The value below which that share of what was observed lies."""
    return f"histogram_quantile({share}, sum by ({by}le) (rate({histogram}_bucket{{{selector}}}{RATE})))"


def total(counter: str, by: str = "", selector: str = ME) -> str:
    """How much a second, together or by some labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({counter}{{{selector}}}{RATE}))"


FAILED: Final = f'(sum(rate(tts_requests_total{{{SPEECH}, status=~"5.."}}{RATE})) or vector(0))'

ROWS: Final[dict[str, list[Panel]]] = {
    "At a glance": [
        Panel("Instances", "none", {"": f"sum(up{{{ME}}})"}, "number", "That answer when they are asked for metrics."),
        Panel("Requests for speech", "reqps", {"": total("tts_requests_total", selector=SPEECH)}, "number"),
        Panel(
            "Failed",
            "percentunit",
            {"": f"{FAILED} / {total('tts_requests_total', selector=SPEECH)}"},
            "number",
            "Answered by 5xx, refusals for overload among them. Promised: one of a thousand.",
            {0.001: "orange", 0.01: "red"},
        ),
        Panel(
            "First audio, p95",
            "s",
            {"": quantile(0.95, "tts_first_audio_seconds")},
            "number",
            "From a request's arrival. Promised: a second.",
            {0.5: "orange", 1.0: "red"},
        ),
        Panel("Waiting", "none", {"": f"sum(tts_queue_depth{{{ME}}})"}, "number", "Jobs without a worker."),
        Panel("Speech made", "none", {"": total("tts_audio_seconds_total")}, "number", "Seconds of audio a second."),
        Panel(
            "From the cache",
            "percentunit",
            {
                "": f'sum(rate(tts_cache_requests_total{{{ME}, kind="answer", result="hit"}}{RATE}))'
                f' / sum(rate(tts_cache_requests_total{{{ME}, kind="answer", level="memory"}}{RATE}))'
            },
            "number",
            "Whole answers that were there already.",
        ),
        Panel(
            "Degradation",
            "none",
            {"": f"max(tts_degradation_level{{{ME}}})"},
            "number",
            "0 nothing is left undone, 1 no previews, 2 ordinary requests wait behind, 3 they go to a faster engine, "
            "4 they are refused.",
            {1: "orange", 3: "red"},
        ),
    ],
    "Promises": [
        Panel(
            "Failed requests, of all",
            "percentunit",
            {
                "5 minutes": 'job:tts_errors:ratio_rate5m{job="$job"}',
                "1 hour": 'job:tts_errors:ratio_rate1h{job="$job"}',
                "6 hours": 'job:tts_errors:ratio_rate6h{job="$job"}',
                "3 days": 'job:tts_errors:ratio_rate3d{job="$job"}',
            },
            what="Somebody is woken at 1.44 % over an hour, or 0.6 % over six.",
        ),
        Panel(
            "First audio later than a second, of all",
            "percentunit",
            {
                "5 minutes": 'job:tts_late:ratio_rate5m{job="$job"}',
                "1 hour": 'job:tts_late:ratio_rate1h{job="$job"}',
                "6 hours": 'job:tts_late:ratio_rate6h{job="$job"}',
            },
        ),
        Panel(
            "Errors left this month",
            "percentunit",
            {"": '1 - job:tts_errors:ratio_rate3d{job="$job"} / 0.001'},
            "number",
            "If it went on as in the last three days. Below zero more fails than was promised.",
        ),
        Panel(
            "Alerts",
            "none",
            {"{{alertname}}": 'count by (alertname) (ALERTS{alertstate="firing", alertname=~"Tts.*"}) or vector(0)'},
        ),
    ],
    "Callers": [
        Panel("Requests by route", "reqps", {"{{route}}": total("tts_requests_total", "route")}, "stack"),
        Panel("Answers by status", "reqps", {"{{status}}": total("tts_requests_total", "status", SPEECH)}, "stack"),
        Panel(
            "Until the last byte",
            "s",
            {
                f"p{share * 100:g} {{{{route}}}}": quantile(share, "tts_request_seconds", "route, ", SPEECH)
                for share in (0.5, 0.95, 0.99)
            },
        ),
        Panel(
            "Until the first audio",
            "s",
            {f"p{share * 100:g}": quantile(share, "tts_first_audio_seconds") for share in (0.5, 0.95, 0.99)},
        ),
        Panel("First audio", "s", {"{{le}}": total("tts_first_audio_seconds_bucket", "le")}, "heat"),
        Panel("How jobs end", "reqps", {"{{outcome}}": total("tts_jobs_total", "outcome")}, "stack"),
        Panel(
            "Spoken by another engine",
            "reqps",
            {"{{from}} to {{to}}: {{reason}}": total("tts_fallbacks_total", "from, to, reason")},
        ),
        Panel("Connections cut", "cps", {"{{reason}}": total("tts_connections_cut_total", "reason")}),
    ],
    "Queue and workers": [
        Panel("Jobs that wait", "none", {"{{instance}} {{engine}}": f"tts_queue_depth{{{ME}}}"}),
        Panel(
            "Wait for a worker",
            "s",
            {
                f"p{share * 100:g} {{{{instance}}}}": quantile(share, "tts_queue_seconds", "instance, ")
                for share in (0.5, 0.95)
            },
            what="By this instances are added. Beyond max_queue_s (10) requests are refused.",
        ),
        Panel(
            "Jobs to a batch",
            "none",
            {"{{engine}}": f"{total('tts_batch_size_sum', 'engine')} / {total('tts_batch_size_count', 'engine')}"},
        ),
        Panel("A piece of audio", "s", {"p95 {{engine}}": quantile(0.95, "tts_inference_seconds", "engine, ")}),
        Panel("Speech made", "none", {"{{engine}}": total("tts_audio_seconds_total", "engine")}, "stack"),
        Panel(
            "Cores at work",
            "none",
            {"{{instance}} {{engine}}": total("tts_worker_cpu_seconds_total", "instance, engine")},
            "stack",
        ),
        Panel(
            "Memory of workers",
            "bytes",
            {"{{instance}} {{engine}} {{worker}}": f'tts_worker_memory_bytes{{{ME}, kind="pss"}}'},
            what="What is shared is divided among those who share it.",
        ),
        Panel(
            "Workers replaced, in a quarter of an hour",
            "none",
            {
                "{{engine}}: {{reason}}": f"sum by (engine, reason) (increase(tts_worker_restarts_total{{{ME}}}[15m]))",
            },
        ),
        Panel(
            "Breakers",
            "none",
            {"{{instance}} {{engine}}": f"tts_breaker_state{{{ME}}}"},
            what="0 closed: the engine is asked. 1 half open: by one request. 2 open: it is not.",
        ),
        Panel(
            "Texts sent to remote engines",
            "reqps",
            {"{{engine}}: {{outcome}}": total("tts_remote_tasks_total", "engine, outcome")},
        ),
        Panel("Degradation", "none", {"{{instance}}": f"tts_degradation_level{{{ME}}}"}),
    ],
    "Cache": [
        Panel(
            "Answered by the cache",
            "percentunit",
            {"{{kind}}": 'job:tts_cache_hits:ratio_rate5m{job="$job"}'},
            what="An answer that is not there may still consist of lines that are.",
        ),
        Panel("Memory", "bytes", {"{{instance}}": f"tts_cache_bytes{{{ME}}}"}),
        Panel(
            "Questions to Redis",
            "reqps",
            {"{{result}}": f'sum by (result) (rate(tts_cache_requests_total{{{ME}, level="redis"}}{RATE}))'},
            "stack",
        ),
    ],
    "Long jobs": [
        Panel("Unfinished", "none", {"{{state}}": f"max by (state) (tts_long_jobs_unfinished{{{ME}}})"}),
        Panel(
            "Accepted and ended",
            "none",
            {"{{outcome}}": f"sum by (outcome) (increase(tts_long_jobs_total{{{ME}}}[15m]))"},
        ),
        Panel("Calls back", "none", {"{{state}}": f"sum by (state) (increase(tts_callbacks_total{{{ME}}}[15m]))"}),
    ],
    "The server process": [
        Panel("Memory", "bytes", {"{{instance}}": f"process_resident_memory_bytes{{{ME}}}"}),
        Panel(
            "Processor", "none", {"{{instance}}": total("process_cpu_seconds_total", "instance")}, what="Of one core."
        ),
        Panel(
            "Event loop late by",
            "s",
            {"p99 {{instance}}": quantile(0.99, "tts_event_loop_lag_seconds", "instance, ")},
        ),
        Panel(
            "Open files",
            "percentunit",
            {"{{instance}}": f"process_open_fds{{{ME}}} / process_max_fds{{{ME}}}"},
        ),
        Panel("Encoding, of one core", "none", {"{{format}}": total("tts_encode_seconds_sum", "format")}, "stack"),
        Panel("Releases", "none", {"{{version}}": f"count by (version) (tts_build_info{{{ME}}})"}),
    ],
}


def query(ref_id: str, expr: str, legend: str, kind: Kind) -> prometheus.Dataquery:
    """One query of a panel."""
    made = prometheus.Dataquery().datasource(SOURCE).expr(expr).legend_format(legend).range().ref_id(ref_id)
    return made.format(PromQueryFormat.HEATMAP) if kind == "heat" else made


def drawn(panel: Panel) -> timeseries.Panel | stat.Panel | heatmap.Panel:
    """A panel as the library has it; a row holds four, of the numbers eight."""
    made: timeseries.Panel | stat.Panel | heatmap.Panel
    if panel.kind == "number":
        made = stat.Panel().graph_mode(BigValueGraphMode.AREA).color_mode(BigValueColorMode.VALUE).height(4).span(3)
        made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        steps = [Threshold(value=None, color="green"), *(Threshold(value=at, color=c) for at, c in panel.steps.items())]
        made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    elif panel.kind == "heat":
        made = heatmap.Panel().height(7).span(6)
    else:
        made = timeseries.Panel().height(7).span(6).fill_opacity(20 if panel.kind == "stack" else 0).min(0)
        made.legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True))
        made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        if panel.kind == "stack":
            made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    made.no_value("none")
    made.title(panel.title).description(panel.what).unit(panel.unit).datasource(SOURCE)
    for ref_id, (legend, expr) in zip("ABCDEFGH", panel.queries.items(), strict=False):
        made.with_target(query(ref_id, expr, legend, panel.kind))
    return made


def made() -> str:
    """The dashboard as Grafana reads it."""
    board = (
        dashboard.Dashboard("tts-server")
        .uid("tts-server")
        .tags(["tts"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(variable("job", "label_values(tts_build_info, job)"))
        .with_variable(
            variable("instance", 'label_values(tts_build_info{job="$job"}, instance)')
            .multi(True)
            .include_all(True)
            .all_value(".+")
        )
    )
    for title, panels in ROWS.items():
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(drawn(panel))
    return f"{JSONEncoder(sort_keys=True, indent=2).encode(board.build())}\n"


def variable(name: str, values: str) -> dashboard.QueryVariable:
    """A choice at the top of the page."""
    asked = dashboard.QueryVariable(name).label(name.capitalize()).query(values).datasource(SOURCE)
    return asked.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        sys.stdout.write(made())
    else:
        FILE.write_text(made(), encoding="utf-8")
