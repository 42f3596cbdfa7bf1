"""The interpreter of microcontrollers on real files, and the table of boards."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.analyses import microcontroller
from optimizers.engine.analysing import Question, analyse
from optimizers.errors import NotApplicable
from optimizers.findings import Context, Subject
from optimizers.targets import micro
from optimizers.targets.boards import BOARDS, CORE_BYTES

needs_micro = pytest.mark.skipif(not micro.available(), reason="tflite-micro is not installed")
INPUT = (np.zeros((1, 8, 8, 1), np.float32),)


@needs_micro
def test_arena_holds_the_largest_pair_of_activations(queue, runs):
    """The second convolution of digits_cnn reads and writes 8 x 8 x 32 numbers: 4,096 bytes in int8, four times that
    in float32."""
    sizes = {}
    for name in ("float32", "int8"):
        file = queue.store.path(queue.store.get(runs[name].artifact_key))
        sizes[name] = micro.try_out(file, INPUT)
    assert sizes["int8"].activations == 2 * 8 * 8 * 32
    assert sizes["float32"].activations == 4 * 2 * 8 * 8 * 32
    assert sizes["int8"].arena > sizes["int8"].activations
    assert sizes["float32"].outputs[0].shape == (1, 10)


@needs_micro
def test_what_it_cannot_run_is_told(tmp_path):
    broken = tmp_path / "x.tflite"
    broken.write_bytes(b"\x1c\x00\x00\x00TFL3" + b"\xff" * 200)
    with pytest.raises(NotApplicable, match="cannot run this file"):
        micro.try_out(broken, INPUT)


@needs_micro
def test_report_agrees_with_litert_and_judges_every_board(queue, runs):
    report, _ = analyse(queue.driver, Question(runs["int8"], "microcontroller", {}))
    rows = {row["board"]: row for row in report.table("boards").rows}
    assert len(rows) == len(BOARDS)
    assert rows["STM32 Blue Pill"]["verdict"] == "too small"
    assert rows["NUCLEO-H743ZI"]["verdict"] == "fits"
    assert any("answers like LiteRT" in sentence.text for sentence in report.sentences)


def test_without_the_tool_boards_are_judged_by_activations(queue, runs, monkeypatch):
    """The first convolution of digits_cnn in int8 gives 8 x 8 x 32 numbers, which the second one turns into as many."""
    file = queue.store.path(queue.store.get(runs["int8"].artifact_key))
    monkeypatch.setattr(microcontroller, "available", lambda: False)
    subject = Subject("int8", file, "digest", {}, (), pytest.fail)
    context = Context(
        subject, subject, file, None, None, pytest.fail, file.parent, 1, lambda *step: None, lambda text: None
    )
    report = microcontroller.analyse(context, None)
    assert report.fact("activations").value == 2 * 8 * 8 * 32
    assert "not installed" in report.sentences[0].text
    rows = {row["board"]: row for row in report.table("boards").rows}
    assert rows["STM32 Blue Pill"]["verdict"] == "too small"
    assert rows["NUCLEO-H743ZI"]["verdict"] == "fits"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_verdicts_follow_from_both_memories(board):
    assert board.verdict(0, 0) in ("fits", "tight")
    assert board.verdict(board.flash - CORE_BYTES + 1, 0) == "too small"
    assert board.verdict(0, board.ram + 1) == "too small"
    assert board.verdict(0, int(board.ram * 0.9)) in ("tight", "too small")
