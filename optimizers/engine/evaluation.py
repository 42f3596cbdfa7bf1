"""What is told about a file's outputs: figures, paired differences to the baseline, and why one of them is absent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from optimizers import registry
from optimizers.declarations import Evidence
from optimizers.engine.plan import evaluation_key, predictions_key, scope_of, timing_key
from optimizers.engine.store import Store
from optimizers.engine.versions import device, measuring_versions
from optimizers.errors import NotApplicable
from optimizers.figures.format import inside
from optimizers.records import Difference, Measurement, Run


@dataclass
class Evaluation:
    """Figures and differences of one file, and for metrics of its task that have none the reason, in one sentence.

    ``uncompared`` are the metrics that have a figure but no difference to the baseline.
    """

    measurements: list[Measurement] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    uncompared: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, dict[str, str]]:
        """What the store keeps."""
        return {"absent": self.absent, "uncompared": self.uncompared}


def metric_versions(*, timed: bool = False) -> dict[str, str]:
    """Names and versions of the metrics that are computed when a file is evaluated, or when it is timed."""
    needs = ("timing",) if timed else ("file", "predictions")
    return {m.name: m.version for m in registry.metrics().values() if m.needs in needs}


def timed_key(artifact: str, baseline: str, scope: str, threads: int) -> str:
    """Key of having timed a file in turn with a baseline on this machine, with the metrics that there are now."""
    return timing_key(artifact, baseline, scope, {"device": device(), "threads": threads}, metric_versions(timed=True))


def absent(store: Store, run: Run, threads: int, measured: Collection[str]) -> dict[str, str]:
    """Why figures of a finished run's file are absent, in one sentence each, by metric; nothing where none is.

    ``measured`` are the metrics that there are: a later timing may have brought what the first one had not.
    """
    scope = scope_of(run.model, run.dataset)
    timed = timed_key(run.artifact_digest, run.baseline_digest, scope, threads)
    told = _reasons(store, _evaluated_key(run, scope), "absent") | _reasons(store, timed, "absent")
    return {name: reason for name, reason in told.items() if name not in measured}


def uncompared(store: Store, run: Run) -> dict[str, str]:
    """Why figures of a finished run's file are not held against the baseline's, in one sentence each, by metric."""
    return _reasons(store, _evaluated_key(run, scope_of(run.model, run.dataset)), "uncompared")


def _evaluated_key(run: Run, scope: str) -> str:
    predictions = predictions_key(run.artifact_digest, run.dataset, scope, run.part)
    return evaluation_key(predictions, run.baseline_digest, metric_versions())


def _reasons(store: Store, key: str, which: str) -> dict[str, str]:
    kept = store.get(key)
    return dict(kept.report.get(which, {})) if kept else {}


def evaluated(evidence: Evidence, artifact: str, baseline: str, dataset: str, scope: str) -> Evaluation:
    """Every metric of a file or of its outputs.

    Args:
        evidence: With the baseline's outputs if the file is to be held against them.
        artifact, baseline, dataset: Digests of the file, of the baseline's file and of the examples.
        scope: Who may see the results.
    """
    told = Evaluation()
    known = registry.metrics().values()
    for metric in registry.fitting(evidence.task, evidence.targets) if evidence.task else known:
        if metric.needs not in ("file", "predictions"):
            continue
        try:
            value = metric.measure(evidence)
        except NotApplicable as reason:
            told.absent[metric.name] = reason.message
            continue
        versions, common = measuring_versions(), {"metric": metric.name, "version": metric.version, "unit": metric.unit}
        of = dataset if metric.needs == "predictions" else ""
        told.measurements.append(
            Measurement(
                artifact_digest=artifact, dataset_digest=of, value=value.value, n=value.n, low=value.low,
                high=value.high, scope=scope, versions=versions, **common,
            )
        )  # fmt: skip
        if metric.change is None or evidence.baseline_scores is None:
            continue
        try:
            base = metric.measure(replace(evidence, scores=evidence.baseline_scores, baseline_scores=None))
        except NotApplicable as reason:
            told.uncompared[metric.name] = f"The baseline's figure is missing: {inside(reason.message)}"
            continue
        try:
            change = metric.change(evidence)
        except NotApplicable as reason:
            told.uncompared[metric.name] = reason.message
            continue
        told.differences.append(
            Difference(
                artifact_digest=artifact, baseline_digest=baseline, dataset_digest=dataset, baseline=base.value,
                scope=scope, versions=versions, **common, **change.__dict__,
            )
        )  # fmt: skip
    return told
