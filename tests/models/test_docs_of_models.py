"""docs/models.md tells the truth: every layer it lists is refused, and every built-in layer is carried or listed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import keras
import pytest

from optimizers.errors import ModelRefused
from optimizers.models.reader import catalogue, read
from optimizers.models.reader.spec import INPUT
from tests.models.files import archive, functional, layer

_PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
_TABLE = _PAGE.split("## Layers that cannot be carried")[1].split("\n## ")[0]
LISTED = sorted(
    {
        name
        for line in _TABLE.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
)
_ABSTRACT = {"Layer", "Wrapper"}


@pytest.mark.parametrize("kind", LISTED)
def test_a_listed_layer_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    start = layer(INPUT, "x", [], batch_shape=[None, 3], dtype="float32")
    path = archive(tmp_path / "model.keras", functional(start, layer(kind, "culprit", ["x"])))
    with pytest.raises(ModelRefused, match=rf"'culprit'.*{kind}") as refusal:
        read(path)
    assert refusal.value.code in ("unsafe-layer", "unsupported-layer", "toolkit-wrapper")
    assert ";" in refusal.value.message, "it tells what to do instead"


def test_every_built_in_layer_is_carried_or_listed() -> None:
    classes = (getattr(keras.layers, name) for name in dir(keras.layers))
    built_in = {c.__name__ for c in classes if inspect.isclass(c) and issubclass(c, keras.layers.Layer)}
    carried = {*catalogue.LAYERS, *catalogue.AUGMENTATION, INPUT}
    assert built_in - carried - _ABSTRACT <= set(LISTED)
    assert not carried & set(LISTED)
