"""Parameters of every technique that trains. No TensorFlow here; the training itself is in ``optimizers.tf.train``."""

from __future__ import annotations

from optimizers.params import ParamSet, param


class TrainingParams(ParamSet):
    """How long and how hard to train: Adam, the loss that suits the task, validation after every epoch."""

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
        help="Length of a training step (Adam); too large destroys what the model knows, too small recovers nothing.",
        low=1e-6,
        high=1e-1,
        log=True,
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
    patience: int = param(
        0,
        label="Early stopping patience",
        help="Stop after so many epochs without a better validation loss and go back to the best; 0 trains to the end.",
        low=0,
        high=50,
        step=1,
        advanced=True,
    )
