"""How many answers a second a machine gives, for which batch size and threads, and what a million of them costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from optimizers.figures.format import count, milliseconds, plain
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.litert.ratio import Ratio, verdict
from optimizers.params import ParamSet, param

if TYPE_CHECKING:
    import numpy as np

    from optimizers.litert.sweep import Place, Point

_MOST_COPIES = 16
_FOR_LOADED = 0.4
"""Share of the time that goes into timing the best places again with all cores busy."""
_HOUR = 3600.0


class ThroughputParams(ParamSet):
    """Of the sweep, and of the cost."""

    largest_batch: int = param(
        64,
        label="Largest batch",
        help="Batches of 1, 2, 4, … up to this many examples are tried.",
        low=1,
        high=1024,
        log=True,
    )
    most_threads: int = param(
        4,
        label="Most threads",
        help="1, 2, 4, … up to this many threads are tried, but no more than there are cores.",
        low=1,
        high=64,
        step=1,
    )
    seconds: float = param(
        30.0,
        label="Seconds of timing",
        help="Longer gives narrower intervals; every combination is tried at least four times whatever this says.",
        low=1.0,
        high=600.0,
        step=1.0,
    )
    price: float = param(
        0.04,
        label="Price of a core-hour",
        help="In any currency; costs are in the same. Changing it measures nothing anew.",
        low=0.0,
        high=1000.0,
        step=0.01,
    )


def analyse(context: Context, params: ThroughputParams) -> Report:
    """Sweeps batch sizes and threads, then times the cheapest place of each file again with all cores busy.

    The best of many is partly the luckiest of many, so what is told about it comes from the second timing only.

    Raises:
        NotApplicable: LiteRT cannot run one of the files.
    """
    from optimizers.engine.versions import cores
    from optimizers.litert.interpreter import takes_batches
    from optimizers.litert.sweep import Place, sweep

    data = context.data()
    examples = (data.validation if len(data.validation) else data.train).x
    files = [context.subject.file, *([] if context.same else [context.reference.file])]
    together = all(takes_batches(file, examples[:8]) for file in files) if len(examples) > 1 else False
    batches = _doubled(params.largest_batch) if together else [1]
    threads = _doubled(min(params.most_threads, cores()))

    def told(start: float, share: float) -> Any:
        return lambda part: context.progress(int(100 * (start + share * part)), 100)

    swept = sweep(
        files, [Place(b, t) for t in threads for b in batches], example=examples[:1],
        seconds=params.seconds * (1 - _FOR_LOADED), told=told(0, 1 - _FOR_LOADED),
    )  # fmt: skip
    chosen = [_loaded(_cheapest(swept, file), cores()) for file in range(len(files))]
    again = sweep(
        files,
        chosen,
        example=examples[:1],
        seconds=params.seconds * _FOR_LOADED,
        told=told(1 - _FOR_LOADED, _FOR_LOADED),
    )
    best = [next(point for point in again if point.place == place) for place in chosen]
    names = ["this file", context.reference.name]
    return Report(
        sentences=tuple(_sentences(swept, best, names, together)),
        facts=tuple(_facts(swept, best, names)),
        tables=(_best_table(best, names), _sweep_table(swept, names[: len(files)])),
    )


def _doubled(most: int) -> list[int]:
    """1, 2, 4, … and the most itself."""
    found = [1]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def _cheapest(points: Sequence[Point], file: int) -> Place:
    from optimizers.litert.sweep import estimate

    return min(points, key=lambda point: estimate(point.core_seconds()[:, file]).value).place


def _loaded(place: Place, cores: int) -> Place:
    """The place with as many copies as keep all cores busy."""
    from dataclasses import replace

    return replace(place, copies=max(1, min(_MOST_COPIES, cores // place.threads)))


def _places(place: Place) -> str:
    together = f"{count(place.batch)} examples at once" if place.batch > 1 else "one example at a time"
    threads = f"{place.threads} thread{'s' if place.threads > 1 else ''}"
    return f"{together} on {threads}" + (f" in each of {place.copies} processes" if place.copies > 1 else "")


def _sentences(
    swept: Sequence[Point], best: Sequence[Point], names: Sequence[str], together: bool
) -> Iterable[Sentence]:
    from optimizers.litert.sweep import estimate

    own = best[0]
    rate = estimate(own.rates[:, 0])
    yield Sentence(
        text=f"The best operating point is {_places(own.place)}: {count(rate.value)} answers per second "
        f"({count(rate.low)} to {count(rate.high)}) with {_cores(own.place.cores)} busy, each after "
        f"{milliseconds(float(estimate(own.run_ms[:, 0]).value))}.",
        tone="good",
    )
    if not together:
        yield Sentence(
            text="Examples cannot be given together: a file answers them differently then, as recurrent cells do that "
            "keep a state.",
            advice="Only the number of threads was varied.",
        )
    yield from _scaling(swept)
    yield from _as_good(swept, own.place)
    if len(best) > 1:
        yield _saving(best, names[1])


def _cores(number: int) -> str:
    return "one core" if number == 1 else f"{number} cores"


def _scaling(swept: Sequence[Point]) -> Iterable[Sentence]:
    """What batches and threads bring, each beside one example on one thread."""
    from optimizers.litert.sweep import estimate

    alone = swept[0]

    def gain(points: Iterable[Point]) -> tuple[Point, Ratio] | None:
        found = [(point, estimate(point.rates[:, 0] / alone.rates[:, 0])) for point in points if point is not alone]
        return max(found, key=lambda pair: pair[1].value, default=None)

    batched = gain(point for point in swept if point.place.threads == 1)
    if batched is not None:
        point, ratio = batched
        yield Sentence(
            text=f"On one thread batches give at most {ratio.value:.2f}x as many answers as one by one does "
            f"(with {count(point.place.batch)}).",
            advice="" if ratio.value > 1.05 else "Answering one by one loses next to nothing.",
        )
    threaded = gain(point for point in swept if point.place.batch == 1)
    if threaded is not None:
        point, ratio = threaded
        each = ratio.value / point.place.threads
        yield Sentence(
            text=f"{point.place.threads} threads answer a single example {ratio.value:.2f}x as fast as one.",
            advice="More processes of one thread serve more than one process of more threads." if each < 0.8 else "",
        )


def _as_good(swept: Sequence[Point], best: Place) -> Iterable[Sentence]:
    """The smallest batch that cannot be told from the best one."""
    from optimizers.litert.sweep import estimate

    same = [point for point in swept if point.place.threads == best.threads]
    top = next(point for point in same if point.place.batch == best.batch)
    for point in sorted(same, key=lambda p: p.place.batch):
        if point.place.batch >= best.batch:
            return
        ratio = estimate(top.rates[:, 0] / point.rates[:, 0])
        if verdict(ratio.value, ratio.low, ratio.high) == "indistinguishable":
            times = [milliseconds(estimate(p.run_ms[:, 0]).value) for p in (point, top)]
            yield Sentence(
                text=f"A batch of {count(point.place.batch)} is as good as one of {count(best.batch)} as far as can be "
                f"told, and answers after {times[0]} instead of {times[1]}."
            )
            return


def _ratio(best: Sequence[Point]) -> Ratio:
    """How many times as much the reference costs, each at its own best place, from passes side by side."""
    from optimizers.litert.sweep import estimate

    passes = min(len(point.rates) for point in best)
    return estimate(best[1].core_seconds()[:passes, 1] / best[0].core_seconds()[:passes, 0])


def _saving(best: Sequence[Point], name: str) -> Sentence:
    ratio = _ratio(best)
    bounds = f"{ratio.low:.2f} to {ratio.high:.2f}"
    said = verdict(ratio.value, ratio.low, ratio.high)
    if said == "indistinguishable":
        return Sentence(text=f"What it costs to serve is indistinguishable from {name} (ratio {bounds}).")
    times = ratio.value if said == "faster" else 1 / ratio.value
    return Sentence(
        text=f"Each at its best, it needs {times:.2f}x {'less' if said == 'faster' else 'more'} computing time than "
        f"{name} for the same answers (ratio {bounds}).",
        tone="good" if said == "faster" else "warning",
    )


def _facts(swept: Sequence[Point], best: Sequence[Point], names: Sequence[str]) -> Iterable[Fact]:
    from optimizers.litert.sweep import estimate

    own = best[0]

    def fact(name: str, title: str, unit: Any, observed: np.ndarray, help: str) -> Fact:
        found = estimate(observed)
        return Fact(name=name, title=title, value=found.value, unit=unit, low=found.low, high=found.high, n=found.n,
                    help=help)  # fmt: skip

    yield Fact(
        name="place", title="Best operating point", value=f"{count(own.place.batch)} × {own.place.threads}",
        help="Examples at once × threads.",
    )  # fmt: skip
    yield fact("rate", "Answers per second", "1/s", own.rates[:, 0], f"With {_cores(own.place.cores)} busy.")
    yield fact("core_seconds", "Core-seconds per million", "", own.core_seconds()[:, 0],
               "Computing time for a million answers at the best operating point.")  # fmt: skip
    yield fact("alone", "One by one, one thread", "1/s", swept[0].rates[:, 0], "Answers per second of one process.")
    if len(best) > 1:
        ratio = _ratio(best)
        yield Fact(
            name="saving", title=f"Cheaper than {names[1]}", value=ratio.value, unit="x", low=ratio.low,
            high=ratio.high, n=ratio.n,
            help="Core-seconds of the reference over those of this file, each at its own best point.",
        )  # fmt: skip


_RATE = (
    Column(name="rate", title="Answers per second", unit="1/s", better="higher"),
    Column(name="low", title="95% from", unit="1/s"),
    Column(name="high", title="to", unit="1/s"),
    Column(name="ms", title="Time of a batch", unit="ms", better="lower", help="How long each of its answers takes."),
    Column(name="core_seconds", title="Core-seconds per million", better="lower"),
)


def _row(point: Point, file: int) -> dict[str, Any]:
    from optimizers.litert.sweep import estimate

    rate, cost = estimate(point.rates[:, file]), estimate(point.core_seconds()[:, file])
    return {
        "batch": point.place.batch, "threads": point.place.threads, "rate": rate.value, "low": rate.low,
        "high": rate.high, "ms": estimate(point.run_ms[:, file]).value, "core_seconds": cost.value,
    }  # fmt: skip


def _best_table(best: Sequence[Point], names: Sequence[str]) -> Table:
    from optimizers.litert.sweep import estimate

    rows = []
    for file, point in enumerate(best):
        cost = estimate(point.core_seconds()[:, file])
        rows.append(
            _row(point, file)
            | {"file": names[file], "processes": point.place.copies, "cs_low": cost.low, "cs_high": cost.high}
        )
    return Table(
        name="best",
        title="Best operating points",
        columns=(
            Column(name="file", title="File"),
            Column(name="batch", title="Batch", unit="count"),
            Column(name="threads", title="Threads", unit="count"),
            Column(name="processes", title="Processes at a time", unit="count"),
            *_RATE,
            Column(name="cs_low", title="Core-seconds: 95% from"),
            Column(name="cs_high", title="to (core-seconds)"),
        ),
        rows=tuple(rows),
        note="Timed anew after the sweep, with as many processes at a time as keep all cores busy.",
    )


def _sweep_table(swept: Sequence[Point], names: Sequence[str]) -> Table:
    rows = []
    for file, name in enumerate(names):
        for point in swept:
            threads = f"{point.place.threads} thread{'s' if point.place.threads > 1 else ''}"
            rows.append({"series": f"{name}, {threads}", "file": name} | _row(point, file))
    batches = {point.place.batch for point in swept}
    return Table(
        name="sweep",
        title="Throughput by batch size and threads",
        columns=(
            Column(name="series", title="File and threads"),
            Column(name="file", title="File"),
            Column(name="batch", title="Batch", unit="count", help="Examples that are answered together."),
            Column(name="threads", title="Threads", unit="count"),
            *_RATE,
        ),
        rows=tuple(rows),
        chart=Chart(kind="lines", x="batch", y=("rate",), by="series", low="low", high="high", log_x=True)
        if len(batches) > 1
        else Chart(kind="bars", x="series", y=("rate",), low="low", high="high"),
        note="Of one process at a time.",
    )


def retell(report: Report, params: ThroughputParams) -> Report:
    """The report with what a million answers cost at the price that is asked for."""
    factor = params.price / _HOUR
    best = report.table("best")
    costs = Column(name="cost", title="Cost per million", better="lower", help="In the currency of the price.")
    bounds = (Column(name="cost_low", title="Cost: 95% from"), Column(name="cost_high", title="to (cost)"))
    rows = tuple(
        row
        | {
            name: factor * float(row[source] or 0)
            for name, source in (("cost", "core_seconds"), ("cost_low", "cs_low"), ("cost_high", "cs_high"))
        }
        for row in best.rows
    )
    seconds = report.fact("core_seconds")
    assert isinstance(seconds.value, float)
    assert seconds.low is not None
    assert seconds.high is not None
    fact = Fact(
        name="cost", title="Cost per million answers", value=factor * seconds.value, low=factor * seconds.low,
        high=factor * seconds.high, n=seconds.n,
        help=f"At {params.price:g} per core-hour with all cores busy, in the currency of the price.",
    )  # fmt: skip
    against = f", of {rows[1]['file']} {plain(float(rows[1]['cost'] or 0))}" if len(rows) > 1 else ""
    sentence = Sentence(
        text=f"At {params.price:g} per core-hour a million answers of this file cost "
        f"{plain(factor * seconds.value)} ({plain(factor * seconds.low)} to {plain(factor * seconds.high)}){against}.",
        advice="Only computing in LiteRT is counted: no network, no preparation of data, no idle time.",
    )
    told = best.model_copy(update={"columns": (*best.columns, costs, *bounds), "rows": rows})
    return report.model_copy(
        update={
            "sentences": (*report.sentences[:1], sentence, *report.sentences[1:]),
            "facts": (*report.facts[:2], fact, *report.facts[2:]),
            "tables": tuple(told if table.name == "best" else table for table in report.tables),
        }
    )


ANALYSIS = Analysis(
    name="throughput",
    version="2",
    title="Throughput and cost",
    summary="How many answers per second does this machine give at best, and what does a million of them cost?",
    analyse=analyse,
    params=ThroughputParams,
    uses=frozenset({"reference", "data"}),
    alone=True,
    afterwards=frozenset({"price"}),
    retell=retell,
    rank=29,
)
