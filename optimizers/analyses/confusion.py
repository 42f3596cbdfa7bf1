"""Which classes are taken for which, before and now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.analyses._outputs import output_of, output_param
from optimizers.declarations import Evidence
from optimizers.findings import TEST_PART, Analysis, Chart, Column, Context, Report, Sentence, Table
from optimizers.kinds import KINDS, ONE_CLASS
from optimizers.params import ParamSet
from optimizers.records import Task

if TYPE_CHECKING:
    import numpy as np

_MOST_CLASSES = 20
_MOST_PAIRS = 20


_TASKS: frozenset[Task] = frozenset({*ONE_CLASS, "segmentation"})


class ConfusionParams(ParamSet):
    output: str = output_param()


def analyse(context: Context, params: ConfusionParams) -> Report:
    """Confusion matrices of both files on the test part, and their difference."""
    from optimizers.metrics._evidence import decisions

    chosen = output_of(context, params.output, _TASKS)
    own, reference, task = chosen.own, chosen.reference, chosen.data.summary.task
    decided, truth, count = decisions(Evidence(Path(), task, own.scores, own.y))
    was, _, _ = decisions(Evidence(Path(), task, reference.scores, reference.y))
    count = max(count, int(truth.max()) + 1)
    known = chosen.data.summary.classes
    names = [known[i] if i < len(known) else str(i) for i in range(count)]
    now, before = matrix(truth, decided, count), matrix(truth, was, count)
    things = f"{KINDS[task].decides}s"
    tables = [_pairs(now, before, names, context, things)]
    if count <= _MOST_CLASSES:
        tables = [_drawn("now", "This file", now, names, things), *tables]
        if not context.same:
            other = context.reference.name[:40]
            tables[1:1] = [
                _drawn("difference", f"Difference to {other}", now - before, names, things, _ABOUT_DIFFERENCES),
                _drawn("before", other[0].upper() + other[1:], before, names, things),
            ]
    sentences = (*chosen.about, *_sentences(now, before, names, context.same, things), TEST_PART)
    return Report(sentences=sentences, tables=tuple(tables))


def matrix(truth: np.ndarray, decided: np.ndarray, count: int) -> np.ndarray:
    """How often each class (row) is taken for each (column): int64, shape (count, count). Below 0 nothing is judged."""
    import numpy as np

    truth, decided = truth[truth >= 0], decided[truth >= 0]
    return np.bincount((truth * count + decided).reshape(-1), minlength=count * count).reshape(count, count)


def _drawn(name: str, title: str, values: np.ndarray, names: list[str], things: str, note: str = "") -> Table:
    return Table(
        name=name,
        title=title,
        columns=(
            Column(name="truth", title="True class"),
            Column(name="decided", title="Taken for"),
            Column(name="count", title=things.capitalize(), unit="count"),
        ),
        rows=tuple(
            {"truth": names[i], "decided": names[j], "count": int(values[i, j])}
            for i in range(len(names))
            for j in range(len(names))
        ),
        chart=Chart(kind="matrix", x="decided", y=("count",), by="truth"),
        note=note,
    )


_ABOUT_DIFFERENCES = (
    "Blue: more often than before; red: less often. Each row adds up to 0: what left the diagonal has become a "
    "mistake, what came to it was one."
)


def _pairs(now: np.ndarray, before: np.ndarray, names: list[str], context: Context, things: str) -> Table:
    rows: list[dict[str, Any]] = [
        {
            "pair": f"{names[i]} → {names[j]}",
            "now": int(now[i, j]),
            "reference": int(before[i, j]),
            "share": float(now[i, j] / max(1, now[i].sum())),
        }
        for i in range(len(names))
        for j in range(len(names))
        if i != j and (now[i, j] or before[i, j])
    ]
    rows.sort(key=lambda row: (-max(row["now"], row["reference"]), -row["now"], row["pair"]))
    return Table(
        name="pairs",
        title="Classes that are most often confused",
        columns=(
            Column(name="pair", title="True class → taken for"),
            Column(name="now", title="This file", unit="count", better="lower"),
            Column(name="reference", title=context.reference.name[:40], unit="count"),
            Column(name="share", title="Share of the true class", unit="fraction", better="lower"),
        ),
        rows=tuple(rows[:_MOST_PAIRS]),
        chart=Chart(kind="bars", x="pair", y=("now", "reference"), axis=things.capitalize()) if rows else None,
        note=f"{int(now.sum()):,} {'test examples' if things == 'examples' else f'{things} of test examples'}."
        + (f" The first {_MOST_PAIRS} of {len(rows)} pairs." if len(rows) > _MOST_PAIRS else "")
        + ("" if rows else " None is taken for another class."),
    )


def _sentences(now: np.ndarray, before: np.ndarray, names: list[str], same: bool, things: str) -> list[Sentence]:
    import numpy as np

    wrong = now - np.diag(np.diag(now))
    if not wrong.any():
        each = "test example" if things == "examples" else things.removesuffix("s")
        return [Sentence(text=f"Every {each} is given its true class.", tone="good")]
    i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
    found = [
        Sentence(
            text=f"The most common mistake is to take {names[i]} for {names[j]}: {wrong[i, j]:,} of {now[i].sum():,} "
            f"{things} ({wrong[i, j] / now[i].sum():.1%})."
        )
    ]
    change = wrong - (before - np.diag(np.diag(before)))
    if same:
        return found
    if not change.any():
        return [*found, Sentence(text="Every pair of classes is confused exactly as often as before.", tone="good")]
    if change.max() > 0:
        i, j = np.unravel_index(int(change.argmax()), change.shape)
        text = f"What grew most: {names[i]} taken for {names[j]}, {_times(wrong[i, j])} instead of {before[i, j]:,}."
        found.append(Sentence(text=text))
    if change.min() < 0:
        i, j = np.unravel_index(int(change.argmin()), change.shape)
        text = f"What shrank most: {names[i]} taken for {names[j]}, {_times(wrong[i, j])} instead of {before[i, j]:,}."
        found.append(Sentence(text=text))
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


ANALYSIS = Analysis(
    name="confusion",
    version="4",
    title="Confusions",
    summary="Which classes are taken for which, and did that change?",
    analyse=analyse,
    uses=frozenset({"reference", "predictions", "data"}),
    params=ConfusionParams,
    tasks=_TASKS | {"several"},
    quick=True,
    rank=12,
)
