"""Times two LiteRT files in turn, so that whatever slows the machine down slows both."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.litert.interpreter import inputs, load, quantized

_WARM_UP_NS = 100_000_000
_WARM_UP_RUNS = 5
_SHORTEST_RUN_NS = 50_000


def time_interleaved(
    file: Path,
    baseline: Path,
    *,
    threads: int = 1,
    example: np.ndarray | None = None,
    seconds: float = 2.0,
    min_runs: int = 50,
    max_runs: int = 2000,
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds per invocation of a file and of its baseline, taken A B A B … in this process.

    A *run* is one ``invoke()`` of one example, inputs already set. Where that takes less than 50 µs, a run is the mean
    of as many invocations in a row as fill 50 µs, so that the clock's own cost stays below a percent; medians then
    describe such means, and the tail (p90) is smoother than that of single invocations. Each file has its own number.

    Args:
        file, baseline: ``.tflite`` files; the same file twice is allowed and shows the noise.
        threads: CPU threads of both interpreters.
        example: What goes in, shape (1, *input_shape) or with one field per input, real values; random values in range
            where there is none.
        seconds: Time after which no further pair starts, warm-up not counted.
        min_runs, max_runs: Pairs taken at least (even if that takes longer) and at most.

    Returns:
        Two float64 arrays of equal length, shape (runs,), in order of measurement.

    Raises:
        NotApplicable: LiteRT cannot run one of the files.
    """
    first, second = _prepared(file, threads, example), _prepared(baseline, threads, example)
    repeat_first, repeat_second = _warmed_up(first), _warmed_up(second)
    times: list[float] = []
    baseline_times: list[float] = []
    deadline = perf_counter_ns() + int(seconds * 1e9)
    while len(times) < max_runs and (len(times) < min_runs or perf_counter_ns() < deadline):
        times.append(_run_ms(first, repeat_first))
        baseline_times.append(_run_ms(second, repeat_second))
    return np.asarray(times), np.asarray(baseline_times)


def _prepared(file: Path, threads: int, example: np.ndarray | None) -> Any:
    interpreter = load(file, threads)
    rng = np.random.default_rng(0)
    details = inputs(interpreter)
    given = [None] * len(details) if example is None else arrays_of(example)
    for detail, real in zip(details, given, strict=True):
        value = _in_range(rng, detail) if real is None else quantized(real, detail)
        interpreter.set_tensor(detail["index"], value)
    return interpreter


def _in_range(rng: np.random.Generator, detail: dict[str, Any]) -> np.ndarray:
    """Random values that an input may hold; unquantized integers are taken as indices, so only 0 and 1 are safe."""
    dtype, shape = np.dtype(detail["dtype"]), tuple(detail["shape"])
    if not np.issubdtype(dtype, np.integer):
        return rng.standard_normal(shape).astype(dtype)
    if detail["quantization"][0] == 0 and dtype.itemsize > 1:
        return rng.integers(0, 2, shape).astype(dtype)
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, shape, dtype=dtype, endpoint=True)


def _warmed_up(interpreter: Any) -> int:
    """Number of invocations that make one run, found while the caches warm up."""
    spent: list[int] = []
    while len(spent) < _WARM_UP_RUNS or sum(spent) < _WARM_UP_NS:
        started = perf_counter_ns()
        interpreter.invoke()
        spent.append(perf_counter_ns() - started)
    return max(1, ceil(_SHORTEST_RUN_NS / max(1.0, float(np.median(spent)))))


def _run_ms(interpreter: Any, repeat: int) -> float:
    started = perf_counter_ns()
    for _ in range(repeat):
        interpreter.invoke()
    return (perf_counter_ns() - started) / repeat / 1e6
