"""Bytes, deltas, work and memory of real files."""

from __future__ import annotations

import gzip
import shutil
import subprocess

import bsdiff4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from optimizers.engine.analysing import Question, analyse
from optimizers.errors import NotApplicable
from optimizers.litert.delta import WAYS, delta
from optimizers.litert.weights import weights

KERNELS = ("conv1", "conv2", "conv3", "hidden", "classes")


def file_of(queue, run):
    return queue.store.path(queue.store.get(run.artifact_key))


def ask(queue, run, what, **more):
    return analyse(queue.driver, Question(run, what, {}, **more))


@pytest.fixture(scope="module")
def sizes(queue, runs):
    return {name: ask(queue, run, "size")[0] for name, run in runs.items()}


@pytest.mark.parametrize("name", ["float32", "int8", "pruned"])
def test_layers_and_purposes_add_up_to_the_file(queue, runs, sizes, name):
    total = file_of(queue, runs[name]).stat().st_size
    for table in ("layers", "parts"):
        rows = sizes[name].table(table).rows
        assert sum(row["bytes"] for row in rows) == total
        assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["layer"] for row in sizes[name].table("layers").rows] == [*KERNELS, "everything else"]


def test_reference_columns_are_the_reference_files(queue, runs, sizes):
    report = ask(queue, runs["pruned"], "size", against=runs["int8"])[0]
    for table in ("layers", "parts", "compressors"):
        name = report.table(table).columns[0].name
        alone = {row[name]: row["bytes"] for row in sizes["int8"].table(table).rows}
        assert {row[name]: row["reference"] for row in report.table(table).rows} == alone


def test_bound_of_a_layer_is_the_entropy_that_scipy_finds(queue, runs, sizes):
    kernel = next(w for w in weights(file_of(queue, runs["pruned"])) if w.kernel and w.values.size == 16_384)
    row = next(row for row in sizes["pruned"].table("layers").rows if row["layer"] == "hidden")
    _, counts = np.unique(kernel.values, return_counts=True)
    entropy = stats.entropy(counts, base=2)
    assert 0.95 * entropy < row["entropy"] < entropy + 0.5  # biases, and the list of values, come on top
    assert row["zeros"] == pytest.approx(0.8, abs=0.01)
    assert row["unique"] == len(counts)


def test_sentences_say_what_the_file_wastes(sizes):
    assert "times smaller than baseline" in (sizes["int8"].sentences[0].text)
    assert sizes["int8"].fact("distance").value < 1.1
    wasted = sizes["pruned"].sentences[1]
    assert sizes["pruned"].fact("distance").value > 2
    assert "values are zero and stored in full" in wasted.advice


def test_compressors_stand_side_by_side_with_the_metrics(queue, runs, sizes):
    content = file_of(queue, runs["int8"]).read_bytes()
    rows = {row["how"]: row["bytes"] for row in sizes["int8"].table("compressors").rows}
    assert rows["gzip -9"] == len(gzip.compress(content, 9, mtime=0))
    measured = queue.history.measurements([runs["int8"].artifact_digest])
    told = {m.metric: m.value for m in measured}
    assert told["compressed_bytes"] == rows["gzip -9"]
    assert told["best_compressed_bytes"] == sizes["int8"].fact("best").value
    assert told["entropy_bytes"] == pytest.approx(sizes["int8"].fact("bound").value, abs=1)


def test_an_update_is_what_tools_on_a_device_apply(queue, runs, tmp_path):
    report, key = ask(queue, runs["pruned"], "update", against=runs["int8"])
    old, new = (file_of(queue, runs[name]).read_bytes() for name in ("int8", "pruned"))
    rows = {row["how"]: row for row in report.table("ways").rows}
    assert rows["bsdiff"]["applied"]
    assert bsdiff4.patch(old, bsdiff4.diff(old, new)) == new
    assert len(bsdiff4.diff(old, new)) == rows["bsdiff"]["bytes"]
    (name,) = report.files
    made = queue.analyses.file(key, name)
    assert made.stat().st_size == report.fact("delta").value
    if shutil.which("zstd") and name.endswith("zst"):
        (tmp_path / "old").write_bytes(old)
        command = ["zstd", "-q", "-d", f"--patch-from={tmp_path / 'old'}", str(made), "-o", str(tmp_path / "new")]
        subprocess.run(command, check=True)
        assert (tmp_path / "new").read_bytes() == new


def test_a_device_with_the_same_file_needs_nothing(queue, runs):
    with pytest.raises(NotApplicable, match="needs no update"):
        ask(queue, runs["float32"], "update")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_any_file_becomes_any_other(way):
    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=400), st.binary(max_size=400), st.integers(0, 400))
    def holds(old, middle, at):
        for new in (middle, old[:at] + middle + old[at:]):
            assert way.apply(old, delta(way, old, new)) == new

    holds()


def test_what_lies_far_back_is_found_again():
    """The beginning of nine megabytes comes again: further back than the eight that zstd looks by itself."""
    old = np.random.default_rng(0).bytes(9_000_000)
    way = next(way for way in WAYS if way.name.startswith("zstd"))
    assert len(delta(way, old, old[:500_000])) < 1000


def test_a_delta_that_gives_something_else_is_not_kept():
    from dataclasses import replace

    with pytest.raises(ValueError, match="does not give the new file"):
        delta(replace(WAYS[0], apply=lambda old, made: old), b"old", b"new")


def test_work_and_memory_of_one_prediction(queue, runs):
    report = ask(queue, runs["int8"], "compute")[0]
    assert report.fact("macs").value == 920_192
    assert report.fact("arena").value == 2 * 8 * 8 * 32
    rows = {row["layer"]: row for row in report.table("layers").rows}
    assert {name: row["macs"] for name, row in rows.items()} == {
        "conv1": 8 * 8 * 9 * 32,
        "conv2": 8 * 8 * 9 * 32 * 32,
        "conv3": 4 * 4 * 9 * 32 * 64,
        "hidden": 256 * 64,
        "classes": 64 * 10,
    }  # fmt: skip
    assert all(row["macs"] == row["reference"] for row in rows.values())
    others = report.table("others").rows
    assert [row["operator"] for row in others] == ["quantize", "max_pool_2d", "reshape", "softmax", "dequantize"]
    spent = sum(row["energy"] for row in [*rows.values(), *others])
    assert spent == pytest.approx(report.fact("energy").value)
    assert sum(row["energy"] for row in report.table("energy").rows) == pytest.approx(report.fact("energy").value)
    assert "estimate" in report.table("energy").title
    assert "Horowitz" in report.table("energy").note


def test_peak_memory_is_the_measured_one(queue, runs):
    report = ask(queue, runs["float32"], "compute")[0]
    measured = {m.metric: m for m in queue.history.measurements([runs["float32"].artifact_digest])}
    told, peak = report.fact("peak"), measured["peak_memory_bytes"]
    assert (told.value, told.low, told.high, told.n) == (peak.value, peak.low, peak.high, 6)
    assert told.low <= told.value <= told.high
    assert peak.device
