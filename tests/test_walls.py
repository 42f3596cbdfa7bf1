"""Who may import whom, checked by importing in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "streamlit", "sklearn", "scipy", "h5py")


@pytest.mark.parametrize(
    "statement",
    [
        "import optimizers.cli, optimizers.engine.queue, optimizers.history.frames",
        "from optimizers import registry; registry.techniques(), registry.metrics(), registry.model_origins(),"
        "registry.dataset_origins()",
        "import optimizers.figures.tradeoff, optimizers.figures.bars",
        "import optimizers.engine.child",
    ],
)
def test_the_backend_is_light_to_import(statement):
    code = f"import sys\n{statement}\nprint(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_measuring_needs_no_tensorflow():
    code = (
        "import sys\nimport optimizers.litert.interpreter, optimizers.litert.latency\n"
        "print(*sorted(n for n in ('tensorflow', 'tf_keras', 'keras') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
