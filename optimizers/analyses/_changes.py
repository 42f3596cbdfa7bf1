"""Where an answer is not one class: the examples on which errors changed most, or outputs where nobody knows the truth.

An error is the mean absolute one of numbers, or the share of labels or positions that are wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.analyses._examples import example_table
from optimizers.declarations import Evidence
from optimizers.findings import TEST_PART, Chart, Column, Context, Fact, Predictions, Report, Sentence, Table, Unit
from optimizers.kinds import KINDS

if TYPE_CHECKING:
    import numpy as np

    from optimizers.datasets.pictures import Album

_SHIFT_BINS = 41


def changes(context: Context, album: Album, own: Predictions, reference: Predictions, shown: int) -> Report:
    """A report on examples whose error (or output, without labels) changed most."""
    import numpy as np

    from optimizers.answers import paired
    from optimizers.metrics._evidence import judged
    from optimizers.metrics._ratios import right_counts

    task = album.data.summary.task
    now, before = (np.asarray(p.scores, np.float64).reshape(len(p.scores), -1) for p in (own, reference))
    if task == "fidelity":
        return _fidelity(context, album, now, before, shown)
    y = np.asarray(own.y, np.float64).reshape(len(now), -1)
    decides = KINDS[task].decides
    if decides:
        evidence = (Evidence(Path(), task, p.scores, own.y) for p in (own, reference))
        error, was = (1.0 - right / counted for right, counted in map(right_counts, evidence))
        numbers = judged(own.y)
    else:
        error, was = (np.abs(p - y).mean(axis=1) for p in (now, before))
        numbers = np.arange(len(now))
    change = paired(error, was)
    unit = album.data.summary.target_unit
    share: Unit = "fraction" if decides else ""
    points: Unit = "points" if decides else ""
    told = f" {unit}" if unit else ""
    order = np.argsort(was - error, kind="stable")
    worse, better = [int(i) for i in order if error[i] > was[i]], [int(i) for i in order[::-1] if error[i] < was[i]]
    facts = (
        Fact(name="worse", title="Larger error", value=float(len(worse)), unit="count", n=len(error)),
        Fact(name="better", title="Smaller error", value=float(len(better)), unit="count", n=len(error)),
        Fact(name="before", title="Mean error before", value=float(was.mean()), unit=share, n=len(error),
             help=f"Share of wrong {decides}s." if decides else f"Absolute{told}."),
        Fact(name="change", title="Mean error, change", value=change.value, unit=points,
             low=change.low, high=change.high, n=len(error)),
    )  # fmt: skip
    proven = "" if change.proven else " That is within chance."
    means = (
        f"Of all {decides}s {error.mean():.2%} are wrong instead of {was.mean():.2%}"
        if decides
        else f"The mean absolute error is {error.mean():.4g}{told} instead of {was.mean():.4g}{told}"
    )
    sentence = Sentence(
        text=f"{means}; of {len(error):,} test examples {len(worse):,} have a larger and {len(better):,} a smaller "
        f"{'share of wrong ones' if decides else 'one'}.{proven}",
        tone="warning" if change.proven and change.value > 0 else "plain",
    )

    single = now.shape[1] == 1 and not decides

    def rows(chosen: list[int]) -> list[tuple[int, dict[str, Any]]]:
        return [
            (
                int(numbers[i]),
                ({"truth": float(y[i, 0]), "before": float(before[i, 0]), "now": float(now[i, 0])} if single else {})
                | {"was": float(was[i]), "error": float(error[i]), "change": float(error[i] - was[i])},
            )
            for i in chosen[:shown]
        ]

    columns = (
        *(
            (
                Column(name="truth", title=f"Truth{told}"),
                Column(name="before", title="Before"),
                Column(name="now", title="Now"),
            )
            if single
            else ()
        ),
        Column(name="was", title="Error before", unit=share),
        Column(name="error", title="Error now", unit=share, better="lower"),
        Column(name="change", title="Change", unit=points, better="lower"),
    )
    note = "Those first whose error changed most."
    tables = (
        example_table("worse", "Errors that grew most", album, columns, rows(worse), note),
        example_table("better", "Errors that shrank most", album, columns, rows(better), note),
        _distribution(error - was, "Change of the error, example by example"),
    )
    return Report(sentences=(sentence, TEST_PART), facts=facts, tables=tables)


def _fidelity(context: Context, album: Album, now: np.ndarray, before: np.ndarray, shown: int) -> Report:
    import numpy as np

    spread = float(np.std(before)) or 1.0
    moved = np.abs(now - before).mean(axis=1) / spread
    order = [int(i) for i in np.argsort(-moved, kind="stable")]
    decided = now.shape[1] > 1 and len(context.model.outputs) == 1
    changed = now.argmax(axis=1) != before.argmax(axis=1)
    facts = (
        *((Fact(name="changed", title="Other decision", value=float(changed.sum()), unit="count", n=len(now)),)
          if decided else ()),
        Fact(name="moved", title="Outputs moved, mean", value=float(moved.mean()), unit="fraction", n=len(now)),
        Fact(name="most", title="Outputs moved, most", value=float(moved.max()), unit="fraction", n=len(now)),
    )  # fmt: skip
    also = f" On {int(changed.sum()):,} of {len(now):,} examples another output is the highest." if decided else ""
    sentence = Sentence(
        text=f"Outputs move by {moved.mean():.1%} of their spread on average, and by {moved.max():.1%} at most.{also}",
        advice="Without labels nobody knows which of the two is right.",
    )
    rows = [
        (
            i,
            {"moved": float(moved[i])}
            | ({"before": int(before[i].argmax()), "now": int(now[i].argmax())} if decided else {}),
        )
        for i in order[:shown]
        if moved[i] > 0
    ]
    columns = (
        Column(name="moved", title="Outputs moved", unit="fraction", better="lower"),
        *(
            (
                Column(name="before", title="Highest output before", unit="count"),
                Column(name="now", title="Now", unit="count"),
            )
            if decided
            else ()
        ),
    )
    tables = (
        example_table("moved", "Answers that moved most", album, columns, rows, "Those first that moved most."),
        _distribution(moved, "How far answers moved, example by example"),
    )
    return Report(sentences=(sentence, TEST_PART), facts=facts, tables=tables)


def _distribution(values: np.ndarray, title: str) -> Table:
    import numpy as np

    top = float(np.abs(values).max()) or 1.0
    counts, edges = np.histogram(values, _SHIFT_BINS, (-top if (values < 0).any() else 0.0, top))
    return Table(
        name="distribution",
        title=title,
        columns=(
            Column(name="from", title="From"),
            Column(name="share", title="Share of examples", unit="fraction"),
        ),
        rows=tuple(
            {"from": float(edge), "share": float(count / len(values)) or None}
            for edge, count in zip(edges[:-1], counts, strict=True)
        ),
        chart=Chart(kind="histogram", x="from", y=("share",), log=True, axis="Distance"),
    )
