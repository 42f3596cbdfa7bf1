"""A float32 LiteRT file with some of its weights replaced, so that the effect of each can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Place = tuple[int, int]
"""Subgraph and tensor, as `StoredWeight` has them."""


class Transplant:
    """A file whose weights can be exchanged.

    Args:
        content: A ``.tflite`` file.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        self._size = len(content)

    def with_weights(self, values: Mapping[Place, np.ndarray]) -> bytes:
        """The file with the values of some float32 tensors replaced; other tensors keep theirs, shared bytes or not.

        Args:
            values: By place, in the tensor's shape.
        """
        import flatbuffers

        tensors = {place: self._model.subgraphs[place[0]].tensors[place[1]] for place in values}
        before, count = {place: tensor.buffer for place, tensor in tensors.items()}, len(self._model.buffers)
        try:
            for place, tensor in tensors.items():
                assert tensor.type == self._schema.TensorType.FLOAT32, "only float32 weights can be replaced"
                buffer = self._schema.BufferT()
                buffer.data = np.frombuffer(np.ascontiguousarray(values[place], "<f4").tobytes(), np.uint8)
                tensor.buffer = len(self._model.buffers)
                self._model.buffers.append(buffer)
            builder = flatbuffers.Builder(self._size)
            builder.Finish(self._model.Pack(builder), b"TFL3")
            return bytes(builder.Output())
        finally:
            for place, tensor in tensors.items():
                tensor.buffer = before[place]
            del self._model.buffers[count:]
