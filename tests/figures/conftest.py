"""Comparisons as the history gives them, made by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

NAN = float("nan")


def comparison_row(
    variant="float32", run_id="", family="baseline", accuracy=0.95, size=200_000.0, latency=0.05, **more
):
    """One row of a comparison; the baseline unless told otherwise."""
    base = variant == "float32"
    speedup = NAN if base or math.isnan(latency) else 0.05 / latency
    return {
        "variant": variant, "run_id": run_id, "family": family, "is_baseline": base, "model": "m", "dataset": "d",
        "seed": 0, "artifact_key": f"key-{variant}", "artifact_digest": f"digest-{variant}", "scope": "shared",
        "device": "a laptop", "threads": 1,
        "accuracy": accuracy, "accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.01, "accuracy_n": 1000,
        "accuracy_change": accuracy - 0.95,
        "size_bytes": size, "size_bytes_low": NAN, "size_bytes_high": NAN, "size_bytes_n": 1,
        "size_bytes_change": size / 200_000 - 1,
        "latency_ms": latency, "latency_ms_low": latency * 0.9, "latency_ms_high": latency * 1.1, "latency_ms_n": 500,
        "latency_ms_change": latency / 0.05 - 1,
        "speedup": speedup, "speedup_low": speedup * 0.98, "speedup_high": speedup * 1.02, "speedup_n": 500,
        "speedup_change": NAN,
    } | more  # fmt: skip


@pytest.fixture
def frame() -> pd.DataFrame:
    """Baseline, a better, a mixed and a worse variant, the last one without a latency."""
    return pd.DataFrame(
        [
            comparison_row(),
            comparison_row("int8", "a", "quantization", 0.95, 50_000.0, 0.02),
            comparison_row("magnitude_pruning(target_sparsity=0.8)", "b", "pruning", 0.96, 200_000.0, 0.05),
            comparison_row("magnitude_pruning(target_sparsity=0.8)+int8", "c", "combined", 0.90, 60_000.0, NAN),
        ]
    )
