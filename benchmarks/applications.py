"""Every model of ``keras.applications``, saved by Keras, through the front door and to a LiteRT file.

    python -m benchmarks.applications [--only NAME,…] [--results FILE] [--write]

Weights are random and images as small as the architecture takes. Each model is saved as Keras 3 saves it, read as an
upload is (built in both Kerases and compared), written back as a Keras 3 file, and converted twice, in a process of its
own. With --write the table goes into docs/models.md. Results are kept in FILE, a line of JSON for
each model, so that a call that was interrupted goes on.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "models.md"
FIXED_SIZE = {"NASNetLarge": 331, "NASNetMobile": 224}
"""Sizes of networks that take no other."""
SMALLEST = 75
"""The smallest size that Inception and Xception take."""
SPREADS = (1.0, 0.1)
"""How far apart biases and statistics are drawn: the second where the first is refused."""


def names() -> list[str]:
    """The architectures, in alphabetical order."""
    from keras import applications

    found = ((name, getattr(applications, name)) for name in dir(applications))
    return sorted(name for name, value in found if inspect.isfunction(value) and name[0].isupper())


def measure(name: str, spread: float) -> dict[str, Any]:
    """Figures of one model. Raises what the front door or a conversion raises."""
    import keras

    from optimizers import registry
    from optimizers.declarations import StageContext
    from optimizers.models.reader import read
    from optimizers.params import resolve
    from optimizers.settings import Settings
    from optimizers.tf.build import build_tf_keras, emit_both, save_keras3, save_working
    from optimizers.tf.check import compare

    resource.setrlimit(resource.RLIMIT_DATA, (Settings().memory_mib << 20,) * 2)  # as much as a worker may take
    size = FIXED_SIZE.get(name, SMALLEST)
    found: dict[str, Any] = {"name": name, "size": size}
    with tempfile.TemporaryDirectory(prefix="applications-") as scratch:
        folder = Path(scratch)
        file, working, back = (folder / f"{kind}.keras" for kind in ("keras3", "working", "back"))
        build = getattr(keras.applications, name)
        model = build(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
        _draw_all(model, spread)
        model.save(file)
        del model
        keras.backend.clear_session()
        found["file_bytes"] = file.stat().st_size
        started = time.process_time()
        spec = read(file)
        keras2, keras3 = emit_both(spec)
        there = compare(spec, keras2, keras3)
        assert np.std(keras3[0](np.random.default_rng(0).random((2, size, size, 3)))) > 0, "it answers something"
        found["seconds"] = time.process_time() - started
        found["parameters"] = keras2[0].count_params()
        found["there"] = _told(there)
        del keras2, keras3
        save_working(build_tf_keras(spec), working)
        found["back"] = _told(save_keras3(working, back))
        del spec
        back.unlink()
        keras.backend.clear_session()
        for technique in ("float32", "dynamic_range"):
            out = folder / technique
            out.mkdir()
            declared = registry.technique(technique)
            context = StageContext(working, out, _no_data, 0, lambda *a, **k: None, lambda text: None, original=working)
            report = declared.apply(context, resolve(technique, declared.params, {}))
            found[f"{technique}_bytes"] = (out / report.main).stat().st_size
            (out / report.main).unlink()
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return found


def _draw_all(model: Any, spread: float) -> None:
    """Draws what Keras starts at 0 and 1 as well: with it many networks answer next to the same to everything."""
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) == 1:
            scale = any(word in variable.name for word in ("gamma", "variance"))
            middle, reach = (1.0, 0.5 * spread) if scale else (0.0, 0.1 * spread)
            variable.assign(generator.uniform(middle - reach, middle + reach, variable.shape))


def _told(agreement: Any) -> dict[str, float]:
    """The relative difference that decided, and in which precision."""
    if agreement.in_double is not None:
        return {"float64": agreement.in_double}
    return {"float32": agreement.relative}


def _no_data() -> Any:
    raise AssertionError("These conversions need no data.")


def asked(name: str) -> dict[str, Any]:
    """Figures of one model from a process of its own, or its ``fault`` in words."""
    fault = ""
    for spread in SPREADS:
        command = [sys.executable, "-m", "benchmarks.applications", "--measure", name, str(spread)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return found | ({"refused": fault} if fault else {})
        fault = fault or done.stderr.strip().splitlines()[-1]
        if done.returncode < 0:
            return {"name": name, "fault": f"The process was ended by signal {-done.returncode}."}
        if "ConversionWrong" not in done.stderr:
            break
    return {"name": name, "fault": fault}


def table(results: list[dict[str, Any]]) -> list[str]:
    """Markdown, one line for each model."""
    lines = ["| model | image | parameters | reading | there | back | float32 file | dynamic range |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for found in results:
        if "fault" in found:
            lines.append(f"| {found['name']} | | | | {found['fault']} | | | |")
            continue
        sizes = [f"{found[f'{mode}_bytes'] / 1e6:.1f} MB" for mode in ("float32", "dynamic_range")]
        cells = (
            found["name"] + (r"\*" if "refused" in found else ""), str(found["size"]),
            f"{found['parameters'] / 1e6:.1f} million", f"{found['seconds']:.0f} s",
            _difference(found["there"]), _difference(found["back"]), *sizes,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _difference(found: dict[str, float]) -> str:
    (precision, value), *_ = found.items()
    return f"{value:.0e}" if precision == "float32" else f"{value:.0e} (float64)"


def main() -> None:
    if "--measure" in sys.argv:
        name, spread = sys.argv[sys.argv.index("--measure") + 1 :]
        print(json.dumps(measure(name, float(spread))))
        return
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else names()
    kept = Path(sys.argv[sys.argv.index("--results") + 1]) if "--results" in sys.argv else None
    before = kept.read_text(encoding="utf-8").splitlines() if kept and kept.exists() else []
    known = {found["name"]: found for found in map(json.loads, before)}
    for name in only:
        if "fault" in known.get(name, {"fault": ""}):
            known[name] = asked(name)
            print(known[name], flush=True)
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[name]) + "\n")
    lines = table([known[name] for name in only])
    print("\n".join(lines))
    if "--write" in sys.argv:
        from benchmarks.tables import written

        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), "applications", lines), encoding="utf-8")


if __name__ == "__main__":
    main()
