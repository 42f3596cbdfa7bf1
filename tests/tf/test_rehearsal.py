"""Whole recipes rehearsed: every step on what the one before it would leave."""

from __future__ import annotations

from pathlib import Path

from optimizers.recipe import parse
from optimizers.tf import rehearsal
from optimizers.tf.build import save_working
from tests.techniques.networks import built


def test_models_are_handed_to_the_steps_that_name_them_only(tmp_path: Path) -> None:
    for name in ("conv", "dense"):
        save_working(built(name), tmp_path / f"{name}.keras")
    recipe = parse("distillation(student=own, model='sample:student')+structured_pruning+int8")
    found = rehearsal.rehearse(tmp_path / "conv.keras", recipe, None, {"sample:student": tmp_path / "dense.keras"})
    assert [step.technique for step in found.steps] == ["distillation", "structured_pruning", "int8"]
    assert found.parameters < built("dense").count_params()
