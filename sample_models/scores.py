"""Figures of merit on a part of a data set, in plain NumPy."""

from __future__ import annotations

import numpy as np

from optimizers.records import Task


def scores(task: Task, outputs: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Figures of one model, the headline first.

    Args:
        task: Decides which figures make sense: accuracy; accuracy and AUC; R², mean and root mean squared error.
        outputs: Shape (n, classes) for classification, else (n,) or (n, 1).
        y: Shape (n,).
    """
    if task == "classification":
        return {"accuracy": float(np.mean(outputs.argmax(axis=-1) == y))}
    flat = outputs.reshape(len(y)).astype(np.float64)
    if task == "binary":
        return {"accuracy": float(np.mean((flat >= 0.5) == y)), "auc": auc(flat, y)}
    error = flat - y
    return {
        "r2": float(1 - np.sum(error**2) / np.sum((y - y.mean(dtype=np.float64)) ** 2)),
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(np.mean(error**2))),
    }


def auc(outputs: np.ndarray, y: np.ndarray) -> float:
    """Probability that an example of class 1 scores higher than one of class 0; ties count half."""
    _, inverse, counts = np.unique(outputs, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones = y == 1
    n1, n0 = int(ones.sum()), int((~ones).sum())
    return float((ranks[ones].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def loss(task: Task, outputs: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy, or mean squared error for regression; the lower the better."""
    if task == "regression":
        return float(np.mean((outputs.reshape(len(y)) - y) ** 2))
    clipped = np.clip(outputs.astype(np.float64), 1e-7, 1 - 1e-7)
    if task == "binary":
        p = clipped.reshape(len(y))
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
    return float(-np.mean(np.log(clipped[np.arange(len(y)), y])))
