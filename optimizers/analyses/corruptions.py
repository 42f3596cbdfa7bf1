"""Whether a file takes bad inputs worse than the reference: noise, blur, missing values, on validation examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizers.analyses._examples import spread
from optimizers.errors import NotApplicable
from optimizers.findings import Analysis, Chart, Column, Context, Report, Sentence, Table, Unit
from optimizers.params import ParamSet, param
from optimizers.records import LAST_SEED

if TYPE_CHECKING:
    import numpy as np

    from optimizers.answers import Worth
    from optimizers.datasets.corruptions import Corruption

_MOST_COLUMNS = 40
_ABOUT_COLUMNS = ("Missing values", "Missing sensors")


class CorruptionParams(ParamSet):
    examples: int = param(1000, low=20, high=100_000, label="Examples", help="Validation examples that are made worse.")
    seed: int = param(0, low=0, high=LAST_SEED, label="Seed", help="The same seed gives the same examples.")


def analyse(context: Context, params: CorruptionParams) -> Report:
    """Quality of both files on the same validation examples, clean and made worse."""
    from optimizers.datasets.corruptions import SEVERITIES, corrupted, corruptions, without, world

    data = context.data()
    if not len(data.validation):
        raise NotApplicable("The data set has no validation part, and test data are not for trying things out.")
    kinds = corruptions(data.validation.x)
    if not kinds:
        raise NotApplicable("There is no simple way to make examples of several inputs or of this shape worse.")
    part, around = spread(data.validation, params.examples), world(data)
    x = part.x
    dead = around.groups[:_MOST_COLUMNS] if any(kind.name in _ABOUT_COLUMNS for kind in kinds) else ()
    bench = _Bench(context, part.y, len(kinds) * len(SEVERITIES) + len(dead))
    clean = bench.both(x)
    rows = []
    for kind in kinds:
        rows.append(bench.row(kind, 0, clean))
        for severity in SEVERITIES:
            worse = corrupted(x, kind, severity, around, params.seed)
            rows.append(bench.row(kind, severity, bench.both(worse)))
    tables = [_quality(context, bench, rows, len(x)), _change(context, bench, rows)]
    single = [
        {"column": name, **compared(*bench.both(without(x, group, around)), bench.comparisons)}
        for name, group in zip(_titles(context, len(dead)), dead, strict=True)
    ]
    if single:
        tables.append(_one_missing(context, bench, single))
    return Report(sentences=tuple(_sentences(context, bench, rows, single)), tables=tuple(tables))


class _Bench:
    """Answers of both files on the same examples."""

    def __init__(self, context: Context, y: np.ndarray, comparisons: int) -> None:
        self._context, self._y, self._runs, self._done = context, y, 2 * (1 + comparisons), 0
        self.comparisons = comparisons
        self._data = context.data().summary
        self._truth: np.ndarray | None = None
        self.title, self.unit, self.better = "", "", "higher"

    @property
    def shown(self) -> Unit:
        return "fraction" if self.unit == "fraction" else ""

    @property
    def change(self) -> Unit:
        """Of differences."""
        return "points" if self.unit == "fraction" else ""

    def both(self, x: np.ndarray) -> tuple[Worth, Worth]:
        """What both files' answers are worth, this file's first. Without labels what the reference answered to the
        clean examples, which come first, counts as the truth."""
        from optimizers.answers import answers, truth, worth

        context, data = self._context, self._data
        scores = []
        for subject in (context.subject, context.reference):
            told = answers(subject.file, x, data.task, context.model.activation, context.threads, data.targets)
            scores.append(told)
            self._done += 1
            context.progress(min(self._done, self._runs), self._runs)
        if self._truth is None:
            self._truth = truth(self._y, data.task, data.targets, scores[1])
        several = len(context.model.outputs) > 1
        own, reference = (worth(told, self._truth, data.task, several, data.targets) for told in scores)
        self.title, self.unit, self.better = own.title, own.unit, own.better
        return own, reference

    def row(self, kind: Corruption, severity: int, found: tuple[Worth, Worth]) -> dict[str, Any]:
        """One row of the tables."""
        return {
            "corruption": kind.name,
            "severity": severity,
            "strength": kind.told(severity) if severity else "clean",
            **compared(*found, self.comparisons),
        }


def compared(own: Worth, reference: Worth, comparisons: int) -> dict[str, Any]:
    """Both means, and their paired difference with its interval.

    ``proven`` is whether the difference would be found by chance in less than one report in twenty, with that many
    comparisons in it (Bonferroni).
    """
    from optimizers.answers import interval, paired

    low, high = interval(own.values)
    change = paired(own.values, reference.values)
    surely = paired(own.values, reference.values, 1 - 0.05 / comparisons)
    worse = surely.high < 0 if own.better == "higher" else surely.low > 0
    return {
        "own": own.mean,
        "own_low": low,
        "own_high": high,
        "reference": reference.mean,
        "change": change.value,
        "low": change.low,
        "high": change.high,
        "proven": worse,
    }


def _quality(context: Context, bench: _Bench, rows: list[dict[str, Any]], n: int) -> Table:
    kept = ("corruption", "severity", "strength", "reference", "own", "own_low", "own_high")
    return Table(
        name="quality",
        title=f"{bench.title} as inputs get worse",
        columns=(
            Column(name="corruption", title="What happens"),
            Column(name="severity", title="Severity", unit="count"),
            Column(name="strength", title="Strength"),
            Column(name="reference", title=context.reference.name[:40], unit=bench.shown, better=_better(bench)),
            Column(name="own", title="This file", unit=bench.shown, better=_better(bench)),
            Column(name="own_low", title="from", unit=bench.shown),
            Column(name="own_high", title="to", unit=bench.shown),
        ),
        rows=tuple({k: row[k] for k in kept} for row in rows),
        chart=Chart(
            kind="lines",
            x="severity",
            y=("own", "reference"),
            panels="corruption",
            low="own_low",
            high="own_high",
            axis=bench.title,
        ),
        note=f"{n} validation examples, so that a choice may depend on it; both files see the very same ones. 95% "
        "intervals.",
    )


def _change(context: Context, bench: _Bench, rows: list[dict[str, Any]]) -> Table:
    kept = ("corruption", "severity", "change", "low", "high")
    return Table(
        name="change",
        title=f"{bench.title}: this file against {context.reference.name[:40]}",
        columns=(
            Column(name="corruption", title="What happens"),
            Column(name="severity", title="Severity", unit="count"),
            *_change_columns(bench),
        ),
        rows=tuple({k: row[k] for k in kept} for row in rows),
        chart=Chart(kind="lines", x="severity", y=("change",), panels="corruption", low="low", high="high"),
        note="Differences on the same examples, with their 95% intervals.",
    )


def _change_columns(bench: _Bench) -> tuple[Column, ...]:
    return (
        Column(name="change", title="Difference", unit=bench.change, better=_better(bench)),
        Column(name="low", title="from", unit=bench.change),
        Column(name="high", title="to", unit=bench.change),
    )


def _titles(context: Context, count: int) -> list[str]:
    """Names of columns; features that one column became count once."""
    from optimizers.datasets.pictures import Album

    album = Album(context.data())
    titles = album.columns or context.data().summary.features
    return [titles[i] if i < len(titles) else f"feature {i + 1}" for i in range(count)]


def _one_missing(context: Context, bench: _Bench, rows: list[dict[str, Any]]) -> Table:
    """Quality when one column is dead in every example."""
    kept = ("column", "reference", "own", "change", "low", "high")
    return Table(
        name="one_missing",
        title=f"{bench.title} with one column at its mean throughout",
        columns=(
            Column(name="column", title="Column"),
            Column(name="reference", title=context.reference.name[:40], unit=bench.shown, better=_better(bench)),
            Column(name="own", title="This file", unit=bench.shown, better=_better(bench)),
            *_change_columns(bench),
        ),
        rows=tuple({k: row[k] for k in kept} for row in rows),
        chart=Chart(kind="bars", x="column", y=("own", "reference"), axis=bench.title),
        note="As when a sensor is dead and its mean over the training data stands in for it.",
    )


def _better(bench: _Bench) -> Any:
    return bench.better


def _sentences(
    context: Context, bench: _Bench, rows: list[dict[str, Any]], single: list[dict[str, Any]]
) -> list[Sentence]:
    from optimizers.figures.format import bounds, cell

    sign = 1 if bench.better == "higher" else -1
    other, title = context.reference.name, bench.title
    worse = [(f"{row['corruption'].lower()} at severity {row['severity']}", row) for row in rows if row["severity"]]
    worse += [(f"a dead {row['column']}", row) for row in single]
    name, hardest = min(worse, key=lambda pair: sign * pair[1]["own"])
    found = [
        Sentence(
            text=f"What hurts most is {name}: {title} {cell(hardest['own'], bench.shown)} instead of "
            f"{cell(rows[0]['own'], bench.shown)}."
        )
    ]
    if context.same:
        return found
    proven = [pair for pair in worse if pair[1]["proven"]]
    if not proven:
        text = f"Under none of them is the file provably worse than {other} on these examples."
        return [*found, Sentence(text=text, tone="good")]
    name, most = min(proven, key=lambda pair: sign * pair[1]["change"])
    text = (
        f"The file takes {len(proven)} of {len(worse)} worse than {other}, most of all {name}: "
        f"{cell(most['change'], bench.change)} ({bounds(most['low'], most['high'], bench.change)})."
    )
    advice = "Proven with all comparisons of this report counted."
    if any(row.get("corruption") == "Noise" for _, row in proven):
        advice += " Steps that train see noise when their augmentation is set to it."
    return [*found, Sentence(text=text, advice=advice, tone="warning")]


ANALYSIS = Analysis(
    name="corruptions",
    version="3",
    title="Bad inputs",
    summary="Does the file take noise, blur or missing values worse than the reference?",
    analyse=analyse,
    params=CorruptionParams,
    uses=frozenset({"reference", "data"}),
    rank=14,
)
