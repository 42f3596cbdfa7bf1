"""What each layer's change costs: the original with only this layer's weights from the file, and with all but these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from optimizers.analyses._examples import spread
from optimizers.errors import NotApplicable
from optimizers.findings import Analysis, Chart, Column, Context, Report, Sentence, Table, Unit
from optimizers.params import ParamSet, param

if TYPE_CHECKING:
    import numpy as np

    from optimizers.answers import Difference, Worth
    from optimizers.litert.pairs import LayerPair


class SensitivityParams(ParamSet):
    examples: int = param(1000, low=20, high=100_000, label="Examples", help="Validation examples that are answered.")
    without: bool = param(
        True, label="Also all but one", help="Also answer with the weights of every layer but one; doubles the time."
    )


def analyse(context: Context, params: SensitivityParams) -> Report:
    """Quality on validation examples when weights of the float32 reference are replaced by those of the file."""
    import numpy as np

    from optimizers.analyses.weights import another_network, layer_pairs, trained_by

    if context.same:
        raise NotApplicable("This is the reference itself, so no layer was changed; choose another file.")
    if why_not := another_network(context.subject) or another_network(context.reference):
        raise NotApplicable(why_not)
    pairs = layer_pairs(context)
    usable = [pair for pair in pairs if pair.complete and all(a.dtype == "FLOAT32" for a, _ in pair.matched)]
    left = [pair.layer for pair in pairs if pair not in usable]
    if not usable:
        raise NotApplicable(_NO_LAYER)
    part = spread(context.data().validation, params.examples)
    if not len(part):
        raise NotApplicable("The data set has no validation part, and test data are not for trying things out.")
    trial = _Trial(context, part.x, part.y, (2 if params.without else 1) * len(usable) + 3)
    rows = []
    for pair in usable:
        row = {"layer": pair.layer, **trial.row(_replaced([pair]))}
        if params.without:
            others = [other for other in usable if other is not pair]
            row |= {f"without_{k}": v for k, v in trial.row(_replaced(others)).items()}
        rows.append(row)
    whole = trial.row(_replaced(usable))
    itself = trial.row_of(context.subject.file)
    changed = [p for p in usable if any(not np.array_equal(a.dequantized, b.dequantized) for a, b in p.matched)]
    table = _table(context, trial, rows, len(part))
    total = _totals(trial, whole, itself, left)
    return Report(
        sentences=tuple(_sentences(trial, rows, whole, itself, left, bool(changed), trained_by(context.subject))),
        tables=(table, total),
    )


_NO_LAYER = (
    "No layer of this file has the shape that it has in the float32 original, so none can be tried alone: the network "
    "was rebuilt, or the reference is no float32 file."
)


class _Trial:
    """Answers of changed originals on the same examples."""

    def __init__(self, context: Context, x: np.ndarray, y: np.ndarray, runs: int) -> None:
        from optimizers.answers import truth
        from optimizers.litert.transplant import Transplant

        self._context, self._x, self._runs, self._done = context, x, runs, 0
        self._data = context.data().summary
        content = context.reference.file.read_bytes()
        self._transplant = Transplant(content)
        self._scores = self._answers(content)
        self._y = truth(y, self._data.task, self._data.targets, self._scores)
        self.reference = self._worth(self._scores)

    @property
    def unit(self) -> Unit:
        return "fraction" if self.reference.unit == "fraction" else ""

    @property
    def change(self) -> Unit:
        """Of differences."""
        return "points" if self.unit == "fraction" else ""

    def row(self, values: dict[tuple[int, int], np.ndarray]) -> dict[str, Any]:
        """What the original answers with other weights, against what it answers with its own."""
        return self._row(self._answers(self._transplant.with_weights(values)))

    def row_of(self, file: Any) -> dict[str, Any]:
        """The same for a file as it is."""
        return self._row(self._answers(file.read_bytes()))

    def _row(self, scores: np.ndarray) -> dict[str, Any]:
        import numpy as np

        from optimizers.answers import paired

        worth = self._worth(scores)
        found: Difference = paired(worth.values, self.reference.values)
        surely = paired(worth.values, self.reference.values, 1 - 0.05 / self._runs)
        harms = surely.high < 0 if worth.better == "higher" else surely.low > 0
        spread = float(np.std(self._scores)) or 1.0
        moved = float(np.sqrt(np.mean((scores.astype(np.float64) - self._scores) ** 2))) / spread
        return {
            "quality": worth.mean,
            "change": found.value,
            "low": found.low,
            "high": found.high,
            "moved": moved,
            "harms": harms,
        }

    def _answers(self, content: bytes) -> np.ndarray:
        from optimizers.answers import answers

        context = self._context
        data = self._data
        found = answers(content, self._x, data.task, context.model.activation, context.threads, data.targets)
        self._done += 1
        context.progress(self._done, self._runs)
        return found

    def _worth(self, scores: np.ndarray) -> Worth:
        from optimizers.answers import worth

        data = self._data
        return worth(scores, self._y, data.task, len(self._context.model.outputs) > 1, data.targets)


def _replaced(pairs: Iterable[LayerPair]) -> dict[tuple[int, int], np.ndarray]:
    """What the weights of the reference become: those of the file, as the numbers that they stand for."""
    return {(a.subgraph, a.tensor): b.dequantized for pair in pairs for a, b in pair.matched}


def _table(context: Context, trial: _Trial, rows: list[dict[str, Any]], n: int) -> Table:
    title, unit, better = trial.reference.title, trial.unit, trial.reference.better
    columns = [
        Column(name="layer", title="Layer"),
        Column(name="change", title="Only this layer: change", unit=trial.change, better=better),
        Column(name="low", title="from", unit=trial.change),
        Column(name="high", title="to", unit=trial.change),
        Column(name="moved", title="Outputs moved", unit="fraction", better="lower", help=_MOVED),
        Column(name="quality", title=title, unit=unit, better=better),
    ]
    if any("without_change" in row for row in rows):
        columns += [
            Column(name="without_change", title="All but this layer: change", unit=trial.change, better=better),
            Column(name="without_moved", title="Outputs moved then", unit="fraction", better="lower", help=_MOVED),
        ]
    kept = {column.name for column in columns}
    return Table(
        name="sensitivity",
        title=f"{title} with only this layer's weights changed, against {context.reference.name}",
        columns=tuple(columns),
        rows=tuple({k: v for k, v in row.items() if k in kept} for row in rows),
        chart=Chart(kind="bars", x="layer", y=("change",), low="low", high="high"),
        note=f"{n} validation examples, so that a choice may depend on it; paired 95% intervals. Activations "
        "stay float32; biases go with their layer.",
    )


_MOVED = "Root mean square change of the outputs over their own spread; it shows small effects that change no decision."


def _totals(trial: _Trial, whole: dict[str, Any], itself: dict[str, Any], left: list[str]) -> Table:
    unit, better = trial.unit, trial.reference.better
    named = (("All these weights together", whole), ("The file as it is", itself))
    return Table(
        name="totals",
        title="All layers together",
        columns=(
            Column(name="what", title=""),
            Column(name="quality", title=trial.reference.title, unit=unit, better=better),
            Column(name="change", title="Change", unit=trial.change, better=better),
            Column(name="low", title="from", unit=trial.change),
            Column(name="high", title="to", unit=trial.change),
            Column(name="moved", title="Outputs moved", unit="fraction", better="lower", help=_MOVED),
        ),
        rows=tuple({"what": name, **{k: v for k, v in row.items() if k != "harms"}} for name, row in named),
        note="What the second has more than the first comes from "
        + ("layers that could not be tried, and from " if left else "")
        + "activations: their rounding, and other operators.",
    )


def _sentences(
    trial: _Trial,
    rows: list[dict[str, Any]],
    whole: dict[str, Any],
    itself: dict[str, Any],
    left: list[str],
    changed: bool,
    trained: list[str],
) -> list[Sentence]:
    from optimizers.figures.format import bounds, inside, share

    found = []
    if not changed:
        found.append(Sentence(text="The weights are those of the reference, so no layer costs anything.", tone="good"))
    else:
        worst = max(rows, key=lambda row: row["moved"])
        harmful = [row for row in rows if row["harms"]]
        if harmful:
            most = min(harmful, key=lambda row: row["change"] * _sign(trial))
            found.append(
                Sentence(
                    text=f"{most['layer']} alone changes {inside(trial.reference.title)} by "
                    f"{told(trial, most['change'])} ({bounds(most['low'], most['high'], trial.change)}).",
                    advice=f"{' and '.join(trained)} trained all layers together, so part of that is misfit with the "
                    "original's other layers: see what all but this layer do."
                    if trained
                    else "Leave it out of the step, or give it more bits, and the rest can stay as it is.",
                    tone="warning",
                )
            )
        else:
            found.append(
                Sentence(
                    text=f"No layer alone costs measurable {inside(trial.reference.title)}; {worst['layer']} moves the "
                    f"outputs most, by {share(worst['moved'])} of their spread.",
                    tone="good",
                )
            )
        found.append(
            Sentence(
                text=f"These weights together change it by {told(trial, whole['change'])}, the file itself by "
                f"{told(trial, itself['change'])}; outputs move by {share(whole['moved'])} and "
                f"{share(itself['moved'])}.",
                advice="" if left else "What the file has beyond its weights comes from rounding activations.",
            )
        )
    if left:
        named = ", ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
        found.append(
            Sentence(
                text=f"Not tried: {named}, whose weights have other shapes than in the original.",
                advice="Where a network was rebuilt one layer cannot be exchanged alone.",
            )
        )
    return found


def _sign(trial: _Trial) -> int:
    return 1 if trial.reference.better == "higher" else -1


def told(trial: _Trial, change: float) -> str:
    """A difference with its sign, in points where the metric is a fraction."""
    from optimizers.figures.format import signed

    return signed(change * 100, "points", 1) if trial.unit == "fraction" else signed(change, "", 4)


ANALYSIS = Analysis(
    name="sensitivity",
    version="2",
    title="Sensitivity",
    summary="Which layer's weights cost quality, each tried alone?",
    analyse=analyse,
    params=SensitivityParams,
    uses=frozenset({"reference", "data", "chain"}),
    rank=44,
)
