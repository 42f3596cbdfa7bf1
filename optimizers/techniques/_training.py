"""Parameters of every technique that trains. No TensorFlow here; the training itself is in ``optimizers.tf.train``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from optimizers.errors import NotApplicable
from optimizers.params import ParamSet, param

_IMAGE_RANK = 3
NO_CLASSES = "Class weights need one class per example, and there is none here; set class_weights to 'none'."

_LAYERS_HELP = (
    "Names of the layers to work on, separated by commas; * stands for anything and ! in front leaves a layer out. "
    "Empty means all that can be."
)


def layers_param() -> Any:
    """The parameter ``layers``: which layers a step may touch."""
    return param("", label="Layers", help=_LAYERS_HELP, advanced=True, text="layers")


def can_vary(augmentation: str, dtype: str, rank: int) -> bool:
    """Whether examples for an input of that type and so many dimensions can be varied: decimal numbers, or images."""
    return "float" in dtype if augmentation == "noise" else rank == _IMAGE_RANK


def check_augmentation(augmentation: str, inputs: Iterable[tuple[str, int]]) -> None:
    """Raises `NotApplicable` where none of a model's inputs, given by type and dimensions, can be varied."""
    if augmentation == "none" or any(can_vary(augmentation, dtype, rank) for dtype, rank in inputs):
        return
    raise NotApplicable(
        "Noise can only be added to decimal numbers; set augmentation to 'none'."
        if augmentation == "noise"
        else "Only images can be shifted or mirrored; set augmentation to 'noise' or 'none'."
    )


class TrainingParams(ParamSet):
    """How long, how hard and from what to train: the loss that suits the task, validation after every epoch."""

    epochs: int = param(
        8,
        label="Epochs",
        help="Passes over the training data; more recover more accuracy and take proportionally longer. Small data are "
        "passed over more often, until the least training steps are taken.",
        low=1,
        high=200,
        step=1,
    )
    batch_size: int = param(
        32,
        label="Batch size",
        help="Examples per training step; larger is faster per epoch but takes fewer steps.",
        low=1,
        high=1024,
        step=8,
        advanced=True,
    )
    # Chosen on the validation parts of the nine sample models pruned to 50%, among 1e-3, 3e-4 and 1e-4: 3e-4 and 1e-3
    # share the best mean rank by validation loss (1.9 of 3), and 1e-3 costs occupancy_gru 6 points more accuracy.
    learning_rate: float = param(
        3e-4,
        label="Learning rate",
        help="Length of a training step; too large destroys what the model knows, too small recovers nothing.",
        low=1e-6,
        high=1e-1,
        log=True,
    )
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = param(
        "adam",
        label="Optimizer",
        help="Adam suits most models; AdamW also shrinks weights a little; SGD (momentum 0.9) wants larger rates.",
        advanced=True,
    )
    # On validation, 300 steps instead of 8 epochs lower the squared error of mpg_mlp pruned to 50% from 9.1 to 7.1.
    min_steps: int = param(
        300,
        label="Least training steps",
        help="Small data sets are passed over more often than the epochs say until so many steps are taken; 0 never.",
        low=0,
        high=10000,
        step=50,
        advanced=True,
    )
    augmentation: Literal["none", "shift", "shift_flip", "noise"] = param(
        "none",
        label="Augmentation",
        help="Varies training examples anew in every epoch: images shifted by up to an eighth, also mirrored, "
        "labels of their pixels with them, or any numbers with a little noise.",
        advanced=True,
    )
    class_weights: Literal["none", "balanced"] = param(
        "none",
        label="Class weights",
        help="Balanced lets rare classes count as much as frequent ones; for unbalanced data with one class per "
        "example.",
        advanced=True,
    )
    learn_from: Literal["labels", "original", "both"] = param(
        "labels",
        label="Learn from",
        help="Labels, or the outputs of the original model (distillation as recovery), or both together.",
        advanced=True,
    )
    temperature: float = param(
        4.0,
        label="Temperature",
        help="How far the original model's answers are softened when they are learned from; higher shows more of what "
        "it thinks of the wrong classes.",
        low=1.0,
        high=20.0,
        step=0.5,
        advanced=True,
    )
    label_weight: float = param(
        0.3,
        label="Weight of the labels",
        help="Share of the labels in the loss when learning from both; the rest follows the original model.",
        low=0.0,
        high=1.0,
        step=0.05,
        percent=True,
        advanced=True,
    )
    patience: int = param(
        0,
        label="Early stopping patience",
        help="Stop after so many epochs without improvement on the validation part and go back to the best; "
        "0 trains to the end.",
        low=0,
        high=50,
        step=1,
        advanced=True,
    )
    monitor: Literal["val_loss", "val_metric"] = param(
        "val_loss",
        label="Early stopping watches",
        help="The validation loss, or the task's own metric (accuracy, or mean absolute error).",
        advanced=True,
    )
    min_delta: float = param(
        0.0,
        label="Least improvement",
        help="How much the watched figure has to improve to count, in its own unit.",
        low=0.0,
        high=1.0,
        step=0.001,
        advanced=True,
    )
