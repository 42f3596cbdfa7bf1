"""Every metric against a hand-computed value or an independent implementation."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from optimizers import registry
from optimizers.declarations import Evidence, Value
from optimizers.errors import NotApplicable

FILE = Path(__file__)
RNG = np.random.default_rng(3)


def measure(name: str, **evidence: object) -> Value:
    return registry.metric(name).measure(Evidence(FILE, **evidence))  # type: ignore[arg-type]


def test_nine_metrics_come_in_order_of_rank() -> None:
    names = list(registry.metrics())
    ours = ["accuracy", "r2", "auc", "mae", "size_bytes", "compressed_bytes", "latency_ms", "latency_p90_ms", "speedup"]
    assert [name for name in names if name in ours] == ours


def test_size_is_the_files_own() -> None:
    assert measure("size_bytes").value == FILE.stat().st_size


def test_compressed_size_unpacks_again_and_repeats(tmp_path: Path) -> None:
    file = tmp_path / "zeros"
    file.write_bytes(bytes(100_000))
    metric = registry.metric("compressed_bytes")
    value = metric.measure(Evidence(file)).value
    assert value == metric.measure(Evidence(file)).value < 200
    assert value == len(gzip.compress(bytes(100_000), 9, mtime=0))


def test_accuracy_counts_and_bounds_a_known_case() -> None:
    scores = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]]
    found = measure("accuracy", task="classification", scores=scores, y=np.array([0, 1, 2, 0, 1, 2, 0, 1, 0, 1]))
    assert (found.value, found.n) == (0.8, 10)
    # Wilson's interval for 8 of 10, as tabulated
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)


def test_accuracy_of_everything_right_still_has_an_interval() -> None:
    found = measure("accuracy", task="binary", scores=np.array([0.9, 0.1, 0.8]), y=np.array([1, 0, 1]))
    assert found.value == 1.0
    assert found.low is not None
    assert 0.3 < found.low < 0.5
    assert found.high == 1.0


def test_wilson_equals_scipy() -> None:
    from scipy.stats import binomtest

    right = RNG.random(200) < 0.7
    found = measure("accuracy", task="binary", scores=np.where(right, 0.9, 0.1), y=np.ones(200))
    want = binomtest(int(right.sum()), 200).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx((want.low, want.high))


def test_binary_threshold_and_two_columns() -> None:
    p, y = RNG.random(50), RNG.integers(0, 2, 50)
    flat = measure("accuracy", task="binary", scores=p, y=y)
    assert flat.value == np.mean((p > 0.5) == y)
    assert measure("accuracy", task="binary", scores=np.stack([1 - p, p], axis=1), y=y) == flat


def test_logits_are_not_taken_for_probabilities() -> None:
    with pytest.raises(NotApplicable, match=r"must be a probability in \[0, 1\], got values from -4 to 3"):
        measure("accuracy", task="binary", scores=np.array([-4.0, 3.0]), y=np.array([0, 1]))


@pytest.mark.parametrize("ties", [False, True])
def test_auc_equals_scikit_learn_and_delong_by_definition(ties: bool) -> None:
    from scipy.stats import t
    from sklearn.metrics import roc_auc_score

    y = RNG.integers(0, 2, 120)
    scores = RNG.normal(size=120) + 0.8 * y
    scores = np.round(scores) if ties else scores
    found = measure("auc", task="binary", scores=scores, y=y)
    assert found.value == pytest.approx(roc_auc_score(y, scores))
    psi = np.where(
        scores[y == 1][:, None] > scores[y == 0], 1.0, np.where(scores[y == 1][:, None] == scores[y == 0], 0.5, 0.0)
    )
    deviation = np.sqrt(psi.mean(1).var(ddof=1) / len(psi) + psi.mean(0).var(ddof=1) / psi.shape[1])
    a = found.value
    half = t.ppf(0.975, 119) * deviation / (a * (1 - a))
    assert found.low == pytest.approx(1 / (1 + np.exp(half - np.log(a / (1 - a)))), rel=1e-5)
    assert found.low is not None
    assert found.high is not None
    assert found.low < a < found.high <= 1


def test_auc_of_perfect_order_keeps_an_honest_lower_bound() -> None:
    found = measure("auc", task="binary", scores=np.arange(20.0), y=np.arange(20) >= 10)
    assert found.value == found.high == 1.0
    assert found.low is not None
    assert 0.6 < found.low < 0.8


def test_auc_of_one_class_is_refused() -> None:
    with pytest.raises(NotApplicable, match="both classes"):
        measure("auc", task="binary", scores=np.array([0.1, 0.2]), y=np.ones(2))


def test_mae_and_r2_equal_scikit_learn_and_repeat() -> None:
    from sklearn.metrics import mean_absolute_error, r2_score

    y = RNG.normal(20, 5, 150).astype(np.float32)
    predicted = y + RNG.normal(0, 2, 150)
    evidence = {"task": "regression", "scores": predicted, "y": y}
    for name, reference in (("mae", mean_absolute_error), ("r2", r2_score)):
        found = measure(name, **evidence)
        assert found.value == pytest.approx(reference(y, predicted))
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        assert found == measure(name, **evidence)


def test_bootstrap_covers_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(60):
        y = np.random.default_rng(seed).normal(size=80)
        found = measure("mae", task="regression", scores=np.zeros(80), y=y)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= np.sqrt(2 / np.pi) <= found.high
    assert 50 <= hits <= 60


def test_r2_of_equal_targets_is_refused() -> None:
    with pytest.raises(NotApplicable, match="undefined"):
        measure("r2", task="regression", scores=np.zeros(3), y=np.ones(3))


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NotApplicable, match="not finite"):
        measure("mae", task="regression", scores=np.array([1.0, np.nan]), y=np.ones(2))


@pytest.mark.parametrize("name", ["accuracy", "auc", "mae", "r2", "latency_ms", "latency_p90_ms", "speedup"])
def test_without_evidence_there_is_no_number(name: str) -> None:
    with pytest.raises(NotApplicable):
        measure(name, task="binary")


def test_latency_is_a_median_between_order_statistics() -> None:
    runs = RNG.gamma(3, 1, 101)
    found = measure("latency_ms", times_ms=runs)
    assert found.value == np.median(runs)
    assert found.n == 101
    # binomial(101, 1/2): 40 and 60 successes bound 95%, so the 41st smallest and 61st smallest less one step outwards
    assert (found.low, found.high) == (np.sort(runs)[40], np.sort(runs)[60])


def test_the_tail_of_few_runs_has_no_upper_bound() -> None:
    found = measure("latency_p90_ms", times_ms=np.arange(1.0, 11.0))
    assert found.low is not None
    assert found.high is None


def test_quantile_interval_covers_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        found = measure("latency_p90_ms", times_ms=np.random.default_rng(seed).random(200))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.9 <= found.high
    assert hits >= 184


def test_speedup_is_the_ratio_of_medians_and_its_interval_sees_noise() -> None:
    base, slow = RNG.normal(2, 0.1, 200), RNG.normal(1, 0.05, 200)
    found = measure("speedup", times_ms=slow, baseline_times_ms=base)
    assert found.value == np.median(base) / np.median(slow)
    assert found.low is not None
    assert found.high is not None
    assert 1.9 < found.low < 2.0 < found.high < 2.1
    same = measure("speedup", times_ms=RNG.normal(2, 0.1, 200), baseline_times_ms=base)
    assert same.low is not None
    assert same.high is not None
    assert same.low < 1 < same.high


def test_bounds_of_a_median_see_how_processes_differ() -> None:
    instances = np.repeat(np.arange(8), 100)
    runs = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7])[instances] + RNG.normal(0, 0.001, 800)
    alone, apart = measure("latency_ms", times_ms=runs), measure("latency_ms", times_ms=runs, instances=instances)
    assert alone.value == apart.value == np.median(runs)
    assert apart.low is not None
    assert apart.high is not None
    assert apart.low < 1.25
    assert apart.high > 1.45
    assert measure("latency_ms", times_ms=runs[:300], instances=instances[:300]).low is None


def test_the_last_percent_needs_many_runs() -> None:
    with pytest.raises(NotApplicable, match="500 timed runs, and there are 499"):
        measure("latency_p99_ms", times_ms=np.ones(499))
    runs = RNG.permutation(np.arange(1.0, 1001.0))
    found = measure("latency_p99_ms", times_ms=runs)
    assert found.value == np.quantile(runs, 0.99)
    assert found.low is not None
    assert found.high is not None
    assert 980 < found.low < found.value < found.high <= 1000


def test_speedup_of_several_processes_is_a_ratio_of_ratios() -> None:
    instances = np.repeat(np.arange(12), 50)
    drift = RNG.uniform(1, 3, 12)[instances]
    found = measure("speedup", times_ms=drift, baseline_times_ms=2 * drift, instances=instances)
    assert found.value == pytest.approx(2)
    assert found.n == 600
    assert found.low is not None
    assert found.high is not None
    assert 1.98 < found.low < 2 < found.high < 2.02


def test_speedup_of_the_baseline_itself_is_not_measured() -> None:
    with pytest.raises(NotApplicable, match="baseline itself"):
        measure("speedup", times_ms=np.ones(5))


def test_of_several_outputs_all_have_to_agree_and_each_counts_by_its_own_spread() -> None:
    original = np.array([[0.9, 0.1, 3.0, 100.0], [0.2, 0.8, 200.0, 4.0], [0.6, 0.4, 300.0, 5.0], [0.7, 0.3, 1.0, 0.0]])
    scores = original.copy()
    scores[0, :2] = [0.4, 0.6]
    scores[2, 2:] = [5.0, 300.0]
    told = {"task": "fidelity", "scores": scores, "y": original, "outputs": ((2,), (2,))}
    agreement = measure("agreement", **told)
    assert (agreement.value, agreement.n) == (0.5, 4)
    first, second = (
        np.abs(scores - original)[:, part].mean() / original[:, part].std() for part in (np.s_[:2], np.s_[2:])
    )
    assert measure("output_change", **told).value == pytest.approx((first + second) / 2)
    for shapes in ((3,), (1,)), ((1, 2), (2,)):
        with pytest.raises(NotApplicable, match="one score per class"):
            measure("agreement", **{**told, "outputs": shapes})
