"""Made files whose trouble is known, and whether the diagnosis finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.engine.analysing import Question, analyse
from optimizers.engine.queue import JobQueue
from optimizers.findings import Report
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.settings import Settings

TITLE = "The diagnosis finds what is the case"
PRUNE = "magnitude_pruning(target_sparsity=0.9, epochs=1)"
CLUSTER = "weight_clustering(clusters=16, epochs=1)"
DIGITS = "sample:optdigits"
PROCESSOR = "processor is not faster in integers"


@dataclass(frozen=True)
class Case:
    """One made file.

    Attributes:
        title: What is the matter with it.
        model: A sample's name, or one of ``MODELS``.
        recipe: What is done to it.
        finds: Cases that the diagnosis must find.
        calm: It must warn of nothing.
        baseline: The baseline's file is looked at.
        data: What the model works on.
        quick: It takes a few seconds.
    """

    title: str
    model: str
    recipe: str
    finds: tuple[str, ...] = ()
    calm: bool = False
    baseline: bool = False
    data: str = DIGITS
    quick: bool = True


def _depthwise(k: Any) -> Any:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Conv2D(128, 3, padding="same", activation="relu", name="stem")(inputs)
    x = k.layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depth")(x)
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="wide")


def _volume(k: Any) -> Any:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8, 1, 1), name="volume")(inputs)
    x = k.layers.Conv3D(8, (3, 3, 1), padding="same", activation="relu", name="solid")(x)
    x = k.layers.Flatten(name="flat")(x)
    x = k.layers.Dense(64, activation="relu", name="hidden")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="volume_net")


def _rows(k: Any) -> Any:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Reshape((8, 8), name="rows")(inputs)
    x = k.layers.Conv1D(64, 3, padding="same", activation="relu", name="steps")(x)
    x = k.layers.Flatten(name="flat")(x)
    x = k.layers.Dense(16, activation="relu", name="hidden")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="rows_net")


def _dense(k: Any) -> Any:
    inputs = k.Input((8, 8, 1), name="image")
    x = k.layers.Flatten(name="flat")(inputs)
    x = k.layers.Dense(256, activation="relu", name="hidden")(x)
    x = k.layers.Dense(128, activation="relu", name="second")(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax", name="digit")(x), name="dense_net")


def _saved(build: Callable[[Any], Any], path: Path) -> Path:
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    build(tf_keras).save(path)
    return path


def _with_optimizer(path: Path) -> Path:
    """Adam keeps two numbers for each weight."""
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    model = _dense(tf_keras)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.ones((8, 8, 8, 1)), np.zeros(8), verbose=0)
    model.save(path, save_format="h5")
    return path


def _sparse(path: Path) -> Path:
    """A file whose converter left zeros out."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    model = _dense(tf_keras)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            kernel[np.abs(kernel) < np.quantile(np.abs(kernel), 0.9)] = 0
            layer.set_weights([kernel, bias])
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec((1, 8, 8, 1)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    path.write_bytes(converter.convert())
    return path


def _twice(path: Path) -> Path:
    """A file in which two buffers hold the same numbers, which converters before this one's wrote."""
    import flatbuffers
    import tensorflow as tf
    import tf_keras
    from ai_edge_litert import schema_py_generated as schema

    tf_keras.utils.set_random_seed(1)
    inputs = tf_keras.Input((8, 8, 1), name="image")
    flat = tf_keras.layers.Flatten(name="flat")(inputs)
    left, right = (tf_keras.layers.Dense(64, activation="relu", name=name) for name in ("left", "right"))
    joined = tf_keras.layers.Concatenate(name="both")([left(flat), right(flat)])
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(10, activation="softmax", name="digit")(joined))
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec((1, 8, 8, 1)))
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()
    told = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    kernels = [t for t in told.subgraphs[0].tensors if list(t.shape) == [64, 64]]
    told.buffers[kernels[1].buffer].data = told.buffers[kernels[0].buffer].data
    builder = flatbuffers.Builder(len(content))
    builder.Finish(told.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


MODELS: dict[str, Callable[[Path], Path]] = {
    "wide.keras": lambda path: _saved(_depthwise, path),
    "volume.keras": lambda path: _saved(_volume, path),
    "rows.keras": lambda path: _saved(_rows, path),
    "dense.keras": lambda path: _saved(_dense, path),
    "dense-with-optimizer.h5": _with_optimizer,
    "sparse.tflite": _sparse,
    "twice.tflite": _twice,
}
"""Models made for this, by file name."""

CASES: tuple[Case, ...] = (
    Case("pruned, not compressed", "dense.keras", f"{PRUNE}+float32", ("zeros are stored",)),
    Case("pruned, then int8", "dense.keras", f"{PRUNE}+int8", ("zeros are stored",)),
    Case("clustered, not compressed", "dense.keras", f"{CLUSTER}+float32", ("clusters are stored in full",)),
    Case("dynamic range on depthwise", "wide.keras", "dynamic_range", ("8-bit kernels meet floats",)),
    Case("an operator without int8 form", "volume.keras", "int8", ("float operators in an integer file",)),
    Case("`.h5` with optimizer state", "dense-with-optimizer.h5", "float32", ("upload holds training state",)),
    Case("QAT with a skipped layer", "rows.keras", "quantization_aware_training(epochs=1)+int8",
         ("training left layers out",)),
    Case("sparse, but densified", "sparse.tflite", "float32", ("sparse file is unpacked at load",), baseline=True),
    Case("zeros undone by a later step", "dense.keras",
         f"{PRUNE}+quantization_aware_training(epochs=1, keep_earlier=nothing)+int8", ("zeros were lost",)),
    Case("clusters undone by quantization", "dense.keras", f"{CLUSTER}+int8(granularity=per_channel)",
         ("clusters were lost",)),
    Case("one weight stored twice", "twice.tflite", "float32", ("weights are stored twice",), baseline=True),
    Case("float16", "dense.keras", "float16", ("float16 is widened at load",), calm=True),
    Case("int8 with float inputs", "dense.keras", "int8", ("conversions at the borders",)),
    Case("16-bit activations", "dense.keras", "int16x8", ("16-bit activations",)),
    Case("few weights per channel", "sample:fashion_mobilenet", "int8", ("scales take space",),
         data="sample:fashion_mnist"),
    Case("too little to compute", "sample:mpg_mlp", "int8", ("structure takes space", "calls take the time"),
         data="sample:auto_mpg"),
    Case("a fused LSTM in int8", "sample:digits_lstm", "int8(recurrent=fused)",
         ("recurrent cell outside the delegate",)),
    Case("a GRU in a loop", "sample:occupancy_gru", "dynamic_range", ("recurrent layer is a loop",),
         data="sample:occupancy"),
    Case("an unrolled GRU", "sample:occupancy_gru", "int8", ("structure takes space",), data="sample:occupancy"),
    Case("an LSTM too small for dynamic range", "sample:digits_lstm", "dynamic_range", ("nothing was quantized",)),
    Case("layer normalization in int8", "sample:digits_transformer", "int8", ("delegate is called many times",),
         quick=False),
    Case("all is well", "sample:digits_cnn", "int8", calm=True),
    Case("all is well", "sample:digits_cnn", "dynamic_range", calm=True),
    Case("all is well", "sample:digits_lstm", "int8", calm=True),
    Case("all is well", "sample:fashion_cnn", "int8", calm=True, data="sample:fashion_mnist", quick=False),
    Case("all is well", "sample:digits_resnet", "int8", calm=True, quick=False),
)  # fmt: skip


@dataclass
class Bench:
    """Makes models once, and runs."""

    queue: JobQueue
    folder: Path
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)

    def address(self, model: str) -> str:
        if model not in MODELS:
            return model
        path = self.folder / model
        return f"file:{path if path.exists() else MODELS[model](path)}"

    def run_all(self, cases: tuple[Case, ...]) -> None:
        """Runs all recipes; those of one model together."""
        asked: dict[tuple[str, str], list[str]] = {}
        for case in cases:
            if (case.model, case.recipe) not in self.runs:
                asked.setdefault((case.model, case.data), []).append(case.recipe)
        submitted: dict[str, tuple[str, str]] = {}
        for (model, data), recipes in asked.items():
            runs = self.queue.submit(self.address(model), data, [parse(recipe) for recipe in dict.fromkeys(recipes)])
            submitted |= {run.id: (model, recipe) for run, recipe in zip(runs, dict.fromkeys(recipes), strict=True)}
        self.queue.wait(list(submitted))
        for run in self.queue.history.runs(list(submitted)):
            self.runs[submitted[run.id]] = run

    def report(self, case: Case) -> Report:
        """The diagnosis of a case's file. Raises RuntimeError where its run failed."""
        self.run_all((case,))
        run = self.runs[case.model, case.recipe]
        if run.failure is not None:
            raise RuntimeError(f"{case.model}, {case.recipe}: {run.failure.message} {run.failure.detail}")
        return analyse(self.queue.driver, Question(run, "diagnosis", {}, of_baseline=case.baseline))[0]


def found(report: Report) -> list[str]:
    """Names of the cases that a diagnosis found."""
    return list(dict.fromkeys(str(row["case"]) for table in report.tables for row in table.rows))


def wrong(case: Case, report: Report) -> str:
    """What is wrong with a diagnosis, in words; empty where nothing is.

    That this machine's processor makes int8 no faster is the case on some, and no false alarm there.
    """
    missing = sorted(set(case.finds) - set(found(report)))
    alarms = [sentence.text for sentence in report.sentences if sentence.tone == "warning"] if case.calm else []
    if PROCESSOR in found(report):
        alarms = [text for text in alarms if "this processor" not in text]
    return "; ".join([*(f"missed: {name}" for name in missing), *(f"false alarm: {text}" for text in alarms)])


def lines() -> list[str]:
    """A table of all cases."""
    table = ["| file | recipe | what the diagnosis says | right |", "|---|---|---|---|"]
    right = 0
    settings = Settings()
    queue = JobQueue(settings, resume=False)
    folder = settings.home / "made"  # kept, because a model that is saved again has other bytes
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(queue, folder)
    bench.run_all(CASES)
    for case in CASES:
        report = bench.report(case)
        problem = wrong(case, report)
        right += not problem
        told = [name for name in case.finds or (PROCESSOR,) if name in found(report)]
        places = [1 + found(report).index(name) for name in told] or [0]
        says = " ".join(report.sentences[place].text for place in places)
        table.append(f"| {case.title} ({case.model}) | `{case.recipe}` | {says} | {problem or 'yes'} |")
    queue.close()
    return [f"{right} of {len(CASES)} diagnoses are right.", "", *table]
