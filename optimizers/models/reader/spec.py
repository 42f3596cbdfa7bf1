"""What a model file says, as plain data: layers with validated options, how they are joined, and where weights are.

Nothing here can run code. A `ModelSpec` is what `read` returns; ``optimizers.tf.build`` turns it into a live model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optimizers.models.reader.hdf5 import Hdf5

INPUT = "InputLayer"


@dataclass(frozen=True)
class TensorRef:
    """One output tensor of one call of one layer of the same graph."""

    layer: str
    call: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One use of a layer. Leaves are `TensorRef`, numbers, text, None, slices, ``...`` and NumPy arrays."""

    args: list[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class LayerSpec:
    """One layer, operation or nested model. Compared by identity, because two equal layers are still two layers.

    Attributes:
        kind: Keras 3 class name, or the name of an operation of ``keras.ops`` when ``is_operation``.
        options: Validated constructor options by their Keras 3 names.
        dtype: Name of its dtype or dtype policy; None when the file does not say.
        calls: Its uses in the graph that holds it, in order.
        parts: Layers given as options: the wrapped layer, the cells, an activation that is a layer.
        activity_regularizer: ``{"l1": …, "l2": …}`` or None.
        graph: Layers and wiring, for models.
        archive_path: Where a Keras archive keeps its weights.
        checkpoint_name: Name of its node among the children of its model in a TensorFlow checkpoint.
        same_as: The first mention of this very layer, when several nested models share it.
    """

    kind: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    dtype: str | None = None
    trainable: bool = True
    is_operation: bool = False
    calls: list[Call] = field(default_factory=list)
    parts: dict[str, LayerSpec | list[LayerSpec]] = field(default_factory=dict)
    activity_regularizer: dict[str, float] | None = None
    graph: GraphSpec | None = None
    archive_path: str = ""
    checkpoint_name: str = ""
    same_as: LayerSpec | None = None

    @property
    def identity(self) -> LayerSpec:
        """The mention that stands for the layer: itself, or the first one when it is shared."""
        return self.same_as.identity if self.same_as is not None else self

    @property
    def inside(self) -> list[LayerSpec]:
        """What it holds: the layers of a model, and those given as options."""
        parts = [one for part in self.parts.values() for one in (part if isinstance(part, list) else [part])]
        return [*(self.graph.layers if self.graph is not None else ()), *parts]

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"layer {self.name!r} ({self.kind})"


@dataclass(eq=False)
class GraphSpec:
    """The inside of a model.

    Attributes:
        layers: In the order of the file.
        inputs, outputs: A `TensorRef`, or lists and dicts of them.
        order: (layer, call number) of every call that the outputs depend on, each after what it needs.
        sequential: It was a Sequential model, and is rebuilt as one.
    """

    layers: list[LayerSpec]
    inputs: Any
    outputs: Any
    order: list[tuple[str, int]]
    sequential: bool = False

    def by_name(self) -> dict[str, LayerSpec]:
        """Layers by name; names are unique within a graph."""
        return {layer.name: layer for layer in self.layers}


@dataclass(frozen=True)
class ArchiveWeights:
    """Weights addressed by ``layers/<class>_<n>/vars/<i>``, as Keras archives do."""

    file: Hdf5


@dataclass(frozen=True)
class LegacyWeights:
    """Weights addressed by layer name and weight name, as whole-model HDF5 files do."""

    file: Hdf5


@dataclass(frozen=True)
class CheckpointWeights:
    """The files of a TensorFlow checkpoint by name (``variables.index`` …); reading them needs TensorFlow."""

    files: dict[str, bytes]


WeightSource = ArchiveWeights | LegacyWeights | CheckpointWeights


@dataclass(frozen=True)
class ModelSpec:
    """A whole model file after reading: structure, weights and provenance.

    Attributes:
        root: The model itself; ``root.graph`` is never None.
        weights: Where the numbers are.
        format: For people: ``Keras 3 archive``, ``Keras 2 HDF5``, ``SavedModel``.
        keras_version: As the file says, or empty.
        notes: What was left out or is worth knowing, one sentence each.
    """

    root: LayerSpec
    weights: WeightSource
    format: str
    keras_version: str = ""
    notes: tuple[str, ...] = ()

    @property
    def graph(self) -> GraphSpec:
        """Layers and wiring of the outermost model."""
        assert self.root.graph is not None
        return self.root.graph


def references(value: Any) -> Iterator[TensorRef]:
    """Every `TensorRef` in a call argument or in the inputs or outputs of a graph, from left to right."""
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)


def replace_references(value: Any, replace: Any) -> Any:
    """The same structure with ``replace(reference)`` in place of every `TensorRef`."""
    if isinstance(value, TensorRef):
        return replace(value)
    if isinstance(value, list | tuple):
        return [replace_references(item, replace) for item in value]
    if isinstance(value, dict):
        return {key: replace_references(item, replace) for key, item in value.items()}
    return value
