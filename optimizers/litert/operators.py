"""Which operators a LiteRT file has and in which types they compute, read from its bytes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CASTS = frozenset({"QUANTIZE", "DEQUANTIZE"})


def operators(file: Path | bytes) -> Counter[str]:
    """How often each operator occurs in all subgraphs of a file; a custom one is named ``custom:NAME``."""
    return Counter(name for name, _ in _each(file))


def float_operators(file: Path | bytes) -> Counter[str]:
    """How often each operator computes with floating point activations or weights; mere casts do not count."""
    return Counter(name for name, floats in _each(file) if floats and name not in CASTS)


def tensor_types(file: Path | bytes) -> Counter[str]:
    """How many tensors of all subgraphs have each type, such as ``FLOAT32`` or ``INT8``."""
    model, schema = _parsed(file)
    names = _names(schema.TensorType)
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    return Counter(names[graph.Tensors(i).Type()] for graph in graphs for i in range(graph.TensorsLength()))


def integer_only(file: Path | bytes) -> bool:
    """True when no tensor holds floating point numbers, inputs and outputs included."""
    return not any(name.startswith(("FLOAT", "BFLOAT")) for name in tensor_types(file))


def _each(file: Path | bytes) -> Iterator[tuple[str, bool]]:
    """Name of each operator, and whether one of its tensors holds floating point numbers."""
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
            kinds = [types[graph.Tensors(t).Type()] for t in (*taken, *given) if t >= 0]
            name = f"custom:{custom.decode()}" if custom else names.get(number, f"operator {number}")
            yield name, any(kind.startswith(("FLOAT", "BFLOAT")) for kind in kinds)


def _parsed(file: Path | bytes) -> tuple[Any, Any]:
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(file if isinstance(file, bytes) else file.read_bytes(), 0), schema


def _names(enum: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}
