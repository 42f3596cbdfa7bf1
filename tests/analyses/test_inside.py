"""What changed inside a file: reports against what is computed independently from the same files and answers."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.analyses._examples import spread
from optimizers.declarations import Part
from optimizers.engine import origins
from optimizers.engine.analysing import Question, analyse
from optimizers.engine.plan import predictions_key, scope_of
from optimizers.engine.tasks import array
from optimizers.errors import NotApplicable
from optimizers.figures.format import cell
from optimizers.history.frames import differences_of, measurements_of
from optimizers.litert.interpreter import predict
from optimizers.litert.weights import weights


def report(queue, run, name, **more):
    return analyse(queue.driver, Question(run, name, more.pop("given", {}), **more))[0]


def file(queue, run, *, baseline=False):
    return queue.store.path(queue.store.get(run.baseline_key if baseline else run.artifact_key))


@pytest.fixture(scope="module")
def decided(queue, runs):
    """By name what files decide on the test part, run anew, and the truth."""
    data = origins.load_dataset("sample:optdigits")
    found = {name: predict(file(queue, run), data.test.x).argmax(axis=1) for name, run in runs.items()}
    return {**found, "truth": data.test.y}


def test_changed_answers_are_counted_as_they_are(queue, runs, decided):
    told = report(queue, runs["pruned"], "flips")
    truth, was, now = decided["truth"], decided["float32"] == decided["truth"], decided["pruned"] == decided["truth"]
    assert told.fact("lost").value == (was & ~now).sum() > 0
    assert told.fact("gained").value == (~was & now).sum()
    assert told.fact("change").value == pytest.approx(now.mean() - was.mean())
    assert told.fact("change").low < told.fact("change").value < told.fact("change").high
    for row in told.table("classes").rows:
        own = truth == int(row["class"])
        assert (row["lost"], row["gained"], row["n"]) == ((was & ~now & own).sum(), (~was & now & own).sum(), own.sum())
    drops = [row["now"] - row["before"] for row in told.table("classes").rows]
    assert drops == sorted(drops), "worst first"


def test_changed_examples_are_shown_with_both_answers(queue, runs, decided):
    told = report(queue, runs["pruned"], "flips", given={"shown": 5})
    rows = told.table("turned_wrong").rows
    assert 0 < len(rows) <= 5
    for row in rows:
        number = row["number"]
        assert int(row["truth"]) == decided["truth"][number] == int(row["before"]) != int(row["now"])
        assert int(row["now"]) == decided["pruned"][number]
        assert row["picture"].startswith("data:image/png;base64,")
    assert [row["sure"] for row in rows] == sorted((row["sure"] for row in rows), reverse=True)


def test_what_is_told_of_accuracy_and_confidence_is_what_the_metrics_say(queue, runs):
    told = report(queue, runs["pruned"], "flips")
    found = differences_of(queue.history, runs["pruned"])
    assert told.fact("p").value == pytest.approx(found["accuracy"].p)
    assert told.fact("change").low == pytest.approx(found["accuracy"].low)
    calibration = {row["what"]: row for row in told.table("confidence").rows}["Calibration error"]
    measured = measurements_of(queue.history, runs["pruned"])["calibration_error"]
    assert calibration["own"] == cell(measured.value, "fraction")


def test_two_variants_swap_what_turned_wrong_and_right(queue, runs):
    one = report(queue, runs["pruned"], "flips", against=runs["int8"])
    other = report(queue, runs["int8"], "flips", against=runs["pruned"])
    assert one.fact("lost").value == other.fact("gained").value
    assert one.fact("gained").value == other.fact("lost").value


def test_a_file_has_no_changes_against_itself(queue, runs):
    for name in ("flips", "activations", "sensitivity"):
        with pytest.raises(NotApplicable, match="reference itself"):
            report(queue, runs["int8"], name, of_baseline=True)


def test_confusion_matrices_are_those_of_the_decisions(queue, runs, decided):
    told = report(queue, runs["pruned"], "confusion")
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (decided["truth"], decided["pruned"]), 1)
    now = {(row["truth"], row["decided"]): row["count"] for row in told.table("now").rows}
    assert all(now[str(i), str(j)] == expected[i, j] for i in range(10) for j in range(10))
    was = {(row["truth"], row["decided"]): row["count"] for row in told.table("before").rows}
    difference = {(row["truth"], row["decided"]): row["count"] for row in told.table("difference").rows}
    assert all(difference[key] == now[key] - was[key] for key in now)


def test_noise_of_weights_is_that_of_the_files(queue, runs):
    told = report(queue, runs["int8"], "weights")
    own, reference = (weights(file(queue, runs["int8"], baseline=base)) for base in (False, True))
    for row in told.table("layers").rows:
        pair = [next(w for w in side if w.kernel and f"/{row['layer']}/" in w.name + "/") for side in (reference, own)]
        before, after = (weight.dequantized.astype(np.float64) for weight in pair)
        assert row["sqnr"] == pytest.approx(10 * np.log10((before**2).sum() / ((before - after) ** 2).sum()))
        assert row["largest"] == pytest.approx(np.abs(before - after).max(), rel=1e-5)
        assert row["values"] == before.size
        assert row["unique"] == len(np.unique(pair[1].values)) <= 255


def test_zeros_are_told_and_shares_add_up(queue, runs):
    told = report(queue, runs["pruned"], "weights")
    assert told.fact("zeros").value == pytest.approx(0.8, abs=0.05)
    assert told.fact("reference_zeros").value < 0.01
    for side in ("own", "reference"):
        sums = {}
        for row in told.table("histograms").rows:
            sums[row["layer"]] = sums.get(row["layer"], 0.0) + (row[side] or 0.0)
        assert all(total == pytest.approx(1) for total in sums.values())
    same = report(queue, runs["pruned"], "weights", against=runs["pruned"])
    assert all(row.get("sqnr") is None and row["largest"] == 0 for row in same.table("layers").rows)


def test_damage_is_followed_from_layer_to_layer(queue, runs):
    told = report(queue, runs["pruned"], "activations", given={"examples": 8})
    layers = [row["layer"] for row in told.table("activations").rows]
    assert layers[0] == "conv1"
    assert layers[-1] == "output"
    assert told.fact("missing").value == 0
    assert all(0 < row["relative"] < 1 for row in told.table("activations").rows)


def test_each_layer_is_tried_alone(queue, runs):
    told = report(queue, runs["pruned"], "sensitivity", given={"examples": 100})
    rows = told.table("sensitivity").rows
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "conv3", "hidden", "classes"]
    assert all(row["low"] <= row["change"] <= row["high"] for row in rows)
    data = origins.load_dataset("sample:optdigits")
    part = spread(data.validation, 100)
    itself = predict(file(queue, runs["pruned"]), part.x).argmax(axis=1) == part.y
    base = predict(file(queue, runs["pruned"], baseline=True), part.x).argmax(axis=1) == part.y
    total = {row["what"]: row for row in told.table("totals").rows}["The file as it is"]
    assert total["quality"] == pytest.approx(itself.mean())
    assert total["change"] == pytest.approx(itself.mean() - base.mean())


def test_a_float32_variant_costs_no_layer_anything(queue, runs):
    told = report(queue, runs["int8"], "sensitivity", given={"examples": 50}, against=runs["int8"].model_copy(
        update={"artifact_key": runs["int8"].baseline_key, "artifact_digest": runs["int8"].baseline_digest}
    ))  # fmt: skip
    assert told.table("sensitivity").rows
    with pytest.raises(NotApplicable, match="no float32 file"):
        report(queue, runs["pruned"], "sensitivity", against=runs["int8"])


@pytest.mark.slow
def test_clean_inputs_are_answered_as_ever(queue, runs):
    told = report(queue, runs["int8"], "corruptions", given={"examples": 60})
    data = origins.load_dataset("sample:optdigits")
    part = spread(data.validation, 60)
    clean = predict(file(queue, runs["int8"]), part.x).argmax(axis=1) == part.y
    rows = told.table("quality").rows
    assert all(row["own"] == pytest.approx(clean.mean()) for row in rows if row["severity"] == 0)
    assert {row["severity"] for row in rows} == {0, 1, 2, 3}
    assert min(row["own"] for row in rows) < clean.mean()


def test_a_few_examples_are_spread_over_all_of_them():
    part = Part(np.arange(101.0), np.arange(101))
    assert list(spread(part, 5).y) == [0, 25, 50, 75, 100]
    assert len(spread(part, 1000)) == 101


def test_stored_answers_are_those_that_are_compared(queue, runs, decided):
    run = runs["pruned"]
    kept = queue.store.get(predictions_key(run.artifact_digest, run.dataset, scope_of(run.model, run.dataset)))
    assert (array(queue.store, kept, "scores").argmax(axis=1) == decided["pruned"]).all()
