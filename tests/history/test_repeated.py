"""Comparisons of runs that differ only in their seed."""

from __future__ import annotations

import pandas as pd
import pytest

from optimizers.figures.names import names
from optimizers.history.frames import COMPARISON_COLUMNS
from optimizers.history.repeated import pooled, rankings, repeated_metrics
from optimizers.limits import parse
from optimizers.qualifying import judge

SUBJECT = ("m", "d")


def row(variant, seed, accuracy, size=100.0, digest="", baseline=False, **more):
    blank = dict.fromkeys(COMPARISON_COLUMNS, "")
    return blank | {
        "variant": variant, "seed": seed, "is_baseline": baseline, "model": "m", "dataset": "d",
        "artifact_digest": digest or f"{variant} {seed}", "accuracy": accuracy, "accuracy_n": 100, "size_bytes": size,
    } | more  # fmt: skip


def frame(*rows):
    return pd.DataFrame([row("float32", 0, 0.9, 400, baseline=True), *rows])


def ranked(rows, metric="accuracy"):
    return rankings(rows, metric)[SUBJECT]


def test_nothing_is_told_of_what_was_not_repeated():
    assert repeated_metrics(frame()) == []
    assert repeated_metrics(frame(row("int8", 0, 0.8), row("float16", 1, 0.9))) == []
    assert repeated_metrics(frame(row("int8", 0, 0.8), row("int8", 1, 0.9))) == ["accuracy", "size_bytes"]


def test_times_are_told_by_the_speed_up_only():
    rows = frame(*(row("int8", s, 0.8, latency_ms=1.0, speedup=2.0 + s / 10, speedup_n=9) for s in range(3)))
    assert "speedup" in repeated_metrics(rows)
    assert "latency_ms" not in repeated_metrics(rows)
    (own,) = (p.repeats for p in ranked(rows, "speedup").places if p.repeats.name == "int8")
    assert own.n == 3


def test_variants_are_ranked_over_their_seeds():
    good = [row("magnitude_pruning", s, a) for s, a in enumerate((0.95, 0.96, 0.95, 0.97))]
    bad = [row("int8", s, a) for s, a in enumerate((0.60, 0.61, 0.62, 0.61))]
    found = ranked(frame(*good, *bad))
    assert [(p.repeats.name, p.first, p.last) for p in found.places] == [
        ("magnitude_pruning", 1, 1), ("baseline", 2, 2), ("int8", 3, 3),
    ]  # fmt: skip


def test_one_example_more_is_not_believed_because_few_seeds_agree():
    rows = frame(*(row("int8", seed, 0.91) for seed in range(3)))
    found = ranked(rows)
    assert [p.separated for p in found.pairs] == [False]
    assert "Not separated by 3 seeds: int8 and baseline" in found.sentence


def test_a_file_that_is_the_same_for_every_seed_has_no_chance_in_it():
    rows = frame(*(row("int8", seed, 0.91, digest="same") for seed in range(3)))
    (pair,) = ranked(rows).pairs
    assert pair.how == "fixed"
    (pair,) = ranked(rows, "size_bytes").pairs
    assert pair.how == "exact" and pair.separated  # noqa: PT018


@pytest.mark.parametrize(("variant", "how"), [("dynamic_range", "paired"), ("weight_clustering", "single")])
def test_what_ran_once_holds_for_every_seed_only_if_nothing_in_it_is_random(variant, how):
    repeated = [row("int8", seed, 0.8 + seed / 100) for seed in range(3)]
    found = ranked(frame(*repeated, row(variant, 0, 0.7)))
    assert {p.how for p in found.pairs if {p.one, p.other} == {"int8", variant}} == {how}


def test_seeds_of_a_variant_are_one_row_with_their_mean_and_range():
    rows = frame(
        *(
            row("magnitude_pruning", s, a, accuracy_change=a - 0.9, run_id=f"m{s}")
            for s, a in enumerate((0.7, 0.8, 0.9))
        ),
        *(row("int8", s, 0.85, digest="same", run_id=f"i{s}") for s in range(2)),
    )
    taken = pooled(rows)
    assert taken.repeated
    assert list(taken.frame["variant"]) == ["float32", "magnitude_pruning", "int8"]
    assert list(taken.frame["seeds"]) == [1, 3, 1]
    mean = taken.frame.iloc[1]
    assert (mean["accuracy"], mean["accuracy_change"]) == (pytest.approx(0.8), pytest.approx(-0.1))
    assert taken.members == {0: (0,), 1: (1, 2, 3), 4: (4, 5)}
    assert pooled(rows, ["m2"]).frame["run_id"].to_list() == ["", "m2", "i0"]
    assert names(taken.frame) == ["baseline", "magnitude_pruning, 3 seeds", "int8"]
    elsewhere = frame(row("int8", 0, 0.8), row("int8", 0, 0.8, model="n"))
    assert names(elsewhere)[1:] == ["int8 (m)", "int8 (n)"]
    alone = pooled(frame(row("int8", 0, 0.8), row("float16", 1, 0.9)))
    assert not alone.repeated


def test_what_seeds_do_not_agree_on_is_within_the_uncertainty():
    rows = frame(*(row("magnitude_pruning", s, a) for s, a in enumerate((0.7, 0.9))), row("int8", 0, 0.95))
    taken = pooled(rows)
    judged = taken.judged(judge(rows, parse("accuracy>=80%")))
    assert {place: one.state for place, one in judged.files.items()} == {
        0: "met",
        1: "within the uncertainty",
        3: "met",
    }
    assert judged.best == 3
    assert taken.judged(None) is None


def test_the_baseline_is_ranked_by_speed_up_as_well():
    rows = frame(*(row("int8", s, 0.8, latency_ms=1.0, speedup=0.5 + s / 100, speedup_n=9) for s in range(3)))
    assert rows["speedup"].isna().any(), "nobody measures the baseline against itself"
    found = ranked(rows, "speedup")
    assert [(p.repeats.name, p.first) for p in found.places] == [("baseline", 1), ("int8", 2)]
