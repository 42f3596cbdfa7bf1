"""Shorter names in LiteRT files.

The converter names a tensor after all graph nodes that it was merged from, each with the model's name in front:
``net/relu/Relu;net/norm/add;net/conv/BiasAdd;net/conv/Conv2D``. In a file for a microcontroller that is up to a tenth
of the bytes. Here one node per layer is kept, without the model's name: ``/relu/Relu;/norm/add;/conv/BiasAdd``. So
names still tell which layers a tensor belongs to.
"""

from __future__ import annotations


def shortened(content: bytes) -> bytes:
    """The same file with shorter names; those of its inputs and outputs stay.

    Args:
        content: A ``.tflite`` file.

    Returns:
        The file, or ``content`` itself where that is not longer or keeps weights outside the tables.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if any(buffer.offset or buffer.size for buffer in model.buffers):
        return content
    for graph in model.subgraphs:
        fixed = {*graph.inputs, *graph.outputs}
        taken = {tensor.name for tensor in graph.tensors}
        for number, tensor in enumerate(graph.tensors):
            name = _short(tensor.name.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            if number not in fixed and len(name) < len(tensor.name) and name not in taken:
                taken.add(name)
                tensor.name = name
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    written = bytes(builder.Output())
    return written if len(written) < len(content) else content


def _short(name: str) -> str:
    """One path for each layer, the first step (the model) left out where there is another."""
    kept: dict[str, str] = {}
    for path in name.split(";"):
        first, slash, rest = path.partition("/")
        short = f"/{rest}" if slash else first
        kept.setdefault(short.rpartition("/")[0], short)
    return ";".join(kept.values())
