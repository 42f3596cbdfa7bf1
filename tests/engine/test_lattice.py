"""The variants behind a real run: found where they were run, named where they were not, and run when asked for."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from optimizers.cli import app
from optimizers.engine.lattice import lattice
from optimizers.errors import NotApplicable
from optimizers.figures.findings import chart
from optimizers.history.frames import measurements_of
from optimizers.recipe import parse

MODEL, DATA = "sample:penguins_mlp", "sample:penguins"
STEPS = ("magnitude_pruning(epochs=2, min_steps=0)", "int8")


def finished(queue, *recipes, seed=0):
    runs = queue.submit(MODEL, DATA, [parse(recipe) for recipe in recipes], seed=seed)
    queue.wait([run.id for run in runs])
    found = [queue.history.run(run.id) for run in runs]
    assert [run.state for run in found] == ["done"] * len(found), [run.failure for run in found]
    return found


@pytest.mark.slow
def test_contributions_of_a_real_run(queue):
    whole, int8 = finished(queue, "+".join(STEPS), "int8")
    found = lattice(queue.driver, whole)
    assert [recipe.text for recipe in found.recipes] == [STEPS[0]], "int8 alone was run, the pruned float file was not"
    partial = found.report()
    assert partial.table("size_bytes").rows[-1]["level"] == measurements_of(queue.history, whole)["size_bytes"].value
    assert partial.table("size_bytes").rows[-1].get("change") is None, "what came before is not known"

    (pruned,) = finished(queue, STEPS[0])
    found = lattice(queue.driver, whole)
    assert not found.missing
    told = found.report()
    size = {run.recipe: measurements_of(queue.history, run)["size_bytes"].value for run in (whole, int8, pruned)}
    base = told.table("size_bytes").rows[0]["level"]
    rows = {row["step"]: row for row in told.table("size_bytes").rows}
    assert rows["int8"]["change"] == size[whole.recipe] - size[pruned.recipe]
    expected = ((size["int8"] - base) + (size[whole.recipe] - size[pruned.recipe])) / 2
    assert rows["int8"]["shapley"] == pytest.approx(expected)
    for name in ("size_bytes", "compressed_bytes", "latency_ms", "quality"):
        table = told.table(name)
        assert chart(table) is not None
        steps = [row for row in table.rows if "change" in row]
        ends = measurements_of(queue.history, whole)
        assert sum(row["shapley"] for row in steps) == pytest.approx(sum(row["change"] for row in steps), abs=1e-9)
        if name == "quality":
            gone = measurements_of(queue.history, whole.model_copy(update={"artifact_digest": whole.baseline_digest}))
            assert sum(row["change"] for row in steps) == pytest.approx(ends["accuracy"].value - gone["accuracy"].value)


def test_what_has_one_step_or_no_file_has_no_contributions(queue):
    (single,) = finished(queue, "int8")
    with pytest.raises(NotApplicable, match="single step"):
        lattice(queue.driver, single)
    with pytest.raises(NotApplicable, match="no file"):
        lattice(queue.driver, single.model_copy(update={"state": "failed", "artifact_digest": ""}))


def test_another_seed_is_another_lattice(queue):
    (other,) = finished(queue, "+".join(STEPS), seed=1)
    assert STEPS[0] in [recipe.text for recipe in lattice(queue.driver, other).recipes]


@pytest.mark.slow
def test_the_command_line_runs_what_is_missing(queue, tmp_path):
    (whole,) = finished(queue, "+".join(STEPS), seed=2)
    home = ["--home", str(queue.settings.home)]
    ended = CliRunner().invoke(app, ["contributions", whole.id, "--run-missing", "--json", *home])
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert {table["name"] for table in told["tables"]} >= {"size_bytes", "latency_ms", "quality", "variants"}
    assert not lattice(queue.driver, whole).missing
