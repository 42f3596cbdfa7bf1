"""The optimized model of a run as it was before conversion, as a Keras 3 file."""

from __future__ import annotations

from typing import Any

from optimizers.errors import NotApplicable
from optimizers.findings import Analysis, Context, Fact, Report, Sentence

FILE = "model.keras"


def analyse(context: Context, params: Any) -> Report:
    """Writes what the last step that left a Keras model left, if Keras itself loads it with the same outputs.

    Raises:
        NotApplicable: No step left a Keras model, as when only a conversion was asked for.
        ModelRefused: ``not-in-keras3``, where Keras 3 cannot hold the model.
    """
    from optimizers.tf.build import save_keras3

    models = [step for step in context.subject.chain if step.kind == "keras"]
    if not models:
        raise NotApplicable(
            f"No step of {context.subject.name!r} leaves a Keras model: converting is all it does to the original. Add "
            "a step that changes the model, or take the original."
        )
    out = context.out / FILE
    difference = save_keras3(models[-1].file, out).absolute
    return Report(
        sentences=(
            Sentence(
                text="The optimized model before it was converted, with float weights, as a file that Keras 3 loads "
                "without this app. Keras itself has loaded it and gives the same outputs.",
                advice="Train it further or convert it with other tools; the measured file is the .tflite.",
                tone="good",
            ),
        ),
        facts=(
            Fact(name="size", title="Keras file", value=float(out.stat().st_size), unit="B"),
            Fact(
                name="max_abs_error",
                title="Largest difference",
                value=difference,
                help="Between the outputs of the file, loaded by Keras, and of the model, on two random examples.",
            ),
        ),
        files={FILE: "Download .keras"},
    )


ANALYSIS = Analysis(
    name="keras_model",
    version="1",
    title="Keras model",
    summary="What is the model before its conversion, as a file for Keras 3?",
    analyse=analyse,
    uses=frozenset({"chain"}),
    tensorflow=True,
    rank=900,
)
