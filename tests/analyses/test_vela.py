"""Arm's real compiler on real files."""

from __future__ import annotations

import pytest

from optimizers.engine.analysing import Question, analyse
from optimizers.errors import NotApplicable
from optimizers.targets import vela

pytestmark = pytest.mark.skipif(not vela.available(), reason="Vela is not installed (requirements-targets.txt)")


def file_of(queue, run):
    return queue.store.path(queue.store.get(run.artifact_key))


def test_an_integer_file_runs_on_the_npu(queue, runs):
    found = vela.compile_for(file_of(queue, runs["int8"]), "ethos-u55-128")
    assert found.npu_operators > 0
    assert found.seconds == pytest.approx(found.cycles / found.clock)
    on_npu = [layer.operator for layer in found.layers if layer.target == "NPU"]
    assert on_npu.count("Conv2D") == 3
    assert on_npu.count("FullyConnected") == 2
    assert {layer.operator for layer in found.layers if layer.target == "CPU"} == {"Quantize", "Dequantize"}
    assert found.file[4:8] == b"TFL3"


def test_a_bigger_npu_needs_fewer_cycles(queue, runs):
    file = file_of(queue, runs["int8"])
    small, large = (vela.compile_for(file, name) for name in ("ethos-u55-32", "ethos-u55-256"))
    assert large.cycles < small.cycles


def test_a_float_file_stays_with_the_cpu(queue, runs):
    found = vela.compile_for(file_of(queue, runs["float32"]), "ethos-u55-128")
    assert found.npu_operators == 0
    assert found.seconds is None
    assert any("Float32" in layer.reason for layer in found.layers)


def test_a_broken_file_is_told(tmp_path):
    broken = tmp_path / "x.tflite"
    broken.write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\xff" * 200)
    with pytest.raises(NotApplicable, match="cannot compile this file"):
        vela.compile_for(broken, "ethos-u55-128")


def test_the_report_names_what_the_cpu_keeps(queue, runs):
    report, key = analyse(queue.driver, Question(runs["int8"], "npu", {"all_of_them": False}))
    assert "stay with the CPU" in report.sentences[0].text
    assert report.fact("time").value > 0
    assert queue.analyses.file(key, "model_vela.tflite").read_bytes()[4:8] == b"TFL3"
