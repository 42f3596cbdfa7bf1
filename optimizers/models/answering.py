"""Asking a model that somebody brought, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from optimizers.litert.file import is_litert


def answering(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Loads a model file and returns what answers for it.

    Args:
        path: A ``.tflite`` file, or anything else that the reader accepts.

    Returns:
        A function from examples, of shape (n, *input) or with a field per input, to float32 of shape (n, outputs);
        several outputs are flattened and put side by side.

    Raises:
        ModelRefused: As `optimizers.tf.build.load_working`.
    """
    if is_litert(path):
        from optimizers.litert.interpreter import predict

        return lambda x: predict(path, x).reshape(len(x), -1)
    from optimizers.tf.build import load_working
    from optimizers.tf.outputs import outputs

    model = load_working(path)
    return lambda x: outputs(model, x)
