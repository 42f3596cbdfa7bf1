"""From checked timings to measurements in the history."""

from __future__ import annotations

from collections.abc import Iterable

from optimizers.devices.names import scope_of_run
from optimizers.errors import UserError
from optimizers.history.database import History
from optimizers.records import Measurement, Run

MOST_DEVICES = 20
"""Devices whose measurements one run keeps."""


def keep(history: History, run: Run, measurements: Iterable[Measurement]) -> None:
    """Adds measurements from other devices to a run, for everybody who knows the run.

    They take the place of all that the device measured on these files before.

    Raises:
        UserError: The run has measurements of too many devices already.
    """
    scope = scope_of_run(run.id)
    new = [m.model_copy(update={"scope": scope}) for m in measurements]
    digests = [d for d in (run.artifact_digest, run.baseline_digest) if d]
    known = {m.device for m in history.measurements(digests, scopes=[scope])}
    if len(known | {m.device for m in new}) > MOST_DEVICES:
        raise UserError(f"This run has measurements of {MOST_DEVICES} other devices, which is as many as it keeps.")
    for device in {m.device for m in new}:
        history.forget(scope, device, sorted({m.artifact_digest for m in new if m.device == device}))
    history.record(new)
