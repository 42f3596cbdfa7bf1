"""Measures the files of a pack again, and says what agrees with what the pack states."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from optimizers import registry
from optimizers.engine import origins
from optimizers.engine.versions import measuring_versions
from optimizers.engine.worker import Task as Work
from optimizers.errors import ModelRefused, ParetoscopeError, UserError
from optimizers.models.reader.containers import ZipContainer
from optimizers.models.reader.limits import LIMITS
from optimizers.records import Artifact, Measurement, Record, digest_of
from optimizers.report.manifest import MANIFEST, Manifest, PackedFile, PackedSubject, parse

if TYPE_CHECKING:
    from optimizers.engine.driver import Driver

Verdict = Literal["agrees", "within the interval", "differs", "not measured again"]
_MOST_MANIFEST = 16 << 20
_SAME = 1e-9
_PUBLIC = ("sample:", "keras:")
"""Addresses of data that a pack may name: they lead to no file of whoever verifies it."""


class Check(Record):
    """One thing that a pack states about one file, and what was found."""

    file: str
    what: str
    stated: str
    found: str
    verdict: Verdict
    why: str = ""


def verify(
    driver: Driver, pack: Path, *, data: str = "", cancelled: Callable[[], bool] = lambda: False
) -> tuple[Manifest, list[Check]]:
    """Measures size, hash and quality of every file in a pack again. Nothing in the pack is believed or executed.

    Args:
        driver: Of any engine; files are run in its worker processes, with the limits for strangers' files.
        pack: A ZIP file that `optimizers.report.pack.write` made.
        data: Data set to measure quality on, for packs without examples; it must be the one that the pack names.
        cancelled: Asked while files are run.

    Raises:
        UserError: The pack is no such ZIP file, or is damaged.
    """
    try:
        if pack.stat().st_size > LIMITS.weight_bytes:
            raise UserError(f"{pack.name} is larger than {LIMITS.weight_bytes >> 30} GiB, which is more than is read.")
        archive = ZipContainer(pack.read_bytes())
        manifest = parse(archive.read(MANIFEST, _MOST_MANIFEST))
    except (ModelRefused, KeyError, OSError) as error:
        told = {KeyError: "It has no manifest.", FileNotFoundError: "There is no such file."}.get(type(error))
        told = told or (error.message if isinstance(error, ModelRefused) else "It cannot be opened.")
        raise UserError(f"{pack.name} is no pack of evidence that can be read: {told}") from None
    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="paretoscope-") as folder:
        for number, subject in enumerate(manifest.subjects):
            place = Path(folder) / str(number)
            place.mkdir()
            checks += _subject(driver, archive, subject, place, data, cancelled)
    return manifest, [*checks, *_beside(archive, manifest)]


def _beside(archive: ZipContainer, manifest: Manifest) -> Iterator[Check]:
    """The report and the table, and members that the manifest does not name."""
    for name, stated in manifest.others.items():
        content = _member(archive, name)
        yield _check(name, "SHA-256", stated, _digest(content))
    if manifest.others:  # earlier packs do not name everything
        for name in sorted(set(archive.names) - manifest.named):
            yield Check(file=name, what="Named in the manifest", stated="", found="not named", verdict="differs")


def _subject(
    driver: Driver,
    archive: ZipContainer,
    subject: PackedSubject,
    folder: Path,
    data: str,
    cancelled: Callable[[], bool],
) -> Iterator[Check]:
    paths: dict[str, Path] = {}
    for number, file in enumerate(subject.files):
        content = _member(archive, file.path)
        yield from _bytes(file, content)
        if content is not None:
            paths[file.path] = folder / f"{number}.tflite"
            paths[file.path].write_bytes(content)
    test, why = _examples(driver, archive, subject, folder, data)
    if subject.test.path:
        yield _check(subject.test.path, "SHA-256", subject.test.sha256, _digest(test.read_bytes() if test else None))
    baseline = paths.get(subject.files[0].path)
    for file in subject.files:
        if file.path not in paths or baseline is None:
            continue
        params = {
            "file": str(paths[file.path]), "baseline": str(baseline), "test": str(test or ""), "task": subject.task,
            "activation": subject.activation, "several": subject.outputs > 1,
            "targets": [one.model_dump(mode="json") for one in subject.targets],
        }  # fmt: skip
        log = str(driver.settings.logs / f"verify-{digest_of(params)[:12]}.log")
        task = Work(
            "optimizers.report.remeasuring:remeasure", params, "reader", "interactive", log, reading=True, here=True
        )
        try:
            measured = driver.executor.run(task, lambda event: None, cancelled)
        except ParetoscopeError as error:
            yield Check(
                file=file.path, what="Quality", stated="", found="", verdict="not measured again", why=error.message
            )
            continue
        yield from _figures(file, measured, why)


def _member(archive: ZipContainer, name: str) -> bytes | None:
    if name not in archive.names:
        return None
    try:
        return archive.read(name, LIMITS.file_bytes)
    except ModelRefused as error:
        raise UserError(f"{name} of this pack cannot be read: {error.message}") from None


def _bytes(file: PackedFile, content: bytes | None) -> Iterator[Check]:
    yield _check(file.path, "SHA-256", file.sha256, _digest(content))
    yield _check(file.path, "Bytes", str(file.size_bytes), "missing" if content is None else str(len(content)))


def _digest(content: bytes | None) -> str:
    return "missing" if content is None else hashlib.sha256(content).hexdigest()


def _check(file: str, what: str, stated: str, found: str) -> Check:
    return Check(file=file, what=what, stated=stated, found=found, verdict="agrees" if stated == found else "differs")


def _examples(
    driver: Driver, archive: ZipContainer, subject: PackedSubject, folder: Path, data: str
) -> tuple[Path | None, str]:
    """The examples to measure on, or why there are none."""
    if subject.test.path:
        content = _member(archive, subject.test.path)
        if content is None:
            return None, "The examples that the pack names are missing in it."
        path = folder / "test.npz"
        path.write_bytes(content)
        return path, ""
    uri = data or (subject.test.uri if subject.test.uri.startswith(_PUBLIC) else "")
    if not uri:
        return None, f"The pack holds no examples; name the data set {subject.data} with --data."
    reference = origins.resolve_dataset(uri)
    if reference.digest != subject.data_sha256:
        return None, f"{reference.name} is not the data set that was measured on: its digest is another one."
    _, model = driver.inspect_model(_own_model(driver, folder / "0.tflite"))
    if len(subject.targets) == len(model.outputs):  # labels are named after the original's outputs
        known = zip(model.outputs, subject.targets, strict=True)
        model = model.model_copy(
            update={"outputs": tuple(spec.model_copy(update={"name": one.name}) for spec, one in known)}
        )
    params = {"key": digest_of({"verify": reference.digest, "model": subject.model_sha256}), "dataset": uri,
              "summary": model.model_dump(mode="json")}  # fmt: skip
    kept = driver.store.get(str(params["key"]))
    if kept is None:
        log = str(driver.settings.logs / f"{str(params['key'])[:16]}.log")
        task = Work("optimizers.report.remeasuring:keep_test", params, "reader", "interactive", log)
        kept = Artifact.model_validate(driver.executor.run(task, lambda event: None, lambda: False))
    return driver.store.path(kept), ""


def _own_model(driver: Driver, path: Path) -> str:
    """The baseline as a model, which tells in what form it takes examples."""
    return f"file:{path}"


def _figures(file: PackedFile, measured: dict[str, float], why: str) -> Iterator[Check]:
    known = registry.metrics()
    for name, stated in file.measurements.items():
        metric = known.get(name)
        if metric is None or metric.needs not in ("file", "predictions"):
            continue
        title, told = metric.title, f"{stated.value:.9g}"
        if metric.version != stated.version:
            reason = f"This version of Paretoscope computes it in another way ({metric.version}, not {stated.version})."
            yield Check(file=file.path, what=title, stated=told, found="", verdict="not measured again", why=reason)
        elif name not in measured:
            reason = why or "It is not known for this file here."
            yield Check(file=file.path, what=title, stated=told, found="", verdict="not measured again", why=reason)
        else:
            yield _figure(file.path, title, told, stated, measured[name])


def _figure(path: str, title: str, told: str, stated: Measurement, found: float) -> Check:
    if abs(found - stated.value) <= _SAME * max(1.0, abs(stated.value)):
        verdict: Verdict = "agrees"
    elif stated.low is not None and stated.high is not None and stated.low <= found <= stated.high:
        verdict = "within the interval"
    else:
        verdict = "differs"
    other = {n: v for n, v in measuring_versions().items() if n in stated.versions and stated.versions[n] != v}
    why = ", ".join(f"{n} {v} ({stated.versions[n]} then)" for n, v in other.items()) if other else ""
    return Check(
        file=path, what=title, stated=told, found=f"{found:.9g}", verdict=verdict,
        why=f"Measured with {why}." if why and verdict != "agrees" else "",
    )  # fmt: skip
