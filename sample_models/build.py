"""Builds the sample models, and `manifest.json` that describes them.

    python -m sample_models.build                    all of them, about ten minutes on two cores
    python -m sample_models.build --only digits_cnn  one of them
    python -m sample_models.build --check            trains nothing: do files and figures agree with the manifest?

On one machine the same bytes come out every time. On another, rounding differs and so may the last digits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from optimizers.datasets import sample
from optimizers.records import digest_of_path
from sample_models import MANIFEST, MODELS
from sample_models.specs import LICENCE, SEED, SPECS


def main() -> int:
    """Exit code 0 if everything was built, or agrees."""
    parser = argparse.ArgumentParser(prog="python -m sample_models.build", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=tuple(SPECS), help="build or check this one")
    parser.add_argument("--check", action="store_true", help="compare files and test figures with the manifest")
    parser.add_argument("--verbose", action="store_true", help="print every epoch")
    chosen = parser.parse_args()
    names = [chosen.only] if chosen.only else list(SPECS)
    if chosen.check:
        faults = [fault for name in names for fault in check(name)]
        print("\n".join(faults) or f"{len(names)} sample models agree with the manifest.")
        return 1 if faults else 0
    if chosen.only:
        build(chosen.only, chosen.verbose)
        return 0
    for name in names:  # each in a process of its own: what was built before leaves no trace in names and counters
        subprocess.run([sys.executable, "-m", "sample_models.build", "--only", name], check=True)
    return 0


def build(name: str, verbose: bool = False) -> None:
    """Trains (or converts) a model, saves it, evaluates the saved file on the test part, enters it in the manifest."""
    from sample_models import training

    began = time.monotonic()
    spec, data = SPECS[name], sample.load(SPECS[name].data)
    training.deterministic()
    MODELS.mkdir(exist_ok=True)
    path = MODELS / spec.file
    if spec.variant_of is None:
        training.save(training.train(spec, data, verbose), path)
    else:
        training.save_variant(spec, MODELS / SPECS[spec.variant_of].file, path)
    model = training.load(path)
    figures = training.evaluate(model, data)
    told = [_figure(metric, value, len(data.test)) for metric, value in figures.items()]
    entry = {
        "file": f"models/{spec.file}",
        "sha256": digest_of_path(path),
        "size_bytes": path.stat().st_size,
        "task": data.summary.task,
        "dataset": f"sample:{spec.data}",
        "licence": LICENCE,
        "baseline": told[0],
        "figures": told,
        "parameters": int(model.count_params()),
        "keras_version": _library_version(spec.variant_of is not None),
        "seed": SEED,
        "description": spec.description,
        "is_variant_of": spec.variant_of,
    }
    _enter(name, entry)
    said = ", ".join(f"{metric} {value:.4f}" for metric, value in figures.items())
    seconds = time.monotonic() - began
    print(f"{name}: {said} on {len(data.test)}, {entry['parameters']} parameters, {seconds:.0f} s", flush=True)


def check(name: str) -> list[str]:
    """Sentences on what does not agree with the manifest; empty if all does."""
    from sample_models import training

    entry = read_manifest().get(name)
    path = MODELS / SPECS[name].file
    if entry is None or not path.is_file():
        return [f"{name}: not built."]
    if digest_of_path(path) != entry["sha256"]:
        return [f"{name}: {path.name} is not the file that the manifest describes."]
    figures = training.evaluate(training.load(path), sample.load(SPECS[name].data))
    return [
        f"{name}: {told['name']} is {figures[told['name']]:.6f}, the manifest says {told['value']:.6f}."
        for told in entry["figures"]
        if abs(figures[told["name"]] - told["value"]) > 1e-3
    ]


def read_manifest() -> dict[str, dict[str, Any]]:
    """The entries as they are in the file, by name; empty before the first build."""
    entries: dict[str, dict[str, Any]] = json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.is_file() else {}
    return entries


def _enter(name: str, entry: dict[str, Any]) -> None:
    entries = {**read_manifest(), name: entry}
    ordered = {known: entries[known] for known in SPECS if known in entries}
    MANIFEST.write_text(json.dumps(ordered, indent=2) + "\n", "utf-8")


def _figure(metric: str, value: float, n: int) -> dict[str, Any]:
    return {"name": metric, "value": round(value, 6), "n": n}


def _library_version(legacy: bool) -> str:
    from importlib.metadata import version

    return version("tf-keras" if legacy else "keras")


if __name__ == "__main__":
    sys.exit(main())
