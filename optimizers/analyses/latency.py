"""How long one answer takes, and how much faster than the reference, for a chosen number of threads and batch size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from optimizers.errors import NotApplicable
from optimizers.figures.format import count, milliseconds
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.litert.ratio import PRECISION, of_processes, verdict
from optimizers.params import ParamSet, param

if TYPE_CHECKING:
    import numpy as np

    from optimizers.declarations import Value
    from optimizers.litert.latency import Timing

_SHOWN = (1, 5, 10, 25, 50, 75, 90, 95, 99)
_FEWEST_BATCHED = 2


class LatencyParams(ParamSet):
    """Of the latency."""

    threads: int = param(
        1, label="Threads", help="CPU threads of one answer; more help large models only.", low=1, high=64, step=1
    )
    batch: int = param(
        1,
        label="Examples at once",
        help="One is what a device sees; more make each example cheaper and each answer later.",
        low=1,
        high=1024,
        log=True,
    )
    seconds: float = param(
        20.0,
        label="Longest time in seconds",
        help="Timing ends earlier when the ratio is known to ±1.5%.",
        low=1.0,
        high=600.0,
        step=1.0,
    )


def analyse(context: Context, params: LatencyParams) -> Report:
    """Quantiles of both files' times and their ratio, with intervals from how processes differ.

    Raises:
        NotApplicable: LiteRT cannot run one of the files, or not with that many examples at once.
    """
    from optimizers.litert.latency import time_in_turn

    data = context.data()
    examples = (data.validation if len(data.validation) else data.train).x
    file, other = context.subject.file, context.reference.file
    check_batches([file, other], examples, params.batch)
    [found] = time_in_turn(
        [file], other, threads=params.threads, batch=params.batch, example=examples[:1], seconds=params.seconds,
        progress=context.progress,
    )  # fmt: skip
    name = "itself" if context.same else context.reference.name
    titles = ("this file", f"{context.reference.name}, again" if context.same else context.reference.name)
    rows = [_row(title, times, found.instances) for title, times in zip(titles, _both(found), strict=True)]
    return Report(
        sentences=tuple(_sentences(found, name, params)),
        facts=tuple(_facts(found, params, name)),
        tables=(_times(rows), _distribution(found, titles), _processes(found, name)),
    )


def check_batches(files: Iterable[Any], examples: np.ndarray, batch: int) -> None:
    """Raises `NotApplicable` where a file gives other answers to examples together than one by one."""
    from optimizers.litert.interpreter import takes_batches

    size = min(batch, len(examples), 8)
    if size >= _FEWEST_BATCHED and not all(takes_batches(file, examples[:size]) for file in files):
        raise NotApplicable(
            "One of the files answers examples given together differently from one by one, as recurrent cells do that "
            "keep a state; only one example at once can be timed."
        )


def _both(found: Timing) -> tuple[np.ndarray, np.ndarray]:
    return found.times_ms, found.baseline_times_ms


def _quantile(times: np.ndarray, q: float, instances: np.ndarray) -> Value:
    from optimizers.metrics._intervals import quantile

    return quantile(times, q, instances)


def _row(title: str, times: np.ndarray, instances: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"file": title, "runs": len(times)}
    for name, q, fewest in (("median", 0.5, 0), ("p90", 0.9, 0), ("p99", 0.99, 500)):
        if len(times) >= fewest:
            value = _quantile(times, q, instances)
            row |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return row


def _sentences(found: Timing, name: str, params: LatencyParams) -> Iterable[Sentence]:
    ratio = found.ratio
    said, known = verdict(ratio.value, ratio.low, ratio.high), f"±{50 * ratio.width:.1f}%"
    bounds = f"{ratio.low:.3f} to {ratio.high:.3f}"
    if said == "indistinguishable":
        yield Sentence(
            text=f"Its speed is indistinguishable from {name}: the interval of the ratio, {bounds}, holds 1.",
            advice=f"A difference of more than {100 * max(ratio.high - 1, 1 - ratio.low):.1f}% is unlikely.",
        )
    else:
        times = ratio.value if said == "faster" else 1 / ratio.value
        yield Sentence(
            text=f"It is {times:.2f}x {said} than {name}; the ratio is known to {known} ({bounds}).",
            tone="good" if said == "faster" else "warning",
        )
    if found.disturbed == 1:
        yield Sentence(
            text="Something else was at work on the same core all the time, so the ratio may be off by more than that.",
            advice="Measure again when the machine is quieter.",
            tone="warning",
        )
    elif found.disturbed:
        yield Sentence(
            text=f"In {found.disturbed:.0%} of the time something else was at work on the same core; it is left out."
        )
    if ratio.width >= PRECISION:
        yield Sentence(
            text=f"Time was up before the ratio was known to ±{50 * PRECISION:.1f}%.",
            advice="Allow more time, or measure when less else runs on this machine.",
            tone="warning",
        )
    together = f"{count(params.batch)} examples together take" if params.batch > 1 else "One answer takes"
    threads = f"{params.threads} thread{'s' if params.threads > 1 else ''}"
    own = _quantile(found.times_ms, 0.5, found.instances).value
    processes = len(set(found.instances.tolist()))
    yield Sentence(
        text=f"{together} {milliseconds(own)} with {threads} (median of {count(len(found.times_ms))} runs in "
        f"{count(processes)} processes)."
    )


def _facts(found: Timing, params: LatencyParams, name: str) -> Iterable[Fact]:
    ratio = found.ratio
    yield Fact(
        name="ratio", title="Speed-up", value=ratio.value, unit="x", low=ratio.low, high=ratio.high, n=ratio.n,
        help=f"How many times as long {name} takes. Each undisturbed process gives one ratio.",
    )  # fmt: skip
    own = _quantile(found.times_ms, 0.5, found.instances)
    yield Fact(name="median", title="Median", value=own.value, unit="ms", low=own.low, high=own.high, n=own.n)
    if params.batch > 1:
        bounds = {side: None if v is None else v / params.batch for side, v in (("low", own.low), ("high", own.high))}
        yield Fact(name="each", title="Per example", value=own.value / params.batch, unit="ms", n=own.n, **bounds)


def _times(rows: list[dict[str, Any]]) -> Table:
    def columns(name: str, title: str, help: str = "") -> tuple[Column, ...]:
        return (
            Column(name=name, title=title, unit="ms", better="lower", help=help),
            Column(name=f"{name}_low", title=f"{title}: 95% from", unit="ms"),
            Column(name=f"{name}_high", title=f"{title}: to", unit="ms"),
        )

    return Table(
        name="times",
        title="Time of one run",
        columns=(
            Column(name="file", title="File"),
            *columns("median", "Median"),
            *columns("p90", "90th percentile"),
            *columns("p99", "99th percentile", "Absent where fewer than 500 runs were timed."),
            Column(name="runs", title="Runs", unit="count"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="file", y=("median",), low="median_low", high="median_high"),
    )


def _distribution(found: Timing, titles: tuple[str, str]) -> Table:
    import numpy as np

    rows = [
        {"file": title, "percentile": percentile, "ms": float(np.percentile(times, percentile))}
        for title, times in zip(titles, _both(found), strict=True)
        for percentile in _SHOWN
    ]
    return Table(
        name="distribution",
        title="How the times are distributed",
        columns=(
            Column(name="file", title="File"),
            Column(name="percentile", title="Percentile", help="So many runs in a hundred took no longer."),
            Column(name="ms", title="Time", unit="ms", better="lower"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="lines", x="percentile", y=("ms",), by="file", log=True),
    )


def _processes(found: Timing, name: str) -> Table:
    rows = [
        {
            "process": one.instance + 1,
            "own": one.time,
            "reference": one.baseline,
            "ratio": one.ratio,
            "counts": "yes" if one.counts else "no",
        }
        for one in of_processes(found.times_ms, found.baseline_times_ms, found.instances)
    ]
    return Table(
        name="processes",
        title="Ratio in each process",
        columns=(
            Column(name="process", title="Process"),
            Column(name="ratio", title="Speed-up", unit="x", better="higher"),
            Column(name="own", title="Fast runs of this file", unit="ms", help="5th percentile of the process."),
            Column(name="reference", title=f"Fast runs of {name}", unit="ms", help="5th percentile of the process."),
            Column(name="counts", title="Counts", help="The half in which the machine was disturbed least counts."),
        ),
        rows=tuple(rows),
        chart=Chart(kind="lines", x="process", y=("ratio",)),
        note="Memory lies elsewhere in every process, so they differ more than runs within one do; the speed-up and "
        "its interval come from those that count.",
    )


ANALYSIS = Analysis(
    name="latency",
    version="4",
    title="Latency",
    summary="How long does an answer take with so many threads and examples at once, and is that a real difference?",
    analyse=analyse,
    params=LatencyParams,
    uses=frozenset({"reference", "data"}),
    alone=True,
    rank=28,
)
