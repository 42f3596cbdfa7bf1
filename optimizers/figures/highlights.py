"""The best variants of a comparison in size, speed and quality."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from optimizers import registry
from optimizers.figures import format as fmt


def best(frame: pd.DataFrame, quality: str | None) -> Iterator[tuple[str, str, Any]]:
    """A word, the metric to tell, and the row of the variant that leads in it.

    The fastest is the one with the highest speed-up, which was measured in turn; times of files that were timed apart
    say less. Where none is proven to be faster than the baseline there is no fastest.

    Args:
        frame: As `optimizers.history.frames.comparison` has it.
        quality: Name of the metric that leads the quality, if there is one.
    """
    known, variants = registry.metrics(), frame[~frame["is_baseline"].astype(bool)]
    several_models = "model" in frame and frame["model"].nunique() > 1  # each has a baseline of its own
    for word, name, by in (
        ("Smallest", "size_bytes", "size_bytes"),
        ("Largest speed-up" if several_models else "Fastest", "latency_ms", "speedup"),
        (f"Best {fmt.inside(known[quality].title)}" if quality else "", quality, quality),
    ):
        if not name or not by or name not in frame or by not in frame:
            continue
        told = variants[variants[name].notna() & variants[by].notna()]
        if by == "speedup":
            told = told[told["speedup_low"].fillna(0) > 1]
        if len(told):
            yield word, name, told[by].idxmin() if known[by].direction == "lower" else told[by].idxmax()
