"""Builds a live model from a `ModelSpec`: layers, then every call in the order of the graph. Weights come later."""

from __future__ import annotations

import re
from typing import Any

from optimizers.errors import ModelRefused
from optimizers.models.reader.spec import INPUT, Call, LayerSpec, TensorRef, replace_references
from optimizers.models.reader.values import PLAIN_DTYPES, shown
from optimizers.tf.budget import Budget
from optimizers.tf.dialects import Dialect, flat_tensors
from optimizers.tf.work import attention_scores, makes_examples, multiplications, shapes

_STEPPING = frozenset(["LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "TimeDistributed"])
"""Layers that call what is in them once for every step of their input."""

_PREAMBLE = re.compile(r"Exception encountered when calling (layer .*?\(type \w+\)|\S+)\. ")


class Emitter:
    """Builds one model in one dialect.

    Attributes:
        layers: Live layer of every `LayerSpec`, by the spec's ``identity``.
        work: Multiply-accumulates of every model and nested model for one example, rather too high than too low.
        tensors: Outputs of each call of the outermost graph, in order: (layer name, call number) to tensors.
        notes: What was changed on the way, one sentence each.
    """

    def __init__(self, dialect: Dialect, float_dtype: str = "float32") -> None:
        self.dialect = dialect
        self.float_dtype = float_dtype
        self.layers: dict[LayerSpec, Any] = {}
        self.work: dict[LayerSpec, int] = {}
        self.tensors: dict[tuple[str, int], list[Any]] = {}
        self.notes: list[str] = []
        self._budget = Budget()
        self._names: dict[str, str] = {}
        self._calls: dict[LayerSpec, int] = {}

    def build(self, root: LayerSpec) -> Any:
        """The model. Its weights are zero.

        Raises:
            ModelRefused: Layers that Keras rejects (``bad-value``, ``bad-graph``), or sizes beyond the limits.
        """
        with self._budget.variables():
            try:
                return self._layer(root, outermost=True)
            except Exception as error:
                if self._budget.refusal is not None:
                    raise self._budget.refusal from None
                if isinstance(error, ModelRefused | MemoryError):
                    raise
                raise ModelRefused(
                    f"The model cannot be rebuilt in {self.dialect.name} ({shown(_reason(error))}); build it again and "
                    "save it.",
                    code="bad-graph",
                    detail=str(error),
                ) from error

    # layers -------------------------------------------------------------------------------------------------------

    def _layer(self, spec: LayerSpec, outermost: bool = False) -> Any:
        key = spec.identity
        if key not in self.layers:
            layer = self._model(spec, outermost) if spec.graph is not None else self._built_in(spec)
            if not spec.trainable:
                layer.trainable = False
            self.layers[key] = layer
        return self.layers[key]

    def _built_in(self, spec: LayerSpec) -> Any:
        layer_class = self.dialect.layer_class(spec.kind)
        if layer_class is None:
            raise ModelRefused(
                f"{spec.where[0].upper()}{spec.where[1:]} has no counterpart in {self.dialect.name}; replace it by "
                "another built-in layer and save the model again.",
                code="unsupported-layer",
            )
        try:
            return layer_class(name=self._name(spec), **self._options(spec))
        except (ModelRefused, MemoryError):
            raise
        except Exception as error:
            raise self._rejected(spec, "its options", error, "bad-value") from error

    def _options(self, spec: LayerSpec) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for name, value in spec.options.items():
            if value is not None and name.endswith("activation"):
                value = self.dialect.activation(value)
            elif value is not None and name.endswith("_regularizer"):
                value = self._regularizer(value)
            elif value is not None and name.endswith("_constraint"):
                value = getattr(self.dialect.keras.constraints, value[0])(**value[1])
            options[name] = value
        for name, part in spec.parts.items():
            options[name] = [self._layer(item) for item in part] if isinstance(part, list) else self._layer(part)
        if spec.activity_regularizer:
            options["activity_regularizer"] = self._regularizer(spec.activity_regularizer)
        options = self.dialect.options(spec, options)
        options["dtype"] = spec.dtype if spec.dtype in PLAIN_DTYPES else self.float_dtype
        return options

    def _regularizer(self, value: dict[str, float]) -> Any:
        return self.dialect.keras.regularizers.L1L2(**value) if any(value.values()) else None

    def _name(self, spec: LayerSpec) -> str:
        """A name that this Keras accepts and that no other layer has."""
        base = self.dialect.layer_name(spec.name)
        name, count = base, 1
        while self._names.setdefault(name, spec.name) != spec.name:
            name, count = f"{base}_{count}", count + 1
        if name != spec.name:
            self.notes.append(f"Layer {spec.name!r} is called {name!r} inside the optimization toolkit.")
        return name

    def _rejected(self, spec: LayerSpec, what: str, error: Exception, code: str) -> ModelRefused:
        return ModelRefused(
            f"{spec.where[0].upper()}{spec.where[1:]} was rejected by {self.dialect.name} because of {what} "
            f"({shown(_reason(error))}); build the model again and save it.",
            code=code,
            detail=str(error),
        )

    # calls --------------------------------------------------------------------------------------------------------

    def _call(self, spec: LayerSpec, args: list[Any], options: dict[str, Any]) -> Any:
        try:
            if spec.is_operation:
                output = self._operation(spec, args, options)
            else:
                layer = self._layer(spec)
                self._check_attention(spec, _tensors(args, options))
                output = layer(*args, **self.dialect.call_options(spec, args, options))
        except (ModelRefused, MemoryError):
            raise
        except Exception as error:
            raise self._rejected(spec, "its inputs", error, "bad-graph") from error
        self._count(spec, output)
        return output

    def _operation(self, spec: LayerSpec, args: list[Any], options: dict[str, Any]) -> Any:
        merged = {**spec.options, **options}
        if merged.get("dtype") is not None and merged["dtype"] not in PLAIN_DTYPES:
            merged["dtype"] = self.float_dtype
        if makes_examples(spec.kind, args, merged):
            raise ModelRefused(
                f"{spec.where[0].upper()}{spec.where[1:]} changes the number of examples; let it work on the other "
                "dimensions only.",
                code="unsupported-option",
            )
        return self.dialect.operation(spec, self._name(spec), args, merged)

    def _count(self, spec: LayerSpec, output: Any) -> None:
        for tensor in flat_tensors(output):
            self._budget.add_activation(tuple(tensor.shape), spec.where)

    def _check_attention(self, spec: LayerSpec, given: list[Any]) -> None:
        """Attention scores are no output of a layer, but often its largest tensor."""
        scores = attention_scores(spec, shapes(given))
        if scores:
            self._budget.add_activation((None, *scores), spec.where)

    def _add_work(self, total: int, spec: LayerSpec, given: Any, made: Any) -> int:
        """Multiply-accumulates of a model up to one call, that call included. Refused if they are too many."""
        key = spec.identity
        total += self.work[key] if spec.graph is not None else multiplications(spec, self.layers.get(key), given, made)
        self._budget.check_work(total, spec.where)
        return total

    def _count_calls(self, spec: LayerSpec, inputs: Any) -> int:
        """How many calls of layers one call of this layer is; they are counted."""
        shapes = [tuple(getattr(tensor, "shape", ())) for tensor in flat_tensors(inputs)[:1]]
        steps = next((shape[1] for shape in shapes if len(shape) > 1 and shape[1] is not None), 1)
        count = self._calls_in(spec, int(steps))
        self._budget.add_calls(count, spec.where)
        return count

    def _calls_in(self, spec: LayerSpec, steps: int) -> int:
        if spec.graph is not None:
            self._layer(spec)
            return self._calls[spec.identity]
        once = max(1, sum(self._calls_in(item, steps) for item in spec.inside))
        return once * steps if spec.kind in _STEPPING else once

    # models -------------------------------------------------------------------------------------------------------

    def _model(self, spec: LayerSpec, outermost: bool) -> Any:
        assert spec.graph is not None
        if spec.graph.sequential:
            return self._sequential(spec, outermost)
        graph, layers = spec.graph, spec.graph.by_name()
        done: dict[tuple[str, int], list[Any]] = {}
        calls = work = 0

        def tensor(reference: TensorRef) -> Any:
            outputs = done[reference.layer, reference.call]
            if reference.tensor >= len(outputs):
                raise ModelRefused(
                    f"The model's graph is malformed: it refers to output {reference.tensor} of layer "
                    f"{shown(reference.layer)!r}, which has {len(outputs)}; save the model again.",
                    code="bad-graph",
                )
            return outputs[reference.tensor]

        for name, number in graph.order:
            layer = layers[name]
            if layer.kind == INPUT:
                done[name, number] = [self._input(layer, spec)]
                continue
            call: Call = layer.calls[number]
            args, options = replace_references(call.args, tensor), replace_references(call.kwargs, tensor)
            calls += self._count_calls(layer, args)
            done[name, number] = flat_tensors(self._call(layer, args, options))
            work = self._add_work(work, layer, _tensors(args, options), done[name, number])
        self._calls[spec.identity], self.work[spec.identity] = calls, work
        if outermost:
            self.tensors = done
        inputs, outputs = (replace_references(part, tensor) for part in (graph.inputs, graph.outputs))
        return self.dialect.keras.Model(inputs, outputs, name=self._name(spec))

    def _sequential(self, spec: LayerSpec, outermost: bool) -> Any:
        assert spec.graph is not None
        first, *rest = spec.graph.layers
        start = self._input(first, spec)
        model = self.dialect.keras.Sequential([start], name=self._name(spec))
        done, calls, work, last = {(first.name, 0): [start]}, 0, 0, [start]
        for layer in rest:
            calls += self._count_calls(layer, last)
            live = self._layer(layer)
            try:
                model.add(live)
            except (ModelRefused, MemoryError):
                raise
            except Exception as error:
                raise self._rejected(layer, "its input", error, "bad-graph") from error
            given, last = last, flat_tensors(model.outputs)
            done[layer.name, 0] = last
            self._count(layer, last)
            work = self._add_work(work, layer, given, last)
        self._calls[spec.identity], self.work[spec.identity] = calls, work
        if outermost:
            self.tensors = done
        return model

    def _input(self, spec: LayerSpec, model: LayerSpec) -> Any:
        shape = spec.options["batch_shape"]
        self._budget.add_activation(shape, spec.where)
        options: dict[str, Any] = {"shape": shape[1:]}
        if shape[0] is not None:
            if _is_stateful(model):
                options = {"shape": shape[1:], "batch_size": shape[0]}
            else:
                self.notes.append(f"Input {spec.name!r} had a fixed batch size of {shape[0]}; here it is open.")
        dtype = spec.dtype if spec.dtype in PLAIN_DTYPES else self.float_dtype
        if spec.dtype not in (None, "float32") and spec.dtype not in PLAIN_DTYPES:
            self.notes.append(f"Input {spec.name!r} was stored as {spec.dtype}; here it is float32.")
        return self.dialect.keras.Input(dtype=dtype, name=self._name(spec), **options)


def _tensors(args: list[Any], options: dict[str, Any]) -> list[Any]:
    """What goes into a call, by position or as attention's value and key."""
    return [*flat_tensors(args), options.get("value"), options.get("key")]


def _reason(error: Exception) -> str:
    """The first sentence of what Keras says, without its preamble."""
    words = _PREAMBLE.sub("", " ".join(str(error).split()))
    return re.split(r"[.!?:] (?=[A-Z])", words)[0].rstrip(".")


def _is_stateful(model: LayerSpec) -> bool:
    """Whether some layer of a model carries its state from batch to batch, which needs a fixed batch size."""
    return bool(model.options.get("stateful")) or any(_is_stateful(layer) for layer in model.inside)
