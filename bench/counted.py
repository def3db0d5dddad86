"""What a server counted between two looks at its /metrics; pure."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""A value for each name with its labels."""


def parse(exposition: str) -> Samples:
    """What /metrics says; ValueError if that is none."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def grown(before: Samples, after: Samples, name: str, **labels: str) -> float:
    """By how much a counter grew, all of its series that have these labels together."""
    keys = [key for key in after if key[0] == name and labels.items() <= dict(key[1]).items()]
    return sum(after[key] - before.get(key, 0.0) for key in keys)


def batch_sizes(before: Samples, after: Samples) -> dict[str, float]:
    """Batches by the bound of their bucket, of all engines together."""
    totals: dict[str, float] = {}
    for name, labels in after:
        if name == "tts_batch_size_bucket":
            bound = dict(labels)["le"]
            totals[bound] = grown(before, after, name, le=bound)
    bounds = sorted(totals, key=float)
    below = [0.0, *(totals[bound] for bound in bounds)]
    counts = {bound: totals[bound] - smaller for bound, smaller in zip(bounds, below, strict=False)}
    return {bound.removesuffix(".0"): count for bound, count in counts.items() if count}


def mean_batch(before: Samples, after: Samples) -> float | None:
    """Jobs in a batch; None if there was none."""
    batches = grown(before, after, "tts_batch_size_count")
    return grown(before, after, "tts_batch_size_sum") / batches if batches else None


def cache_hits(before: Samples, after: Samples) -> float | None:
    """The part of questions to the cache in memory that it could answer; None if it was not asked."""
    asked = grown(before, after, "tts_cache_requests_total", level="memory")
    hits = grown(before, after, "tts_cache_requests_total", level="memory", result="hit")
    return hits / asked if asked else None
