"""Packs of evidence: the files of a comparison, the report on them, and what it takes to measure them again."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optimizers.datasets import fit
from optimizers.engine.plan import scope_of
from optimizers.engine.worker import Task as Work
from optimizers.errors import NotApplicable
from optimizers.history.frames import measurements_of
from optimizers.naming import file_stem
from optimizers.records import SHARED, Artifact, DatasetSummary, ModelSummary, Run, digest_of
from optimizers.report.content import content
from optimizers.report.html import document
from optimizers.report.manifest import MANIFEST, REPORT, Manifest, PackedFile, PackedSubject, PackedTest
from optimizers.report.results import encoded, results

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

_README = """This pack holds the files of a comparison made with Paretoscope.

report.html    opens in any browser, without a network
models/        the files themselves
data/          the test part in the form in which the files take it, if it was packed
results.csv    every measurement
manifest.json  what was measured on which file, with hashes, recipes and versions

With Paretoscope installed, this measures size, hash and quality again and says what agrees:

    python -m optimizers verify {name}
"""


def write(
    driver: Driver,
    run_ids: Sequence[str],
    target: Path,
    *,
    title: str = "",
    note: str = "",
    with_data: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
) -> Manifest:
    """Writes a pack of finished runs; what lies at ``target`` is replaced only when the new pack is whole.

    Args:
        driver: Of the engine that made the runs.
        run_ids: Runs that are not finished are told in the report, and have no file.
        target: A ZIP file.
        title, note: For the report.
        with_data: Whether the test part is packed as well. Without it, others need the data to measure quality again.
        cancelled: Asked while examples are read.

    Raises:
        NotApplicable: No run has left a file, or one is no longer in the store.
    """
    told = content(driver.history, driver.store, run_ids, title)
    found = {run.id: run for run in driver.history.runs(list(run_ids)) if run.part == "test"}
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in (found[i] for i in run_ids if i in found and found[i].state == "done"):
        groups.setdefault((run.model.digest, run.dataset.digest), []).append(run)
    draft = target.with_name(f"{target.name}.part")
    subjects = []
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, runs in enumerate(groups.values(), start=1):
                prefix = f"{number}-" if len(groups) > 1 else ""
                subjects.append(_subject(driver, runs, archive, prefix, with_data, cancelled))
            others = {
                REPORT: document(told, note=note, pack=target.name).encode(),
                "results.csv": encoded(results(driver.history, run_ids), "csv"),
                "README.txt": _README.format(name=target.name).encode(),
            }
            for name, written in others.items():
                archive.writestr(name, written)
            manifest = Manifest(
                title=told.title, made=told.made, versions=told.versions, subjects=tuple(subjects),
                others={name: hashlib.sha256(written).hexdigest() for name, written in others.items()},
            )  # fmt: skip
            archive.writestr(MANIFEST, manifest.model_dump_json(indent=1))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _subject(
    driver: Driver,
    runs: list[Run],
    archive: zipfile.ZipFile,
    prefix: str,
    with_data: bool,
    cancelled: Callable[[], bool],
) -> PackedSubject:
    first = runs[0]
    _, model = driver.inspect_model(first.model.uri)
    _, data = driver.inspect_dataset(first.dataset.uri)
    baseline = first.model_copy(
        update={
            "recipe": "float32", "steps": (), "seed": 0, "id": "",
            "artifact_key": first.baseline_key, "artifact_digest": first.baseline_digest,
        }
    )  # fmt: skip
    files: list[PackedFile] = []
    for run in [baseline, *runs]:
        if run.artifact_digest not in {file.sha256 for file in files}:
            files.append(_file(driver, run, archive, prefix, len(files)))
    return PackedSubject(
        model=first.model.name,
        model_sha256=first.model.digest,
        data=first.dataset.name,
        data_sha256=first.dataset.digest,
        task=fit.check_fit(model.inputs, model.outputs, data, first.dataset.name, model.activation),
        activation=model.activation,
        outputs=len(model.outputs),
        targets=fit.targets_of(model.outputs, data, first.dataset.name),
        test=_test(driver, first, model, data, archive, prefix, with_data, cancelled),
        files=tuple(files),
    )


def _file(driver: Driver, run: Run, archive: zipfile.ZipFile, prefix: str, number: int) -> PackedFile:
    artifact = driver.store.get(run.artifact_key)
    if artifact is None:
        raise NotApplicable(
            f"The file of {run.recipe!r} is no longer in the store; run the recipe again, or leave it out of the pack."
        )
    stem = file_stem(run.recipe if run.id else "baseline", most=100)
    path = f"models/{prefix}{number}-{stem}.tflite"
    archive.write(driver.store.path(artifact), path)
    return PackedFile(
        path=path,
        sha256=artifact.digest,
        size_bytes=artifact.size_bytes,
        recipe=run.recipe,
        is_baseline=not run.id,
        seed=run.seed,
        run_id=run.id,
        steps=run.steps,
        measurements=measurements_of(driver.history, run),
    )


def _test(
    driver: Driver,
    run: Run,
    model: ModelSummary,
    data: DatasetSummary,
    archive: zipfile.ZipFile,
    prefix: str,
    with_data: bool,
    cancelled: Callable[[], bool],
) -> PackedTest:
    """The test part, packed if it is wanted; the address of data that everybody has, else none."""
    uri = run.dataset.uri if run.dataset.scope == SHARED and not run.dataset.uri.startswith("file:") else ""
    if not with_data:
        return PackedTest(examples=data.n_test, uri=uri)
    scope = scope_of(run.model, run.dataset)
    key = digest_of({"examples": run.dataset.digest, "model": run.model.digest, "scope": scope})
    kept = driver.store.get(key)
    if kept is None:
        params = {"key": key, "dataset": run.dataset.uri, "summary": model.model_dump(mode="json")}
        log = str(driver.settings.logs / f"{key[:16]}.log")
        task = Work("optimizers.report.remeasuring:keep_test", params, "light", "interactive", log)
        kept = Artifact.model_validate(driver.executor.run(task, lambda event: None, cancelled))
    path = f"data/{prefix}test.npz"
    archive.write(driver.store.path(kept), path)
    return PackedTest(path=path, sha256=kept.digest, examples=data.n_test, uri=uri)
