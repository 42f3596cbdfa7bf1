"""The survival ledger: what counts as lost; a lost property is told once, with who achieved it and who lost it."""

from __future__ import annotations

from optimizers.ledger import Row, Stage, losses, merged, stages_of


def row(layer: str = "dense", *, sparsity: float = 0.0, unique: int = 900, dtype: str = "float32") -> Row:
    return Row(layer=layer, weight="kernel", values=1000, sparsity=sparsity, unique=unique, dtype=dtype)


def stage(technique: str, *rows: Row) -> Stage:
    return Stage(technique, rows)


def test_zeros_that_survive_are_no_loss() -> None:
    chain = [stage("", row()), stage("magnitude_pruning", row(sparsity=0.8)), stage("int8", row(sparsity=0.81))]
    assert losses(chain) == ()


def test_zeros_that_a_later_step_fills_are_told_with_both_steps() -> None:
    chain = [
        stage("magnitude_pruning", row(sparsity=0.8), row("other", sparsity=0.8)),
        stage("dynamic_range", row(sparsity=0.1), row("other", sparsity=0.8)),
        stage("float32", row(sparsity=0.1), row("other", sparsity=0.8)),
    ]
    (loss,) = losses(chain)
    assert (loss.layer, loss.property, loss.earlier, loss.later) == (
        "dense", "sparsity", "magnitude_pruning", "dynamic_range",
    )  # fmt: skip
    assert "10% zeros instead of 80%" in loss.sentence


def test_clusters_that_multiply_are_lost_and_one_more_value_is_not() -> None:
    chain = [stage("weight_clustering", row(unique=16), row("near", unique=16))]
    chain.append(stage("int8", row(unique=54, dtype="int8"), row("near", unique=17, dtype="int8")))
    assert [(loss.layer, loss.property) for loss in losses(chain)] == [("dense", "clusters")]


def test_kernels_of_one_layer_are_added_up() -> None:
    parts = [
        row(sparsity=0.5, unique=10),
        Row(layer="dense", weight="recurrent", values=3000, sparsity=0.1, unique=70, dtype="int8"),
    ]
    whole = merged(parts)["dense"]
    assert (whole.values, whole.unique, whole.dtype) == (4000, 70, "float32+int8")
    assert round(whole.sparsity, 6) == 0.2


def test_a_layer_that_vanishes_is_no_loss() -> None:
    chain = [stage("magnitude_pruning", row(sparsity=0.8)), stage("int8", row("dense_u"))]
    assert losses(chain) == ()


def test_reports_without_a_survey_are_passed_over() -> None:
    reports = [
        {"technique": "magnitude_pruning", "survey": [row(sparsity=0.5).model_dump()], "before": [row().model_dump()]},
        {},
    ]
    assert [s.technique for s in stages_of(reports)] == ["", "magnitude_pruning"]
