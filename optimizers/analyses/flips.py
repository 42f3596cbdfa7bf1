"""The very examples on which two files differ: which turned wrong, which turned right, and how sure either was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.analyses._changes import changes
from optimizers.analyses._confidence import confidence_tables, drift_sentence
from optimizers.analyses._examples import example_table
from optimizers.analyses._outputs import output_of, output_param
from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable
from optimizers.findings import TEST_PART, Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.kinds import KINDS
from optimizers.params import ParamSet, param

if TYPE_CHECKING:
    import numpy as np

    from optimizers.datasets.pictures import Album


class FlipParams(ParamSet):
    shown: int = param(24, low=1, high=200, label="Examples shown", help="Most examples that each list shows.")
    output: str = output_param()


def analyse(context: Context, params: FlipParams) -> Report:
    """Examples of the test part on which the answers of the file and of the reference differ."""
    from optimizers.datasets.pictures import Album

    if context.same:
        raise NotApplicable("This is the reference itself, so no answer changed; choose another file.")
    told = output_of(context, params.output, KINDS)
    own, reference, album, task = told.own, told.reference, Album(told.data), told.data.summary.task
    if KINDS[task].one_class:
        found = _flips(context, album, _Answers(own.scores, reference.scores, own.y, task), params.shown)
    else:
        found = changes(context, album, own, reference, params.shown)
    return found.model_copy(update={"sentences": (*told.about, *found.sentences)})


class _Answers:
    """Decisions of both files, their probabilities where they give some, and the truth; this file's come first."""

    def __init__(self, own: np.ndarray, reference: np.ndarray, y: np.ndarray, task: Any) -> None:
        import numpy as np

        from optimizers.metrics._evidence import class_probabilities, decisions

        evidence = [Evidence(Path(), task, scores, y) for scores in (own, reference)]
        self.own, self.truth, self.classes = decisions(evidence[0])
        self.before = decisions(evidence[1])[0]
        self.sure: tuple[np.ndarray, np.ndarray] | None
        try:
            self.sure = class_probabilities(evidence[0])[0], class_probabilities(evidence[1])[0]
        except NotApplicable:
            self.sure = None
        right, was_right = self.own == self.truth, self.before == self.truth
        self.right, self.was_right = right, was_right
        self.lost, self.gained = np.flatnonzero(was_right & ~right), np.flatnonzero(~was_right & right)
        self.other = np.flatnonzero(~was_right & ~right & (self.own != self.before))


def _flips(context: Context, album: Album, told: _Answers, shown: int) -> Report:
    from optimizers.metrics._paired import share_change

    lost, gained, n = len(told.lost), len(told.gained), len(told.truth)
    change = share_change(lost, gained, n)
    assert change.p is not None, "right answers are counted"
    names = class_names(album, told.classes)
    classes = _by_class(told, names)
    facts = (
        Fact(name="lost", title="Turned wrong", value=float(lost), unit="count", n=n),
        Fact(name="gained", title="Turned right", value=float(gained), unit="count", n=n),
        Fact(name="change", title="Accuracy, change", value=change.value, unit="points", low=change.low,
             high=change.high, n=n, help="Of the same examples, with its 95% interval."),
        Fact(name="p", title="McNemar p", value=change.p, n=lost + gained,
             help="How often chance alone would share out the changed answers at least so unevenly (exact test)."),
    )  # fmt: skip
    tables = (
        classes,
        _list("turned_wrong", "Turned wrong", album, told, told.lost, names, shown),
        _list("turned_right", "Turned right", album, told, told.gained, names, shown),
        *(confidence_tables(*told.sure, told.truth, context.reference.name[:40]) if told.sure else ()),
    )
    sentences = (
        *_sentences(told, classes, change.p, n),
        *((drift_sentence(*told.sure, told.truth),) if told.sure else ()),
        TEST_PART,
    )
    return Report(sentences=sentences, facts=facts, tables=tables)


def class_names(album: Album, count: int) -> list[str]:
    """Names of the classes, numbers where the data set has none."""
    known = album.data.summary.classes
    return [known[i] if i < len(known) else str(i) for i in range(count)]


def _by_class(told: _Answers, names: list[str]) -> Table:
    from optimizers.metrics._paired import share_change

    rows: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        own = told.truth == number
        if not own.any():
            continue
        rows.append(
            {
                "class": name,
                "lost": int(own[told.lost].sum()),
                "gained": int(own[told.gained].sum()),
                "before": float(told.was_right[own].mean()),
                "now": float(told.right[own].mean()),
                "n": int(own.sum()),
                "p": share_change(int(own[told.lost].sum()), int(own[told.gained].sum()), int(own.sum())).p,
            }
        )
    rows.sort(key=lambda row: (row["now"] - row["before"], -row["lost"], row["class"]))
    drawn = Chart(kind="bars", x="class", y=("lost", "gained"), axis="Examples")
    return Table(
        name="classes",
        title="Changed answers by class, worst first",
        columns=(
            Column(name="class", title="True class"),
            Column(name="lost", title="Turned wrong", unit="count", better="lower"),
            Column(name="gained", title="Turned right", unit="count", better="higher"),
            Column(name="before", title="Right before", unit="fraction"),
            Column(name="now", title="Right now", unit="fraction", better="higher"),
            Column(name="n", title="Examples", unit="count"),
            Column(
                name="p", title="McNemar p", help="For this class alone; with many classes a few are low by chance."
            ),
        ),
        rows=tuple(rows),
        chart=drawn if len(told.lost) + len(told.gained) else None,
    )


def _list(
    name: str, title: str, album: Album, told: _Answers, numbers: np.ndarray, names: list[str], shown: int
) -> Table:
    """Examples, those first on which the file is surest."""
    order = numbers.tolist()
    columns = [
        Column(name="truth", title="True class"),
        Column(name="before", title="Before"),
        Column(name="now", title="Now"),
    ]
    if told.sure:
        own, reference = told.sure
        order.sort(key=lambda i: -float(own[i, told.own[i]]))
        columns.insert(2, Column(name="was_sure", title="Confidence before", unit="fraction"))
        columns.append(Column(name="sure", title="Confidence now", unit="fraction"))
    rows = []
    for i in order[:shown]:
        row: dict[str, Any] = {
            "truth": names[told.truth[i]],
            "before": names[told.before[i]],
            "now": names[told.own[i]],
        }
        if told.sure:
            row |= {"was_sure": float(reference[i, told.before[i]]), "sure": float(own[i, told.own[i]])}
        rows.append((i, row))
    note = f"{len(rows)} of {len(order)}, the surest ones first." if rows else f"No example {title.lower()}."
    return example_table(
        name, f"{title}: {len(order):,} {'example' if len(order) == 1 else 'examples'}", album, columns, rows, note
    )


def _sentences(told: _Answers, classes: Table, p: float, n: int) -> list[Sentence]:
    lost, gained = len(told.lost), len(told.gained)
    if not lost + gained:
        more = f"; {len(told.other)} wrong answers became other wrong ones" if len(told.other) else ""
        return [Sentence(text=f"Not one of {n:,} test examples turned wrong or right{more}.", tone="good")]
    text = f"Of {n:,} test examples {lost:,} turned wrong and {gained:,} turned right."
    if p >= _RARE:
        found = [Sentence(text=text, advice=f"Chance alone explains that (McNemar p = {p:.2g}): no loss is proven.")]
    elif lost > gained:
        found = [Sentence(text=text, advice=f"That is more than chance (McNemar p = {p:.2g}): the file is worse.",
                          tone="warning")]  # fmt: skip
    else:
        found = [Sentence(text=text, advice=f"That is more than chance (McNemar p = {p:.2g}): the file is better.",
                          tone="good")]  # fmt: skip
    worst = classes.rows[0]
    before, now = worst["before"], worst["now"]
    if isinstance(before, float) and isinstance(now, float) and now < before:
        found.append(
            Sentence(
                text=f"The class that suffers most is {worst['class']}: {now:.1%} of its {worst['n']:,} examples are "
                f"right instead of {before:.1%}.",
                advice=_by_chance(classes),
            )
        )
    return found


def _by_chance(classes: Table) -> str:
    """Whether the change of the worst class is more than chance, with all classes counted (Bonferroni)."""
    p = classes.rows[0]["p"]
    assert isinstance(p, float)
    if min(1.0, p * len(classes.rows)) < _RARE:
        return "That is more than chance, also with all classes counted."
    return "Chance alone explains that, with all classes counted."


_RARE = 0.05

ANALYSIS = Analysis(
    name="flips",
    version="4",
    title="Changed answers",
    summary="Which examples does the file answer otherwise, and does that help or hurt?",
    analyse=analyse,
    params=FlipParams,
    uses=frozenset({"reference", "predictions", "data"}),
    quick=True,
    rank=10,
)
