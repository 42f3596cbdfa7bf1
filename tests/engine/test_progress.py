"""What running work tells about itself."""

from __future__ import annotations

from pathlib import Path

from optimizers.engine import progress


def told(folder: Path, *events: dict[str, float]) -> progress.Progress:
    writer = progress.ProgressWriter(folder, "run", 2)
    writer.stage(1, "Pruning")
    for number, metrics in enumerate(events, start=1):
        writer.event({"type": "progress", "step": number, "of": 9, "metrics": metrics})
    writer.waiting("")  # writes what is known at once
    found = progress.read(folder, "run")
    assert found is not None
    return found


def test_what_an_epoch_validated_is_kept_once_with_its_step(tmp_path: Path) -> None:
    after = {"val_loss": 0.4, "val_accuracy": 0.9}
    found = told(
        tmp_path,
        {"loss": 1.0, "epoch": 1},
        {"loss": 0.9, "epoch": 1},
        {"loss": 0.8, "epoch": 2, **after},
        {"loss": 0.7, "epoch": 2, **after},
        {"loss": 0.6, "epoch": 3, "val_loss": 0.3, "val_accuracy": 0.95},
    )
    assert found.curve == ((1, 1.0), (2, 0.9), (3, 0.8), (4, 0.7), (5, 0.6))
    assert (found.figure, found.validated) == ("val_accuracy", ((3, 0.9), (5, 0.95)))


def test_without_another_figure_it_is_the_loss(tmp_path: Path) -> None:
    found = told(tmp_path, {"loss": 1.0, "epoch": 1}, {"loss": 0.8, "epoch": 2, "val_loss": 0.5})
    assert (found.figure, found.validated) == ("val_loss", ((2, 0.5),))
    assert told(tmp_path, {"loss": 1.0, "epoch": 1}).validated == ()


def test_what_a_killed_process_left_is_swept_and_runs_keep_theirs(tmp_path):
    for name in ("timing-0a", "analysis-0b", "run0c"):
        progress.ProgressWriter(tmp_path, name, 1).stage(1, "Working")
    progress.sweep(tmp_path)
    assert progress.read(tmp_path, "timing-0a") is progress.read(tmp_path, "analysis-0b") is None
    assert progress.read(tmp_path, "run0c").title == "Working"
