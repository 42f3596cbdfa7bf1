"""Bounds that a model file has to keep. They are far above any model that can be optimized on one machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Largest accepted sizes. Bytes unless the name says otherwise.

    Attributes:
        file_bytes: A file, or all files of a SavedModel folder together.
        zip_members: Entries of a ZIP or TAR file.
        zip_ratio: Unpacked over packed size of one ZIP entry larger than a MiB; above it, the entry is a bomb.
        json_bytes, json_depth, json_nodes: The model description: its text, its nesting and how many values it has.
        layers: Layers of all nested models together; building takes about 5 ms for each, so a fault in the last one is
            found within 10 s. The largest model of ``keras.applications`` has 1,041.
        calls: Calls of layers, as often as they are carried out: nested models carry out all of theirs at every call,
            recurrent layers and ``TimeDistributed`` one at every step of a fixed length.
        nesting: Models and wrappers inside one another.
        parameters: Weights of the rebuilt model, in numbers.
        weight_bytes: Weights in the file, and in the rebuilt model.
        tensor_values, graph_values: Numbers in one activation and in all of them, for one example.
        macs: Multiply-accumulates of one answer: 4 times those of the largest model of ``keras.applications``.
        dimension: Any single size that a layer declares.
        constants: Numbers written into the model description itself.
        litert_entries: Operators, tensors or buffers of a LiteRT file, all subgraphs together.
        litert_rank: Dimensions of one of its tensors.
        hdf5_ratio: Declared over stored size of one HDF5 array larger than a MiB.
    """

    file_bytes: int = 3 << 29
    zip_members: int = 512
    zip_ratio: int = 100
    json_bytes: int = 16 << 20
    json_depth: int = 80
    json_nodes: int = 2_000_000
    layers: int = 1200
    calls: int = 2500
    nesting: int = 8
    parameters: int = 400_000_000
    weight_bytes: int = 2 << 30
    tensor_values: int = 200_000_000
    graph_values: int = 4_000_000_000
    macs: int = 100_000_000_000
    dimension: int = 1 << 24
    constants: int = 1_000_000
    litert_entries: int = 100_000
    litert_rank: int = 16
    hdf5_ratio: int = 200


LIMITS = Limits()
