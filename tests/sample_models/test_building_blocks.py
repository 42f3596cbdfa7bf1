from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from sample_models import archives, build
from sample_models.augment import Augmentation
from sample_models.scores import auc, loss, scores

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((20, 8, 8, 1), dtype=np.float32)


def test_no_augmentation_changes_nothing():
    np.testing.assert_allclose(Augmentation()(IMAGES, RANDOM), IMAGES, atol=1e-6)


def test_flipping_mirrors_about_half_of_the_images():
    changed = Augmentation(flip=True)(IMAGES, RANDOM)
    mirrored = [np.allclose(a, b[:, ::-1], atol=1e-5) for a, b in zip(changed, IMAGES, strict=True)]
    kept = [np.allclose(a, b, atol=1e-5) for a, b in zip(changed, IMAGES, strict=True)]
    assert sum(mirrored) + sum(kept) == 20
    assert 0 < sum(mirrored) < 20


def test_changes_stay_in_range_and_are_repeatable():
    every = Augmentation(rotate=15, zoom=0.2, shift=2, flip=True, erase=4)
    once, again = (every(IMAGES, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.dtype == np.float32
    assert once.shape == IMAGES.shape
    assert once.min() >= -1e-6
    assert once.max() <= IMAGES.max() + 1e-6
    assert np.abs(once - IMAGES).max() > 0.1


def test_scores_agree_with_a_reference():
    y = RANDOM.integers(0, 2, 200)
    tied = np.round(RANDOM.random(200), 1)
    assert auc(tied, y) == pytest.approx(metrics.roc_auc_score(y, tied))
    assert scores("binary", tied[:, None], y)["accuracy"] == pytest.approx(metrics.accuracy_score(y, tied >= 0.5))
    assert loss("binary", tied, y) == pytest.approx(metrics.log_loss(y, np.clip(tied, 1e-7, 1 - 1e-7)))
    target, estimate = RANDOM.random(50), RANDOM.random((50, 1))
    figures = scores("regression", estimate, target)
    assert figures["r2"] == pytest.approx(metrics.r2_score(target, estimate))
    assert figures["mae"] == pytest.approx(metrics.mean_absolute_error(target, estimate))
    assert figures["rmse"] ** 2 == pytest.approx(loss("regression", estimate, target))
    chances = RANDOM.dirichlet(np.ones(3), 50)
    labels = np.arange(50) % 3
    assert scores("classification", chances, labels) == {"accuracy": metrics.accuracy_score(labels, chances.argmax(1))}
    assert loss("classification", chances, labels) == pytest.approx(metrics.log_loss(labels, chances))


def test_zipping_a_folder_depends_on_its_contents_only(tmp_path):
    for order, folder in (("ab", "one"), ("ba", "two")):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for letter in order:
            (tmp_path / folder / "sub" / letter).write_text(letter)
        archives.zipped_folder(tmp_path / folder, tmp_path / f"{folder}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_check_names_what_does_not_agree(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "MODELS", tmp_path)
    assert build.check("mpg_mlp") == ["mpg_mlp: not built."]
    (tmp_path / "mpg_mlp.keras").write_bytes(b"other")
    assert build.check("mpg_mlp") == ["mpg_mlp: mpg_mlp.keras is not the file that the manifest describes."]
