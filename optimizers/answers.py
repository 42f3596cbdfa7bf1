"""What a file's answers are worth, example by example, so that two files can be compared on the very same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.records import Direction, Target, Task

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Worth:
    """How good each answer is; the mean over examples is the task's headline metric.

    Attributes:
        title: Of the headline metric.
        unit: ``fraction`` or none; differences of fractions are told in points.
        better: Which direction is better.
        values: Shape (n,), float64.
    """

    title: str
    unit: str
    better: Direction
    values: np.ndarray

    @property
    def counted(self) -> bool:
        """Whether each answer is right or wrong, or the same decision or another one."""
        return self.title in ("Accuracy", "Agreement")

    @property
    def mean(self) -> float:
        return float(self.values.mean())


@dataclass(frozen=True)
class Difference:
    """A paired mean difference with its interval."""

    value: float
    low: float
    high: float
    n: int

    @property
    def proven(self) -> bool:
        """Whether the interval excludes no difference."""
        return not self.low <= 0 <= self.high


def answers(
    file: Path | bytes, x: np.ndarray, task: Task, activation: str, threads: int = 1, targets: Sequence[Target] = ()
) -> np.ndarray:
    """Outputs of a file as `optimizers.declarations.Evidence` has them: for binary tasks probabilities of class 1."""
    from optimizers.litert.interpreter import predict

    return probabilities(predict(file, x, threads), task, activation, targets)


def probabilities(scores: np.ndarray, task: Task, activation: str, targets: Sequence[Target] = ()) -> np.ndarray:
    """Scores of a classifier as probabilities: logits go through the sigmoid or softmax that the model leaves out.

    Args:
        scores: As the file gives them.
        task: What the model does; what does not tell classes apart is left as it is.
        activation: Of the model's output layer. ``linear`` means logits; where it is not known, scores outside of
            [0, 1] do.
        targets: Of several outputs, whose scores lie side by side; each has its own task and activation.

    Returns:
        Float64 where something was computed, so that large logits do not all become exactly 0 or 1.
    """
    import numpy as np
    from scipy.special import expit, softmax

    from optimizers.metrics._outputs import columns, shaped

    if targets:
        flat = scores.reshape(len(scores), -1)
        parts = [shaped(flat[:, own], one) for one, own in zip(targets, columns(targets), strict=True)]
        found = [probabilities(part, one.task, one.activation) for part, one in zip(parts, targets, strict=True)]
        return np.concatenate([part.reshape(len(part), -1) for part in found], axis=1)
    if not KINDS[task].decides or scores.size == 0:
        return scores
    inside = bool(scores.min() >= 0.0 and scores.max() <= 1.0)
    wide = scores.shape[-1]
    alone = task == "multilabel" or (task == "segmentation" and wide == 1)  # one score for two classes
    if task == "binary" or alone:
        if activation == "sigmoid" or (activation != "linear" and inside):
            return scores
        logits = scores.astype(np.float64)
        return np.asarray(softmax(logits, axis=1) if scores.ndim == 2 and wide == 2 and not alone else expit(logits))
    suited = scores.ndim == 2 or task == "segmentation"
    if not suited or not (activation == "linear" or (not activation and not inside)):
        return scores
    return np.asarray(softmax(scores.astype(np.float64), axis=-1))


def truth(y: np.ndarray, task: Task, targets: Sequence[Target], baseline: np.ndarray) -> np.ndarray:
    """What answers are held against: labels, and the baseline's answers for whatever has none.

    Args:
        y: Labels as a part has them.
        task: What the model does.
        targets: What each of several outputs is to say.
        baseline: What the baseline answers, as `Evidence` has scores.
    """
    if task == "fidelity":
        return baseline
    unlabelled = [one for one in targets if one.task == "fidelity"]
    if not unlabelled:
        return y
    from optimizers.datasets.several import named
    from optimizers.metrics._outputs import columns

    baseline = baseline.reshape(len(baseline), -1)
    place = {one.name: own for one, own in zip(targets, columns(targets), strict=True)}
    answered = {one.name: baseline[:, place[one.name]] for one in unlabelled}
    return named({one.name: answered[one.name] if one.name in answered else y[one.name] for one in targets})


def worth(
    scores: np.ndarray, y: np.ndarray, task: Task, several: bool = False, targets: Sequence[Target] = ()
) -> Worth:
    """How good each answer is.

    Args:
        scores: As `answers` gives them.
        y: The truth; for reconstruction the inputs, for fidelity what the original answers, shaped as ``scores``.
        task: What the model does.
        several: It has several outputs, flattened and put side by side.
        targets: What each of several outputs with labels is to say; ``y`` has a field for each.

    Returns:
        Several outputs with labels: the mean over outputs of what their answers are worth, 1 minus that where lower is
        better.
        Classification and binary: 1 where the answer is right, else 0. Several labels, and classes of positions: the
        headline metric and how it hangs on each example (the delta method), whose mean it is. Regression: 1 minus the
        squared error over the variance of the targets, whose mean is R². Reconstruction: mean squared error. Fidelity:
        1 where the decision is the original's, else 0; where outputs are no scores of classes, mean absolute difference
        over the outputs' standard deviation.

    Raises:
        NotApplicable: Shapes do not fit.
    """
    import numpy as np

    from optimizers.metrics import f1_micro, mean_iou, mean_quality
    from optimizers.metrics._evidence import decisions, estimates

    given = np.asarray(scores, np.float64)
    if targets:
        together = mean_quality.estimate(Evidence(Path(), task, given, y, targets=tuple(targets)))
        return Worth(mean_quality.METRIC.title, "fraction", "higher", together.value + together.influence)
    evidence = Evidence(Path(), task, given, y)
    if KINDS[task].one_class:
        decided, truth, _ = decisions(evidence)
        return Worth("Accuracy", "fraction", "higher", (decided == truth).astype(np.float64))
    if KINDS[task].decides:
        headline = f1_micro if task == "multilabel" else mean_iou
        found = headline.estimate(evidence)
        return Worth(headline.METRIC.title, "fraction", "higher", found.value + found.influence)
    if task == "regression":
        predicted, target = estimates(evidence)
        varied = np.ptp(target, axis=0) > 0
        if not varied.any():
            raise NotApplicable("All targets are the same, so no share of their variance can be explained.")
        errors = (predicted - target)[:, varied] ** 2 / target[:, varied].var(axis=0)
        return Worth("R²", "", "higher", 1 - errors.mean(axis=1))
    if given.shape != y.shape:
        raise NotApplicable(f"The outputs have shape {given.shape[1:]}, what they are held against {y.shape[1:]}.")
    if task == "reconstruction":
        return Worth("Reconstruction error", "", "lower", ((given - y) ** 2).reshape(len(given), -1).mean(axis=1))
    if given.ndim == 2 and given.shape[1] > 1 and not several:
        same = given.argmax(axis=1) == y.argmax(axis=1)
        return Worth("Agreement", "fraction", "higher", same.astype(np.float64))
    spread = float(np.std(y))
    if spread == 0:
        raise NotApplicable("The original answers the same to every example, so no change can be told.")
    return Worth("Output change", "fraction", "lower", np.abs(given - y).reshape(len(given), -1).mean(axis=1) / spread)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% interval of the mean of values of shape (n,)."""
    import numpy as np

    from optimizers.metrics._intervals import signed_mean, wilson

    if np.isin(values, (0.0, 1.0)).all():
        return wilson(float(np.sum(values)), len(values))
    return signed_mean(values) if len(values) > 1 else (-np.inf, np.inf)


def paired(own: np.ndarray, reference: np.ndarray, level: float = 0.95) -> Difference:
    """Mean of ``own - reference``, both of shape (n,) on the same examples, with its interval of that level.

    Where answers are right or wrong it is a score interval, which is honest also where few examples differ.
    """
    import numpy as np

    first, second = np.asarray(own, np.float64), np.asarray(reference, np.float64)
    counted = bool(np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all())
    return mean_difference(first - second, level, counted=counted)


def mean_difference(each: np.ndarray, level: float = 0.95, *, counted: bool = False) -> Difference:
    """Mean of differences of shape (n,) with its interval of that level.

    With ``counted`` they are means of differences between right (1) and wrong (0) answers; two made-up examples, one
    lost and one gained, then keep the interval honest where few examples differ.

    Source: Agresti and Min (2005), "Simple improved confidence intervals for comparing matched proportions".
    """
    import numpy as np

    from optimizers.metrics._intervals import signed_mean
    from optimizers.metrics._paired import tango

    n, value = len(each), float(each.mean())
    if np.isin(each, (-1.0, 0.0, 1.0)).all() and (counted or each.any()):  # numbers that are all the same are no counts
        return Difference(value, *tango(int((each < 0).sum()), int((each > 0).sum()), n, level), n)
    if n < 2:
        return Difference(value, -np.inf, np.inf, n)
    low, high = signed_mean(np.append(each, [1.0, -1.0]) if counted else each, level)
    return Difference(value, min(low, value), max(high, value), n)
