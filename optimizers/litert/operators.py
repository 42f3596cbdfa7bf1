"""Which operators a LiteRT file has and in which types they compute, read from its bytes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CASTS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_ROUNDED = frozenset({"INT8", "UINT8", "INT4", "INT2"})


def operators(file: Path | bytes) -> Counter[str]:
    """How often each operator occurs in all subgraphs of a file; a custom one is named ``custom:NAME``."""
    return Counter(name for name, *_ in _each(file))


def float_operators(file: Path | bytes) -> Counter[str]:
    """How often each operator computes with floating point activations or weights; mere casts do not count."""
    return Counter(name for name, *kinds in _each(file) if _floats(*kinds) and name not in CASTS)


def hybrid_operators(file: Path | bytes) -> Counter[str]:
    """How many of these take kernels of whole numbers: activations are rounded for each answer."""
    return Counter(
        name
        for name, taken, _ in _each(file)
        if _floats(taken) and name not in CASTS and any(kind in _ROUNDED for kind in taken)
    )


def tensor_types(file: Path | bytes) -> Counter[str]:
    """How many tensors of all subgraphs have each type, such as ``FLOAT32`` or ``INT8``."""
    model, schema = _parsed(file)
    names = _names(schema.TensorType)
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    return Counter(names[graph.Tensors(i).Type()] for graph in graphs for i in range(graph.TensorsLength()))


def integer_only(file: Path | bytes) -> bool:
    """True when no tensor holds floating point numbers, inputs and outputs included."""
    return not _floats(tensor_types(file))


def _each(file: Path | bytes) -> Iterator[tuple[str, list[str], list[str]]]:
    """Name of each operator, and the types of the tensors that it takes and of those that it gives."""
    model, schema = _parsed(file)
    names, types = _names(schema.BuiltinOperator), _names(schema.TensorType)
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = model.OperatorCodes(operator.OpcodeIndex())
            custom = code.CustomCode()
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            taken = [operator.Inputs(k) for k in range(operator.InputsLength())]
            given = [operator.Outputs(k) for k in range(operator.OutputsLength())]
            name = f"custom:{custom.decode()}" if custom else names.get(number, f"operator {number}")
            inside, out = ([types[graph.Tensors(t).Type()] for t in ends if t >= 0] for ends in (taken, given))
            yield name, inside, out


def _floats(*kinds: Iterable[str]) -> bool:
    return any(kind.startswith(("FLOAT", "BFLOAT")) for some in kinds for kind in some)


def _parsed(file: Path | bytes) -> tuple[Any, Any]:
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(file if isinstance(file, bytes) else file.read_bytes(), 0), schema


def _names(enum: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}
