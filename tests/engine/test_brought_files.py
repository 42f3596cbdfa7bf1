"""A ``.tflite`` file as the model: measured as it is, stored in fewer bits, and never taken for something trainable."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.datasets import sample as data_sets
from optimizers.engine.queue import JobQueue
from optimizers.errors import ModelRefused, NotApplicable
from optimizers.history.frames import comparison, measurements_of
from optimizers.models import sample
from optimizers.recipe import parse
from optimizers.records import Run

DATA = "sample:optdigits"


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that other tools could have made of a sample model."""
    from optimizers.tf import build
    from optimizers.tf.convert import convert

    folder = tmp_path_factory.mktemp("brought")
    model = build.load_working(sample.resolve("digits_cnn")[0])
    data = data_sets.load("optdigits").train.x[:100]
    for name, file in (
        ("float", convert(model, "float32").file),
        ("int8", convert(model, "int8", representative=data, io="int8").file),
    ):
        (folder / f"{name}.tflite").write_bytes(file)
    return {name: folder / f"{name}.tflite" for name in ("float", "int8")}


def finished(queue: JobQueue, model: Path, *recipes: str) -> list[Run]:
    runs = queue.submit(str(model), DATA, [parse(recipe) for recipe in recipes])
    queue.wait([run.id for run in runs])
    return [queue.history.run(run.id) for run in runs]


def test_a_float_file_is_its_own_baseline_and_gets_smaller(queue: JobQueue, brought: dict[str, Path]) -> None:
    file = brought["float"]
    runs = finished(queue, file, "float32", "low_bit(convolutions=int8)", "mixed_precision(target=0.2)")
    assert [run.state for run in runs] == ["done"] * 3, [run.failure for run in runs]
    as_it_is = queue.store.get(runs[0].artifact_key)
    assert as_it_is is not None
    assert queue.store.path(as_it_is).read_bytes() == file.read_bytes()
    assert {run.baseline_digest for run in runs} == {as_it_is.digest}
    found = [measurements_of(queue.history, run) for run in runs]
    known = sample.manifest()["digits_cnn"].baseline.value
    assert found[0]["accuracy"].value == pytest.approx(known, abs=1e-6)
    for run, measured, largest in zip(runs, found, (1.0, 0.3, 0.2), strict=True):
        assert measured["size_bytes"].value <= largest * file.stat().st_size, run.recipe
        assert measured["accuracy"].value > known - 0.02, run.recipe
        assert "latency_ms" in measured
    for run, measured in list(zip(runs, found, strict=True))[:2]:
        assert run.forecast["size_bytes"] == measured["size_bytes"].value, "nothing is trained, so it is known before"
    report = queue.store.get(runs[1].artifact_key).report  # type: ignore[union-attr]
    survey = {row["layer"]: row["dtype"] for row in report["survey"]}
    assert (survey["hidden"], survey["conv2"]) == ("int4", "int8")
    assert {row["layer"] for row in report["before"]} == set(survey)
    frame = comparison(queue.history, [run.id for run in runs])
    assert len(frame) == 3
    assert frame["is_baseline"].sum() == 1


def test_an_integer_file_is_measured_and_left_alone(queue: JobQueue, brought: dict[str, Path]) -> None:
    plain, low = finished(queue, brought["int8"], "float32", "low_bit")
    measured = measurements_of(queue.history, plain)
    assert measured["accuracy"].value > 0.95
    assert measured["size_bytes"].value == brought["int8"].stat().st_size
    assert low.failure is not None
    assert "nothing left to store in fewer bits" in low.failure.message


@pytest.mark.parametrize("recipe", ["magnitude_pruning", "quantization_aware_training", "int8", "structured_pruning"])
def test_what_needs_keras_says_so_before_and_in_the_run(recipe: str, queue: JobQueue, brought: dict[str, Path]) -> None:
    with pytest.raises(NotApplicable, match=r"needs the Keras model: this is a \.tflite file"):
        queue.driver.forecast(str(brought["float"]), DATA, parse(recipe))
    (run,) = finished(queue, brought["float"], recipe)
    assert run.failure is not None
    assert (run.failure.code, run.failure.message.count(".")) == ("needs-keras", 2)
    assert run.stages == ()


def test_a_damaged_file_is_refused_in_the_reading_process(queue: JobQueue, brought: dict[str, Path]) -> None:
    cut = brought["float"].with_name("cut.tflite")
    cut.write_bytes(brought["float"].read_bytes()[:-2000])
    with pytest.raises(ModelRefused, match="damaged"):
        queue.driver.inspect_model(str(cut))
    assert queue.driver.inspect_model(str(brought["float"]))[1].kind == "tflite"
