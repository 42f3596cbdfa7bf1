"""The sweep of batches and threads, and what answers cost."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers.analyses import throughput
from optimizers.engine.analysing import Question, analyse
from optimizers.litert.sweep import Place, Point

QUICK = {"seconds": 1.0, "largest_batch": 4, "most_threads": 1}


def point(batch, threads, *rates, copies=1):
    """A made point of two files whose passes differ by 0.1%."""
    noise = 1 + 0.001 * np.array([[1.0, -1.0, 0.5, -0.5]]).T
    made = np.array([rates]) * noise
    return Point(Place(batch, threads, copies), made, 1e3 * batch * copies / made)


SWEPT = [
    point(1, 1, 100.0, 90.0), point(8, 1, 300.0, 120.0), point(64, 1, 300.1, 110.0),
    point(1, 2, 120.0, 100.0), point(8, 2, 450.0, 150.0), point(64, 2, 500.0, 160.0),
]  # fmt: skip


@pytest.fixture(scope="module")
def reports(queue, runs):
    """At two prices."""
    asked = [Question(runs["int8"], "throughput", QUICK | {"price": price}) for price in (0.1, 0.2)]
    return [analyse(queue.driver, question) for question in asked]


def test_a_new_price_measures_nothing_anew(reports):
    (cheap, one), (dear, other) = reports
    assert one == other
    assert cheap.table("sweep") == dear.table("sweep")
    assert dear.fact("cost").value == pytest.approx(2 * cheap.fact("cost").value)
    assert cheap.fact("cost").value == pytest.approx(cheap.fact("core_seconds").value * 0.1 / 3600)


def test_the_sweep_has_every_combination_of_both_files(reports):
    rows = reports[0][0].table("sweep").rows
    assert [(row["file"], row["batch"], row["threads"]) for row in rows] == [
        (file, batch, 1) for file in ("this file", "baseline") for batch in (1, 2, 4)
    ]
    assert all(row["low"] <= row["rate"] <= row["high"] for row in rows)


def test_cores_are_kept_busy_for_the_best_point(reports):
    from optimizers.engine.versions import cores

    report = reports[0][0]
    for row in report.table("best").rows:
        assert row["threads"] * row["processes"] == min(cores(), 16)
        assert row["core_seconds"] == pytest.approx(1e6 * row["threads"] * row["processes"] / row["rate"])


def test_the_cheapest_place_is_the_one_with_most_answers_per_core():
    assert throughput._cheapest(SWEPT, 0) in (Place(8, 1), Place(64, 1))
    assert throughput._cheapest(SWEPT, 1) == Place(8, 1)
    assert throughput._loaded(Place(8, 2), 7) == Place(8, 2, copies=3)
    assert throughput._loaded(Place(8, 4), 2) == Place(8, 4)


def test_sentences_tell_the_smaller_batch_that_is_as_good_and_what_threads_bring():
    best = [point(64, 1, 600.0, 220.0, copies=2), point(8, 1, 590.0, 240.0, copies=2)]
    told = [s.text for s in throughput._sentences(SWEPT, best, ["this file", "baseline"], True)]
    assert "64 examples at once on 1 thread in each of 2 processes: 600 answers per second" in told[0]
    assert "at most 3.00x as many answers as one by one" in told[1]
    assert told[2] == "2 threads answer a single example 1.20x as fast as one."
    assert "A batch of 8 is as good as one of 64" in told[3]
    assert "needs 2.50x less computing time than baseline" in told[4]


def test_batches_double_up_to_the_largest():
    assert throughput._doubled(1) == [1]
    assert throughput._doubled(6) == [1, 2, 4, 6]
