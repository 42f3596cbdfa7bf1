"""How sure a classifier is, before and now: mean confidence, entropy, calibration, and how confidence shifted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.declarations import Evidence
from optimizers.findings import Chart, Column, Sentence, Table

if TYPE_CHECKING:
    import numpy as np

_SHIFT_BINS = 40
_NOTABLE = 0.02


def _evidence(probabilities: np.ndarray, truth: np.ndarray, base: np.ndarray | None = None) -> Evidence:
    return Evidence(Path(), "classification", probabilities, truth, baseline_scores=base)


def confidence_tables(
    own: np.ndarray, reference: np.ndarray, truth: np.ndarray | None, name: str
) -> tuple[Table, Table]:
    """Confidence before and now, and the distribution of its change.

    Args:
        own, reference: Probabilities, shape (n, classes).
        truth: Class numbers, shape (n,); None where nobody knows them.
        name: Of the reference.
    """
    import numpy as np

    from optimizers.metrics.calibration_error import measure as calibration

    rows: list[dict[str, Any]] = []

    def add(title: str, unit: str, measure: Any) -> None:
        before, now = (measure(p) for p in (reference, own))
        if before is not None and now is not None:
            rows.append({"what": title, "reference": _told(before, unit), "own": _told(now, unit)})

    def mean_where(p: np.ndarray, right: bool) -> float | None:
        chosen = (p.argmax(axis=1) == truth) == right
        return float(p.max(axis=1)[chosen].mean()) if chosen.any() else None

    add("Mean confidence in the answer", "fraction", lambda p: float(p.max(axis=1).mean()))
    if truth is not None:
        add("… where it is right", "fraction", lambda p: mean_where(p, True))
        add("… where it is wrong", "fraction", lambda p: mean_where(p, False))
        add("Calibration error", "fraction", lambda p: calibration(_evidence(p, truth)).value)
    add("Mean entropy", "bits", _entropy)
    drift = Table(
        name="confidence",
        title="Confidence before and now",
        columns=(
            Column(name="what", title=""),
            Column(name="reference", title=name),
            Column(name="own", title="This file"),
        ),
        rows=tuple(rows),
        note="Calibration error: how far confidence is from how often it is right, corrected for chance. Entropy is 0 "
        "when sure.",
    )
    shift = own.max(axis=1) - reference.max(axis=1)
    top = max(0.01, float(np.abs(shift).max()))
    counts, edges = np.histogram(shift, _SHIFT_BINS + 1, (-top, top))
    change = Table(
        name="confidence_change",
        title="Change of confidence, example by example",
        columns=(
            Column(name="from", title="Change from (points)"),
            Column(name="share", title="Share of examples", unit="fraction"),
        ),
        rows=tuple(
            {"from": 100 * float(edge), "share": float(count / len(shift)) or None}
            for edge, count in zip(edges[:-1], counts, strict=True)
        ),
        chart=Chart(kind="histogram", x="from", y=("share",), log=True, axis="Change of confidence (points)"),
        note="Right of 0 the file is surer of its answer than the reference was of its own. Logarithmic scale.",
    )
    return drift, change


def drift_sentence(own: np.ndarray, reference: np.ndarray, truth: np.ndarray | None) -> Sentence:
    """What became of confidence, in words."""
    before, now = float(reference.max(axis=1).mean()), float(own.max(axis=1).mean())
    if abs(now - before) < _NOTABLE:
        return Sentence(text=f"The file is as sure of its answers as before ({now:.1%} on average).")
    words = "surer" if now > before else "less sure"
    text = f"The file is {words} of its answers: {now:.1%} on average instead of {before:.1%}."
    if truth is None:
        return Sentence(text=text)
    from optimizers.metrics.calibration_error import change

    found = change(_evidence(own, truth, reference))
    if found.low > 0:
        return Sentence(text=text, advice="It is worse calibrated: thresholds on confidence should be chosen anew.")
    return Sentence(text=text, advice="That it is worse calibrated is not proven.")


def _entropy(p: np.ndarray) -> float:
    import numpy as np

    return float(-(p * np.log2(np.clip(p, 1e-12, 1))).sum(axis=1).mean())


def _told(value: float, unit: str) -> str:
    from optimizers.figures.format import cell

    return cell(value, unit)
