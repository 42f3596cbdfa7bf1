"""Which operators of a file LiteRT hands to its fast CPU delegate (XNNPACK), and which take its own kernels.

The interpreter tells: asked not to join neighbours, it makes one delegate call out of each operator that the delegate
takes, and that call gives the same tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optimizers.errors import NotApplicable

DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Delegation:
    """What the delegate takes of the main graph; what happens inside loops cannot be seen.

    Attributes:
        operators: Numbers of the operators that it computes, in the order of computation.
        calls: How often it is called for one answer: neighbours that it takes are joined into one call.
        total: Operators in all.
    """

    operators: frozenset[int]
    calls: int
    total: int


def delegation(content: bytes, threads: int = 1) -> Delegation:
    """Asks LiteRT, by loading the file in three ways; nothing is computed.

    Raises:
        NotApplicable: LiteRT cannot run the file.
    """
    from ai_edge_litert.interpreter import OpResolverType

    own = _nodes(content, threads, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    apart = _nodes(content, threads, experimental_disable_delegate_node_fusion=True)
    joined = _nodes(content, threads)
    maker = {int(tensor): number for number, node in enumerate(own) for tensor in node["outputs"]}
    taken = {
        maker[int(tensor)]
        for node in apart
        if node["op_name"] == DELEGATE
        for tensor in node["outputs"]
        if int(tensor) in maker
    }
    return Delegation(frozenset(taken), sum(node["op_name"] == DELEGATE for node in joined), len(own))


def _nodes(content: bytes, threads: int, **options: Any) -> list[dict[str, Any]]:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads, **options)
        interpreter.allocate_tensors()
        return list(interpreter._get_ops_details())
    except (RuntimeError, ValueError) as error:
        raise NotApplicable("LiteRT cannot run this file.", detail=str(error)) from error
