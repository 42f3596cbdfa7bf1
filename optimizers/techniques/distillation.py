"""A small network is trained to answer as the large one does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique, TrainingData
from optimizers.errors import NotApplicable
from optimizers.kinds import KINDS
from optimizers.params import param
from optimizers.techniques._training import TrainingParams

MAIN = "model.keras"


class DistillationParams(TrainingParams):
    """Of knowledge distillation."""

    student: Literal["scaled", "compact", "own"] = param(
        "scaled",
        label="Student",
        help="The original made narrower and shallower, a compact network of the app's, or a model of yours.",
        searched=("scaled", "compact"),  # own needs a model that somebody brings
    )
    width: float = param(
        0.3,
        label="Width",
        help="Share of the channels that a scaled student keeps; parameters fall with its square.",
        low=0.05,
        high=1.0,
        step=0.05,
        percent=True,
    )
    depth: float = param(
        1.0,
        label="Depth",
        help="Share of the blocks that a scaled student keeps, of those whose input and output have one shape.",
        low=0.0,
        high=1.0,
        step=0.05,
        percent=True,
    )
    model: str = param(
        "",
        label="Your student",
        help="Used when the student is a model of yours: same inputs and outputs as the original; it is trained afresh "
        "unless it is to keep its weights.",
        text="model",
        advanced=True,
    )
    keep_weights: bool = param(
        False,
        label="Start from the student's weights",
        help="Continue to train your student instead of starting afresh.",
        advanced=True,
    )
    teacher: str = param(
        "",
        label="Another teacher",
        help="A model to learn from instead of the original, for example a larger and better one.",
        text="model",
        advanced=True,
    )
    labelled: float = param(
        1.0,
        label="Labels used",
        help="Share of the training examples whose labels are used; from the others only the teacher's answers are "
        "learned, as with unlabelled data.",
        low=0.0,
        high=1.0,
        step=0.05,
        percent=True,
        advanced=True,
    )
    epochs: int = param(
        40,
        label="Epochs",
        help="Passes over the training data; a student starts from nothing, so it needs more than a repair.",
        low=1,
        high=400,
        step=1,
    )
    learning_rate: float = param(
        2e-3, label="Learning rate", help="Length of a training step.", low=1e-6, high=1e-1, log=True
    )
    min_steps: int = param(
        2000,
        label="Least training steps",
        help="Small data sets are passed over more often than the epochs say until so many steps are taken; 0 never.",
        low=0,
        high=20000,
        step=50,
        advanced=True,
    )
    learn_from: Literal["labels", "original", "both"] = param(
        "both",
        label="Learn from",
        help="The teacher's answers and the labels, the answers alone, or (to compare with) the labels alone.",
    )


def apply(context: StageContext, params: DistillationParams) -> StageReport:
    """Trains a student and writes ``model.keras``.

    Figures: ``student``, ``parameters`` of teacher and student, ``labelled`` examples, and those of the training.

    Raises:
        NotApplicable: No such student can be made of this model, it does not fit the original, or training diverged.
    """
    from optimizers.tf import build, train
    from optimizers.tf.objective import output_of

    data = context.data()
    train.seed_everything(context.seed)
    original = build.load_working(context.source)
    teacher = build.load_working(_file(context.models, params.teacher)) if params.teacher else None
    student, notes = _student(original, params, context.models, output_of(original, data))
    follows = params.student == "scaled" and params.learn_from != "labels" and teacher is None
    if follows and context.original is not None and context.original != context.source:
        notes = (*notes, "The teacher is the original model, the student's shape follows the steps before this one.")
    chosen = _labelled(data, params.labelled, context.seed)
    training = train.tune(student, context, params, teacher=teacher, labelled=chosen)
    build.save_working(student, context.out / MAIN)
    figures: dict[str, Any] = {
        "student": params.student,
        "parameters": {"teacher": (teacher or original).count_params(), "student": student.count_params()},
        "labelled": len(data.train) if chosen is None else int(chosen.sum()),
        **training.figures,
    }
    return StageReport(MAIN, notes=(*notes, *training.notes), figures=figures)


def rehearse(
    model: Any, params: DistillationParams, held: frozenset[Property], models: Mapping[str, Path] | None = None
) -> Rehearsal:
    """The student, untrained."""
    from optimizers.tf import build, cost
    from optimizers.tf.outputs import output_activation

    if params.teacher and params.learn_from != "labels":
        _check_alike("teacher", build.load_working(_file(models or {}, params.teacher)), model)
    probable = output_activation(model) in ("softmax", "sigmoid")
    student, notes = _student(model, params, models or {}, "probabilities" if probable else "values")
    smaller = f"{cost.macs(model) / max(1, cost.macs(student)):.1f} times fewer multiply-accumulates"
    touched = {layer.name: "trained afresh" for layer in student.layers if layer.trainable_weights}
    shrunk = f"The student has {student.count_params():,} of {model.count_params():,} parameters and {smaller}."
    return Rehearsal(student, touched, rounds=1, notes=(*notes, shrunk))


def _student(model: Any, params: DistillationParams, models: Mapping[str, Path], output: Any) -> tuple[Any, Any]:
    from optimizers.tf import build, students

    if params.student == "compact":
        return students.compact(model, output), ()
    if params.student == "scaled":
        if params.width >= 1 and params.depth >= 1:
            raise NotApplicable("A student of full width and depth is the original itself; lower width or depth.")
        return students.scaled(model, params.width, params.depth)
    if not params.model:
        raise NotApplicable("No student was chosen; choose a model of yours, or let the original be scaled.")
    student = build.load_working(_file(models, params.model))
    _check_alike("student", student, model)
    return student if params.keep_weights else students.untrained(student), ()


def _check_alike(who: str, other: Any, model: Any) -> None:
    """Raises `NotApplicable` where a student or teacher takes or gives something else than the original."""
    for what, ends in (("takes inputs", "inputs"), ("gives outputs", "outputs")):
        own, wanted = ([tuple(tensor.shape[1:]) for tensor in getattr(each, ends)] for each in (other, model))
        if own != wanted:
            raise NotApplicable(
                f"The {who} {what} of shape {' and '.join(map(str, own))}, the original of shape "
                f"{' and '.join(map(str, wanted))}; they must be alike."
            )


def _file(models: Mapping[str, Path], uri: str) -> Path:
    if uri not in models:
        raise NotApplicable(f"The model {uri!r} is not here; choose another one.")
    return models[uri]


def _labelled(data: TrainingData, share: float, seed: int) -> np.ndarray | None:
    """Which training examples keep their label, shape (n,), bool, as many of each class; None for all."""
    if share >= 1:
        return None
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(data.train), bool)
    groups = data.train.y if KINDS[data.task].one_class else np.zeros(len(data.train))
    for label in np.unique(groups):
        members = random.permutation(np.flatnonzero(groups == label))
        chosen[members[: round(share * len(members))]] = True
    return chosen


TECHNIQUE = Technique(
    name="distillation",
    version="2",
    title="Knowledge distillation",
    summary="Trains a much smaller network to answer as the large one does: really fewer parameters and less "
    "computation, at the price of a full training.",
    family="distillation",
    params=DistillationParams,
    accepts=frozenset({"keras"}),
    produces="keras",
    apply=apply,
    rehearse=rehearse,
    needs=frozenset({"train", "teacher"}),
    provides=frozenset({"structure"}),
    source="Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network",
)
