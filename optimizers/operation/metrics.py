"""Figures for Prometheus, on a port of their own: runs, the queue, durations of stages, worker processes, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, get_args

import psutil
from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from optimizers.records import RunState

if TYPE_CHECKING:
    from optimizers.engine.queue import JobQueue

_CHILD = "optimizers.engine.child"
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)

registry = CollectorRegistry()
_stages = Histogram(
    "paretoscope_stage_seconds",
    "Time a stage of a run took in this process, from when it was asked for",
    ("technique", "origin"),
    buckets=_SECONDS,
    registry=registry,
)


def stage_ended(technique: str, origin: str, seconds: float) -> None:
    """Notes how long a stage took. ``origin``: it was computed, or it was in the store."""
    _stages.labels(technique, origin).observe(seconds)


class Figures(Collector):
    """What is counted when somebody asks.

    Args:
        queue: Gives the queue, or None where it is not open (yet).
    """

    def __init__(self, queue: Callable[[], JobQueue | None]) -> None:
        self._queue = queue

    def collect(self) -> Iterator[GaugeMetricFamily]:
        queue = self._queue()
        if queue is not None and not queue.closing:
            yield from _runs(queue)
            free = shutil.disk_usage(queue.settings.home).free
            yield GaugeMetricFamily("paretoscope_disk_free_bytes", "Free disk below the app's home", value=free)
        yield from _workers()


def _runs(queue: JobQueue) -> Iterator[GaugeMetricFamily]:
    counts = queue.history.counts(study=None)
    states = GaugeMetricFamily(
        "paretoscope_runs", "Runs in the history, trials of searches included, by state", labels=("state",)
    )
    for state in get_args(RunState):
        states.add_metric((state,), counts[state])
    yield states
    waiting = counts["queued"] + counts["interrupted"]
    yield GaugeMetricFamily("paretoscope_queue_length", "Runs that wait for a free worker", value=waiting)


def _workers() -> Iterator[GaugeMetricFamily]:
    count = GaugeMetricFamily("paretoscope_workers", "Worker processes of this app", labels=("pool",))
    memory = GaugeMetricFamily("paretoscope_worker_memory_bytes", "Their resident memory", labels=("pool",))
    found: dict[str, list[int]] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
            if _CHILD in words:
                pool = words[words.index(_CHILD) + 2]  # behind the number of its pipe
                found.setdefault(pool, []).append(process.memory_info().rss)
        except psutil.Error:
            continue  # it has ended meanwhile
    for pool, sizes in sorted(found.items()):
        count.add_metric((pool,), len(sizes))
        memory.add_metric((pool,), sum(sizes))
    yield count
    yield memory
    yield GaugeMetricFamily(
        "paretoscope_app_memory_bytes", "Resident memory of the app itself", value=psutil.Process().memory_info().rss
    )


def serve(queue: Callable[[], JobQueue | None], port: int, address: str) -> Callable[[], None]:
    """Answers Prometheus on that port from a thread of its own; gives back what ends that."""
    figures = Figures(queue)
    registry.register(figures)
    server, thread = start_http_server(port, address, registry)

    def end() -> None:
        registry.unregister(figures)
        server.shutdown()
        server.server_close()
        thread.join(1)

    return end
