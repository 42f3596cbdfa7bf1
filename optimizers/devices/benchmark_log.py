"""Reads what ``benchmark_model`` (TensorFlow Lite, also through Android's log) and ``litert-benchmark`` print or write.

Sources: tensorflow/lite/tools/benchmark and tensorflow/core/util/stats_calculator.h for ``benchmark_model``;
ai_edge_litert/tools/benchmark_litert_model.py for ``litert-benchmark``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizers.errors import DataRefused

MOST_BYTES = 5_000_000
_MOST_BENCHMARKS, _LONGEST_LINE = 200, 1000
Tool = Literal["benchmark_model", "litert-benchmark"]

_NUMBER = r"(\d{1,18}(?:\.\d{1,18})?(?:e[+-]?\d{1,2})?)"
_STATS = re.compile(rf"\bcount=(\d{{1,9}})((?: \w+={_NUMBER}(?:\(all same\))?)+)")
_STAT = re.compile(rf"(\w+)={_NUMBER}")
_SUMMARY = re.compile(rf"Inference timings in us: .*Inference \(avg\): {_NUMBER}")
_GRAPH = re.compile(r"\bGraph: \[?([^\]]{1,500})\]?\s*$")
_MODEL = re.compile(r"\bModel: +(\S.{0,500})$")
_BYTES = re.compile(rf"input model file size \(MB\): {_NUMBER}")
_MEBIBYTES = re.compile(rf"\bModel size: +{_NUMBER} MB")
_THREADS = re.compile(r"\b(?:Num threads: +\[?|#threads used for CPU inference: \[?)(\d{1,4})")
_USES = re.compile(r"\bUse (gpu|NNAPI|Hexagon|CoreML|npu)\b[^:]{0,30}: \[?1", re.IGNORECASE)
_ACCELERATORS = re.compile(r"\bAccelerators: +([A-Z| ]{1,40})$")
_ROW = re.compile(rf"\bInference \((avg|median|std|p95)\): +{_NUMBER} ms(?: \((\d{{1,9}}) runs\))?")


class FileSize(NamedTuple):
    """Size of the model file in bytes, as exactly as it was printed: it lies between the two."""

    low: float
    high: float


class Benchmark(BaseModel):
    """One benchmark of one file. Times in milliseconds; ``step_ms`` is the unit of the last digit that was printed."""

    model_config = ConfigDict(frozen=True)

    tool: Tool
    model: str = ""
    file_size: FileSize | None = None
    threads: int = Field(default=0, ge=0, le=4096)
    accelerator: str = "CPU"
    count: int = Field(ge=1, le=10**9)
    mean_ms: float = Field(gt=0, lt=3_600_000, allow_inf_nan=False)
    std_ms: float | None = Field(default=None, ge=0, lt=3_600_000, allow_inf_nan=False)
    median_ms: float | None = Field(default=None, gt=0, lt=3_600_000, allow_inf_nan=False)
    step_ms: float = Field(default=0.0, ge=0)


def parse(content: bytes) -> tuple[Benchmark, ...]:
    """All benchmarks in a file, in order.

    Raises:
        DataRefused: The file is too large, or has no benchmark with its number of runs.
    """
    if len(content) > MOST_BYTES:
        raise DataRefused(f"The log has more than {MOST_BYTES // 1_000_000} MB; bring only the lines of the benchmark.")
    text = content.decode("utf-8", errors="replace").removeprefix("\ufeff").replace("\0", "")
    try:
        found = _from_json(text) if text.lstrip()[:1] in ("{", "[") else _from_lines(text)
    except ValidationError as error:
        field = error.errors()[0]["loc"][-1] if error.errors()[0]["loc"] else "time"
        raise DataRefused(f"The log tells of a benchmark that cannot be: its {field} makes no sense.") from error
    if not found:
        raise DataRefused(
            "There is no finished benchmark in this file. It needs the lines that benchmark_model prints at its end "
            "(“count=… avg=… std=…” and “Inference timings in us: …”), or what litert-benchmark prints or writes with "
            "--result_json; a profile of operators alone is not enough."
        )
    return tuple(found[:_MOST_BENCHMARKS])


# benchmark_model and the text of litert-benchmark ---------------------------------------------------------------------


class _Lines:
    """What was seen since the last finished benchmark."""

    def __init__(self) -> None:
        self.found: list[Benchmark] = []
        self._start()

    def _start(self) -> None:
        self.told: dict[str, Any] = {}
        self.stats: list[dict[str, float]] = []
        self.rows: dict[str, float] = {}

    def read(self, line: str) -> None:
        if match := _GRAPH.search(line) or _MODEL.search(line):
            self.finish()
            self.told["model"] = match[1].strip()
        elif match := _BYTES.search(line):
            self.told["file_size"] = _size(match[1], 1e6)
        elif match := _MEBIBYTES.search(line):
            self.told["file_size"] = _size(match[1], 2**20)
        elif match := _THREADS.search(line):
            self.told["threads"] = int(match[1])
        elif match := _USES.search(line):
            self.told["accelerator"] = {"gpu": "GPU", "npu": "NPU"}.get(match[1].lower(), match[1])
        elif match := _ACCELERATORS.search(line):
            self.told["accelerator"] = "+".join(part.strip() for part in match[1].split("|") if part.strip())
        elif match := _STATS.search(line):
            values = {name: float(number) for name, number in _STAT.findall(match[2])}
            if "all same" in line:
                values |= {"avg": values.get("curr", 0.0), "std": 0.0, "median": values.get("curr", 0.0)}
            self.stats.append(values | {"count": float(match[1])})
        elif match := _SUMMARY.search(line):
            self._summary(float(match[1]))
        elif match := _ROW.search(line):
            self.rows |= {match[1]: float(match[2])} | ({"count": float(match[3])} if match[3] else {})

    def _summary(self, mean_us: float) -> None:
        """The last line of ``benchmark_model``. The statistics before it are those of the runs that it averages."""
        stats = self.stats[-1] if self.stats else {}
        if "avg" in stats and math.isclose(stats["avg"], mean_us, rel_tol=0.01):
            self._add(stats)
        elif stats.get("count") == 1 and math.isclose(stats.get("curr", 0.0), mean_us, rel_tol=0.01):
            self._add({"avg": mean_us, "count": 1.0})
        self._start()

    def _add(self, stats: Mapping[str, float]) -> None:
        std, median = stats.get("std"), stats.get("median")
        self.found.append(
            Benchmark(
                tool="benchmark_model",
                **self.told,
                count=int(stats["count"]),
                mean_ms=stats["avg"] / 1e3,
                std_ms=None if std is None else std / 1e3,
                median_ms=None if median is None else median / 1e3,
                step_ms=1e-3,
            )
        )

    def finish(self) -> None:
        """Closes a benchmark whose last line is missing: two statistics are those of warm-up and of the runs."""
        if self.rows.get("avg") and "count" in self.rows:
            rows = self.rows
            self.found.append(
                Benchmark(
                    tool="litert-benchmark",
                    **self.told,
                    count=int(rows["count"]),
                    mean_ms=rows["avg"],
                    std_ms=rows.get("std"),
                    median_ms=rows.get("median") or None,
                    step_ms=0.01,
                )
            )
        elif len(self.stats) >= 2 and "avg" in self.stats[-1]:
            self._add(self.stats[-1])
        else:
            return
        self._start()


def _from_lines(text: str) -> list[Benchmark]:
    state = _Lines()
    for line in text.splitlines():
        if len(state.found) >= _MOST_BENCHMARKS:
            break
        state.read(line[:_LONGEST_LINE].rstrip())
    state.finish()
    return state.found


def _size(printed: str, unit: float) -> FileSize:
    """``benchmark_model`` prints six significant digits, ``litert-benchmark`` two decimals."""
    value = float(printed)
    decimals = len(printed.partition(".")[2]) if "e" not in printed else 0
    half = 0.005 if unit == 2**20 else max(0.5 * 10.0**-decimals, value * 5e-6)
    return FileSize(max(0.0, value - half) * unit, (value + half) * unit)


# the results of litert-benchmark --result_json ------------------------------------------------------------------------


class _Latency(BaseModel):
    avg_ms: float
    num_runs: int
    std_ms: float | None = None
    median_ms: float | None = None


class _Results(BaseModel):
    latency: _Latency
    model: str = Field(default="", max_length=1000)
    model_size_mb: float | None = Field(default=None, ge=0, lt=1e6, allow_inf_nan=False)
    num_threads: int = 0
    accelerators: tuple[str, ...] = ("CPU",)


def _from_json(text: str) -> list[Benchmark]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataRefused("The file looks like JSON and is none that can be read.") from error
    entries = value if isinstance(value, list) else [value]
    return [_result(_Results.model_validate(entry)) for entry in entries[:_MOST_BENCHMARKS]]


def _result(results: _Results) -> Benchmark:
    told, size = results.latency, results.model_size_mb
    return Benchmark(
        tool="litert-benchmark",
        model=results.model,
        threads=results.num_threads,
        count=told.num_runs,
        accelerator="+".join(part for part in results.accelerators if part in ("CPU", "GPU", "NPU")) or "CPU",
        file_size=None if size is None else _size(f"{size:.2f}", 2**20),
        mean_ms=told.avg_ms,
        std_ms=told.std_ms,
        median_ms=told.median_ms or None,
        step_ms=0.01,
    )
