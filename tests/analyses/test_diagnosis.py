"""The diagnosis on made files whose trouble is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measurement.diagnosis import CASES, MODELS, Bench, Case, found, wrong
from optimizers.diagnosis.facts import Facts, file_facts
from optimizers.diagnosis.original import original
from optimizers.diagnosis.rules import diagnose
from optimizers.engine.analysing import Question, analyse
from optimizers.findings import ChainStep
from optimizers.history.frames import measurements_of
from optimizers.ledger import Loss
from optimizers.models.sample import manifest
from optimizers.records import Measurement


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def made(folder):
    """Makes a model once and gives its path."""

    def make(name):
        path = folder / name
        return path if path.exists() else MODELS[name](path)

    return make


@pytest.fixture(scope="module")
def bench(queue, folder):
    return Bench(queue, folder)


def facts(file, reference=None, **more):
    """Facts about a file without steps or measurements, unless given."""
    own = file_facts(file, {})
    other = own if reference is None else file_facts(reference, {})
    given = {"original": None, "chain": (), "measured": {}, "lost": ()} | more
    return Facts(own, other, "baseline", reference is None, **given)


def cases(told):
    return {finding.case: finding for finding in diagnose(told)}


def measured(value, low, high, device=""):
    return Measurement(
        artifact_digest="x", metric="speedup", version="2", value=value, unit="x", n=9, low=low, high=high,
        device=device,
    )  # fmt: skip


@pytest.fixture(scope="module")
def converted(folder, made):
    """Converts a made model in one of the modes."""

    def convert(name, mode):
        import numpy as np

        from optimizers.tf import build
        from optimizers.tf import convert as conversion

        path = folder / f"{name}-{mode}.tflite"
        if not path.exists():
            examples = np.random.default_rng(0).uniform(0, 1, (20, 8, 8, 1)).astype(np.float32)
            model = build.load_working(made(name))
            path.write_bytes(conversion.convert(model, mode, representative=examples).file)
        return path

    return convert


def test_integer_kernels_of_depthwise_convolutions_meet_floats(converted):
    told = facts(converted("wide.keras", "dynamic_range"), converted("wide.keras", "float32"))
    found = cases(told)["8-bit kernels meet floats"]
    assert "DEPTHWISE_CONV_2D: depth" in found.text
    depth, stem = 8 * 8 * 9 * 128, 8 * 8 * 9 * 128
    share = next(figure.value for figure in found.evidence if figure.unit == "fraction")
    assert share == pytest.approx(depth / (depth + stem + 1280))
    assert "8-bit kernels meet floats" not in cases(facts(converted("wide.keras", "int8")))


def test_what_is_slow_in_principle_worries_only_where_it_is_slow(converted):
    files = converted("wide.keras", "dynamic_range"), converted("wide.keras", "float32")
    tones = {}
    for value in (0.2, 1.4):
        told = facts(*files, measured={"speedup": measured(value, value - 0.01, value + 0.01)})
        tones[value] = cases(told)["8-bit kernels meet floats"].tone
    assert tones == {0.2: "warning", 1.4: "plain"}


@pytest.mark.parametrize(
    ("device", "speedup", "tone"),
    [
        ("AMD EPYC, 2 cores, AVX2", 0.8, "warning"),
        ("AMD EPYC, 2 cores, AVX2", 1.0, "warning"),
        ("AMD EPYC, 2 cores, AVX2", 1.4, None),
        ("Intel(R) Xeon(R) Processor, 2 cores, AVX-512 VNNI", 0.8, None),
        ("somebody's board", 0.8, None),
    ],
)
def test_a_processor_without_dot_products_is_why_int8_is_no_faster(converted, device, speedup, tone):
    files = converted("wide.keras", "int8"), converted("wide.keras", "float32")
    told = measured(speedup, speedup - 0.01, speedup + 0.01, device)
    found = cases(facts(*files, measured={"speedup": told})).get("processor is not faster in integers")
    assert (found and found.tone) == tone
    same = cases(facts(converted("wide.keras", "float32"), files[1], measured={"speedup": told}))
    assert "processor is not faster in integers" not in same


def test_floating_point_operators_of_an_integer_file_are_named(converted):
    found = cases(facts(converted("volume.keras", "int8"), converted("volume.keras", "float32")))
    told = found["float operators in an integer file"]
    assert "CONV_3D" in told.text
    assert told.tone == "warning"
    assert {f.title: f.value for f in told.evidence}["Conversions inside"] == 2
    assert "float operators in an integer file" not in cases(facts(converted("volume.keras", "float32")))


@pytest.mark.parametrize(
    ("later", "what", "advice"),
    [
        ("structured_pruning", "clusters", "Put that step first."),
        ("low_rank", "sparsity", "Put that step first."),
        ("quantization_aware_training", "sparsity", "Put that step first, or let it keep them (setting"),
        ("int8", "clusters", "Give it one scale per kernel (setting “granularity: per_tensor”)."),
        ("float16", "sparsity", "Leave one of the two out."),
    ],
)
def test_what_is_advised_against_a_loss_is_what_the_later_step_can_do(converted, later, what, advice):
    loss = Loss("wide", what, "weight_clustering", later, "layer wide has more than it had.")
    told = cases(facts(converted("wide.keras", "float32"), lost=(loss,)))
    [finding] = [found for case, found in told.items() if case.endswith("were lost")]
    assert finding.advice.startswith(advice)


@pytest.mark.parametrize(("granularity", "advice"), [("auto", "Leave one of the two out."), ("per_channel", "Give it")])
def test_what_a_step_tried_by_itself_is_not_advised(converted, granularity, advice):
    loss = Loss("wide", "clusters", "weight_clustering", "int8", "layer wide has more than it had.")
    chain = (ChainStep("int8", {"granularity": granularity}, "tflite", Path("unused"), {}),)
    [finding] = [
        found
        for case, found in cases(facts(converted("wide.keras", "float32"), lost=(loss,), chain=chain)).items()
        if case.endswith("were lost")
    ]
    assert finding.advice.startswith(advice)


def test_a_file_without_its_zeros_is_dense_in_memory(made):
    found = cases(facts(made("sparse.tflite")))
    weights = 64 * 256 + 256 * 128 + 128 * 10
    stored, dense = (figure.value for figure in found["sparse file is unpacked at load"].evidence)
    assert dense == 4 * weights
    assert 0.1 * dense < stored < 0.2 * dense
    assert "zeros are stored" not in found


def test_what_is_stored_twice_is_told_once(made):
    found = cases(facts(made("twice.tflite")))["weights are stored twice"]
    assert found.evidence[0].value == 4 * 64 * 64


def test_an_optimizers_state_is_told_from_weights(made):
    path = made("dense-with-optimizer.h5")
    parameters = (64 + 1) * 256 + (256 + 1) * 128 + (128 + 1) * 10
    told = original(path)
    assert told.size == path.stat().st_size
    assert told.optimizer == pytest.approx(2 * 4 * parameters, rel=0.01)
    assert original(made("dense.keras")).optimizer == 0
    assert original(made("sparse.tflite")) is None


def test_links_that_lead_in_a_circle_are_counted_once(tmp_path):
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("optimizer_weights")
        group["a"] = range(1000)
        group["again"] = group
        group["b"] = group["a"]
    assert original(tmp_path / "x.h5").optimizer == 8000


def test_pruned_weights_are_stored_zero_by_zero(queue, runs):
    report, _ = analyse(queue.driver, Question(runs["pruned"], "diagnosis", {}))
    rows = {row["figure"]: row["value"] for row in report.table("evidence").rows if row["case"] == "zeros are stored"}
    assert rows["Zeros"] == "80.0%"
    assert "does not skip zeros" in " ".join(sentence.advice for sentence in report.sentences)


def test_nothing_is_wrong_where_all_is_well(queue, runs):
    for name in ("int8", "float32"):
        report, _ = analyse(queue.driver, Question(runs[name], "diagnosis", {}))
        warnings = [sentence.text for sentence in report.sentences if sentence.tone == "warning"]
        speedup = measurements_of(queue.history, runs[name]).get("speedup")
        assert [text for text in warnings if "this processor" not in text] == []
        if speedup is not None and speedup.high < 1:  # truly so on processors without VNNI, and then told
            assert warnings
    assert "not been optimized" in report.sentences[0].text


def test_times_of_operators_are_told_once_they_are_known(queue, runs):
    before, key = analyse(queue.driver, Question(runs["int8"], "diagnosis", {}))
    analyse(queue.driver, Question(runs["int8"], "profile", {}))
    after, other = analyse(queue.driver, Question(runs["int8"], "diagnosis", {}))
    assert key != other
    assert not any("of the time" in sentence.text for sentence in before.sentences)
    assert any("of the time" in sentence.text for sentence in after.sentences)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}-{case.recipe}")
def test_every_made_case_is_diagnosed(bench, case):
    report = bench.report(case)
    assert not wrong(case, report), found(report)


@pytest.mark.slow
@pytest.mark.parametrize("sample", sorted(manifest()))
def test_a_warning_has_a_reason_in_what_was_measured(bench, sample):
    """Plain int8 is no reason to worry unless the file is slower or larger than the baseline."""
    case = Case("int8", f"sample:{sample}", "int8", data=manifest()[sample].dataset)
    report = bench.report(case)
    alarms = [sentence.text for sentence in report.sentences if sentence.tone == "warning"]
    better = report.fact("smaller").value > 1 and report.fact("speedup").value > 1
    assert bool(alarms) == (not better), report.sentences[0].text
