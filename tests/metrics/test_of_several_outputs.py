"""Metrics of each of several outputs against scikit-learn, and how they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from optimizers import registry
from optimizers.answers import probabilities, truth, worth
from optimizers.certification import choices, decided
from optimizers.datasets.several import named
from optimizers.declarations import Evidence
from optimizers.engine.evaluation import evaluated
from optimizers.errors import InvalidParameter, NotApplicable, UnknownName
from optimizers.limits import parse
from optimizers.records import Target
from optimizers.search import goals

RNG = np.random.default_rng(7)
N = 240
KIND, TRUE, SIZE = RNG.integers(0, 3, N), RNG.integers(0, 2, N), RNG.normal(5, 2, N).astype(np.float32)
TAGS, MASK = RNG.integers(0, 2, (N, 4)), RNG.integers(0, 3, (N, 5))
TARGETS = (
    Target(name="size", task="regression", output=(1,), activation="linear"),
    Target(name="kind", task="classification", classes=("a", "b", "c"), output=(3,), activation="linear"),
    Target(name="true", task="binary", classes=("no", "yes"), output=(1,), activation="sigmoid"),
    Target(name="tags", task="multilabel", classes=tuple("wxyz"), label_shape=(4,), output=(4,), activation="sigmoid"),
    Target(name="mask", task="segmentation", classes=tuple("012"), label_shape=(5,), output=(5, 3),
           activation="softmax"),
    Target(name="free", task="fidelity", output=(2,)),
)  # fmt: skip
Y = named({"size": SIZE, "kind": KIND, "true": TRUE, "tags": TAGS, "mask": MASK})


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits)
    return odds / odds.sum(axis=-1, keepdims=True)


def answered(noise: float, seed: int) -> dict[str, np.ndarray]:
    """What a file answers in each output, `kind` as logits."""
    rng = np.random.default_rng(seed)

    def unsure(shape):
        return noise * rng.normal(size=shape)

    return {
        "size": SIZE + unsure(N),
        "kind": 2 * np.eye(3)[KIND] + unsure((N, 3)),
        "true": 1 / (1 + np.exp(-(4 * TRUE - 2 + unsure(N)))),
        "tags": 1 / (1 + np.exp(-(4 * TAGS - 2 + unsure((N, 4))))),
        "mask": softmax(2 * np.eye(3)[MASK] + unsure((N, 5, 3))),
        "free": np.random.default_rng(0).random((N, 2)) + 0.1 * unsure((N, 2)),
    }


def side_by_side(each: dict[str, np.ndarray]) -> np.ndarray:
    flat = np.concatenate([part.reshape(N, -1) for part in each.values()], axis=1)
    return probabilities(flat.astype(np.float32), "several", "", TARGETS)


BASE, OWN = answered(1.0, 1), answered(1.4, 2)
EVIDENCE = Evidence(
    Path(__file__), "several", side_by_side(OWN), truth(Y, "several", TARGETS, side_by_side(BASE)), targets=TARGETS,
    baseline_scores=side_by_side(BASE),
)  # fmt: skip
TOLD = evaluated(EVIDENCE, "own", "base", "data", "me")
VALUES = {m.metric: m.value for m in TOLD.measurements}


def test_figures_of_each_output_equal_scikit_learns() -> None:
    tags, mask = OWN["tags"] > 0.5, OWN["mask"].argmax(axis=-1)
    expected = {
        "kind/accuracy": sk.accuracy_score(KIND, OWN["kind"].argmax(axis=1)),
        "kind/log_loss": sk.log_loss(KIND, softmax(OWN["kind"])),
        "kind/auc": sk.roc_auc_score(KIND, softmax(OWN["kind"]), multi_class="ovr"),
        "true/accuracy": sk.accuracy_score(TRUE, OWN["true"] > 0.5),
        "true/auc": sk.roc_auc_score(TRUE, OWN["true"]),
        "size/r2": sk.r2_score(SIZE, OWN["size"]),
        "size/mae": sk.mean_absolute_error(SIZE, OWN["size"]),
        "tags/f1_micro": sk.f1_score(TAGS, tags, average="micro"),
        "mask/mean_iou": sk.jaccard_score(MASK.ravel(), mask.ravel(), average="macro"),
        "free/agreement": (OWN["free"].argmax(axis=1) == BASE["free"].argmax(axis=1)).mean(),
    }
    assert {name: VALUES[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert not {"accuracy", "r2", "agreement", "true/r2", "size/accuracy", "free/accuracy"} & set(VALUES)
    leading = ("size/r2", "kind/accuracy", "true/accuracy", "tags/f1_micro", "mask/mean_iou", "free/agreement")
    assert VALUES["mean_quality"] == pytest.approx(np.mean([expected[name] for name in leading]), rel=1e-4)


def test_differences_are_those_of_the_output_by_itself() -> None:
    found = {d.metric: d for d in TOLD.differences}
    alone = Evidence(
        Path(__file__), "classification", softmax(OWN["kind"]), KIND, baseline_scores=softmax(BASE["kind"])
    )
    change = registry.metric("accuracy").change(alone)  # type: ignore[misc]
    own = found["kind/accuracy"]
    assert (own.value, own.low, own.high, own.lost, own.gained) == pytest.approx(
        (change.value, change.low, change.high, change.lost, change.gained)
    )
    whole = found["mean_quality"]
    assert whole.low < whole.value < whole.high < 0, "every output is worse, beyond chance"
    assert not any(name.startswith("free/") for name in found), "what the original says is no truth to differ from"
    assert choices(found)[0] == "mean_quality"
    assert decided(found, 60.0, "true/accuracy")[1].state == "certified"


def test_the_interval_of_the_mean_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held, trials = np.random.default_rng(3), 0, 200
    targets = TARGETS[:1] + TARGETS[2:3]
    for _ in range(trials):
        right, size = rng.random(150) < 0.9, rng.normal(size=150)
        scores = np.stack([size + 0.5 * rng.normal(size=150), np.where(right, 0.9, 0.1)], axis=1)
        y = named({"size": size.astype(np.float32), "true": np.ones(150, int)})
        found = registry.metric("mean_quality").measure(Evidence(Path(), "several", scores, y, targets=targets))
        held += found.low <= (0.75 + 0.9) / 2 <= found.high
    assert 0.9 <= held / trials <= 0.99


def test_what_answers_are_worth_is_the_mean_quality() -> None:
    told = worth(EVIDENCE.scores, EVIDENCE.y, "several", True, TARGETS)  # type: ignore[arg-type]
    assert (told.title, told.better) == ("Mean quality", "higher")
    assert told.mean == pytest.approx(VALUES["mean_quality"])
    assert told.values.std() > 0


def test_metrics_of_outputs_have_names_that_everything_understands() -> None:
    known = registry.metrics()
    assert known["kind/accuracy"].title == "Accuracy of kind"
    assert known["a/b/mae"].name == "a/b/mae"
    assert "kind/accuracy_low" not in known, "columns of bounds are no metrics"
    nothing = ("kind/size_bytes", "kind/mean_quality", "/accuracy", "kind/")
    assert not [name for name in nothing if name in known]
    with pytest.raises(UnknownName, match="no metric 'kind/nonsense'"):
        registry.metric("kind/nonsense")
    (limit,) = parse("kind/accuracy>=-1pt")
    assert (limit.metric, limit.text) == ("kind/accuracy", "kind/accuracy>=-1pt")
    assert parse(limit.text) == (limit,)
    with pytest.raises(InvalidParameter, match="File size is told of a file, not of one output"):
        parse("kind/size<=10KB")
    listed = registry.ranked(["size_bytes", "kind/mae", "kind/mae_low", "true/accuracy", "mean_quality", "variant"])
    assert listed == ["mean_quality", "true/accuracy", "kind/mae", "size_bytes"]


def test_a_search_looks_at_all_outputs_unless_told_otherwise() -> None:
    assert goals.usual_objectives("several") == ("size_bytes", "mean_quality")
    usual = goals.usual_limits("several", TARGETS)
    assert usual == "size/r2>=-1pt, kind/accuracy>=-1pt, true/accuracy>=-1pt, tags/f1_micro>=-1pt, mask/mean_iou>=-1pt"
    goals.check_goals(("size_bytes", "kind/accuracy"), parse(usual), "several", TARGETS)
    with pytest.raises(InvalidParameter, match="makes no sense for several"):
        goals.check_goals(("size_bytes", "kind/mae"), (), "several", TARGETS)
    assert goals.usual_limits("regression") == "r2>=-1pt"


def test_answers_of_another_width_are_refused() -> None:
    with pytest.raises(NotApplicable, match="predictions of several outputs"):
        registry.metric("mean_quality").measure(Evidence(Path()))
    other = Evidence(Path(), "several", EVIDENCE.scores[:, :-1], EVIDENCE.y, targets=TARGETS)  # type: ignore[index]
    with pytest.raises(NotApplicable, match="25 numbers for an example instead of 26"):
        registry.metric("kind/accuracy").measure(other)
    with pytest.raises(NotApplicable, match="Nothing is known about an output 'shape'"):
        registry.metric("shape/accuracy").measure(EVIDENCE)
