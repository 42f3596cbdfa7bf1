"""Everything that is known about a file, as JSON: how to feed it, where it comes from, what was measured."""

from __future__ import annotations

import json

from optimizers.deployment import Deployable, Export


def describe(file: Deployable) -> dict[str, object]:
    """The metadata as plain JSON."""
    return {
        "file": {"name": f"{file.stem}.tflite", "bytes": len(file.content), "sha256": file.digest},
        "inputs": [port.model_dump(mode="json") for port in file.inputs],
        "outputs": [port.model_dump(mode="json") for port in file.outputs],
        "operators": list(file.operators),
        "task": file.task,
        "activation": file.activation or None,
        "classes": list(file.classes),
        "labels": [
            one.model_dump(mode="json", include={"name", "task", "classes", "activation"}) for one in file.targets
        ],
        "data": {
            "name": file.run.dataset.name,
            "sha256": file.run.dataset.digest,
            "preparation": dict(file.preparation),
            "notes": list(file.notes),
            "features": file.features,
            "licence": file.data.licence if file.data else "",
            "source": file.data.source if file.data else "",
        },
        "model": {"name": file.model, "sha256": file.run.model.digest},
        "recipe": {
            "text": file.recipe,
            "steps": [step.model_dump(mode="json", exclude={"given"}) for step in file.run.steps],
            "seed": file.run.seed,
        },
        "measurements": {
            name: m.model_dump(mode="json", include={"value", "unit", "low", "high", "n", "device", "threads"})
            | {"measured_at": m.measured_at.isoformat(), "versions": dict(m.versions)}
            for name, m in file.measured.items()
        },
    }


def _make(file: Deployable) -> bytes:
    return (json.dumps(describe(file), indent=2, ensure_ascii=False) + "\n").encode()


EXPORT = Export(
    name="metadata",
    title="Metadata (JSON)",
    summary="Inputs, outputs, classes, preparation, recipe, hashes and measurements, for programs.",
    kind="file",
    suffix=".json",
    mime="application/json",
    rank=30,
    make=_make,
)
