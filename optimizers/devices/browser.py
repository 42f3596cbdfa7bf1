"""What a browser reports after timing files with LiteRT.js, checked and made into measurements by the usual metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from optimizers import registry
from optimizers.declarations import Evidence
from optimizers.devices import names
from optimizers.devices.measuring import keep
from optimizers.errors import NotApplicable, UserError
from optimizers.history.database import History
from optimizers.records import Measurement, Run

MOST_FILES, MOST_RUNS = 60, 2000
_TAIL = re.compile(r"latency_p\d+_ms")

Milliseconds = Annotated[float, Field(gt=0, lt=3_600_000, allow_inf_nan=False)]
Runs = Annotated[tuple[Milliseconds, ...], Field(max_length=MOST_RUNS)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Accelerator = Literal["wasm", "webgpu"]
TITLES: dict[Accelerator, str] = {"wasm": "WebAssembly", "webgpu": "WebGPU"}


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timed(_Sent):
    """One file timed in turn with its baseline; ``baseline_times`` is empty where the file is the baseline itself.

    Each time is the mean of up to ``repeat`` predictions in a row (of the baseline: ``baseline_repeat``), in
    milliseconds. ``instances`` tells which worker, with a LiteRT of its own, took each time. ``max_difference`` is the
    largest difference between any output on the device and LiteRT's in Python for the same input, ``largest`` the
    largest such output, both without sign and as real numbers.
    """

    digest: Digest
    accelerator: Accelerator
    times: Annotated[Runs, Field(min_length=10)]
    baseline_times: Runs = ()
    instances: Annotated[tuple[Annotated[int, Field(ge=0, lt=100)], ...], Field(max_length=MOST_RUNS)]
    repeat: int = Field(ge=1, le=1_000_000)
    baseline_repeat: int = Field(default=1, ge=1, le=1_000_000)
    max_difference: float = Field(ge=0, allow_inf_nan=False)
    largest: float = Field(ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_step(self) -> Timed:
        if len(self.instances) != len(self.times) or len(self.baseline_times) not in (0, len(self.times)):
            raise ValueError("every time needs its worker, and its baseline where there is one")
        return self


class Problem(_Sent):
    """A file that could not be timed, and why."""

    digest: Digest
    accelerator: Accelerator
    reason: str = Field(max_length=400)


class Report(_Sent):
    """Everything that one press of the button gave. ``tick_ms`` is the step of the browser's clock."""

    user_agent: str = Field(max_length=400)
    litertjs: str = Field(max_length=20, pattern=r"^[0-9A-Za-z.+-]*$")
    tick_ms: float = Field(ge=0, lt=10_000, allow_inf_nan=False)
    timed: Annotated[tuple[Timed, ...], Field(max_length=2 * MOST_FILES)] = ()
    problems: Annotated[tuple[Problem, ...], Field(max_length=2 * MOST_FILES)] = ()


def read(sent: Any) -> Report:
    """A report as the browser sent it. Raises `UserError` where it is none, or tells what cannot be."""
    try:
        return Report.model_validate(sent)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "report"
        raise UserError(f"The browser sent timings that make no sense ({where}); nothing was kept.") from error


def store(report: Report, name: str, runs: Sequence[Run], history: History) -> list[Measurement]:
    """Keeps what a browser reported under the device's name and returns it.

    Args:
        name: What the visitor calls the device.
        runs: Runs whose files the visitor was given; timings of other files are refused.

    Raises:
        UserError: The name is empty, or a file is not one of these runs'.
    """
    offered = {d for run in runs for d in (run.artifact_digest, run.baseline_digest) if d}
    told = [timed.digest for timed in report.timed] + [problem.digest for problem in report.problems]
    if not offered.issuperset(told):
        raise UserError("The browser sent timings of files that are not in this comparison; nothing was kept.")
    found: list[Measurement] = []
    for timed in report.timed:
        device = names.labelled(name, names.browser(report.user_agent), TITLES[timed.accelerator])
        for run in runs:
            if timed.digest == run.artifact_digest:
                kept = _pair(timed, run, device, report)
                keep(history, run, kept)
                found += kept
            elif timed.digest == run.baseline_digest and not timed.baseline_times:
                kept = _measured(timed.digest, timed.times, (), timed.repeat, timed, device, report)
                keep(history, run, kept)
                found += kept
    return found


def _pair(timed: Timed, run: Run, device: str, report: Report) -> list[Measurement]:
    """Of the file, and of the baseline that was timed in turn with it."""
    own = _measured(timed.digest, timed.times, timed.baseline_times, timed.repeat, timed, device, report)
    if not timed.baseline_times or run.baseline_digest == run.artifact_digest:
        return own
    return own + _measured(run.baseline_digest, timed.baseline_times, (), timed.baseline_repeat, timed, device, report)


def _measured(
    digest: str,
    times: Sequence[float],
    baseline_times: Sequence[float],
    repeat: int,
    timed: Timed,
    device: str,
    report: Report,
) -> list[Measurement]:
    evidence = Evidence(
        Path(),
        times_ms=np.asarray(times, np.float64),
        baseline_times_ms=np.asarray(baseline_times, np.float64) if baseline_times else None,
        instances=np.asarray(timed.instances),
    )
    versions = {"litert.js": report.litertjs, "browser": names.browser(report.user_agent)}
    versions |= {"predictions per time": str(repeat), "clock step (ms)": f"{report.tick_ms:g}"}
    found = []
    for metric in registry.metrics().values():
        if metric.needs != "timing" or (repeat > 1 and _TAIL.fullmatch(metric.name)):
            continue  # means of several predictions have no tail of single ones
        try:
            value = metric.measure(evidence)
        except NotApplicable:
            continue
        found.append(
            Measurement(
                artifact_digest=digest,
                metric=metric.name,
                version=metric.version,
                value=value.value,
                unit=metric.unit,
                n=value.n,
                low=value.low,
                high=value.high,
                device=device,
                source="browser",
                threads=1 if timed.accelerator == "wasm" else 0,
                versions=versions,
            )
        )
    return found
