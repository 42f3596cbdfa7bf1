"""Which layer a tensor of a file belongs to, by the names that the converter left."""

from __future__ import annotations

import re
from collections.abc import Iterable

from optimizers.litert.weights import StoredWeight

_MULTIPLIES = re.compile(r"(conv|depthwise|matmul|einsum|tensordot|dot)", re.IGNORECASE)
_SAYS_NOTHING = re.compile(r"(arith|tfl|tf)\.|[\d_]*$|Identity|StatefulPartitionedCall|serving_default|PartitionedCall")
_LONGEST_NAME = 60


def layer_of(weight: StoredWeight) -> str:
    """The layer that a weight belongs to, as its name or those of what is computed with it tell; else its operator."""
    names = (weight.name, *(name for consumer in weight.consumers for name in consumer.outputs))
    return layer_in(names) or next((kind.lower() for kind in weight.kinds), "") or clean(weight.name) or "unnamed"


def layer_in(names: Iterable[str]) -> str:
    """The first layer that names of tensors speak of, or nothing.

    It lies between the model's name and that of the operation; names that were shortened (`optimizers.litert.names`)
    have no model in front.

    Example:
        ``net/bn1/FusedBatchNormV3;net/conv1/Conv2D`` gives ``conv1``.
    """
    for name in names:
        paths = [path for path in name.split(";") if path and not _SAYS_NOTHING.match(path)]
        if not paths:
            continue
        path = next((path for path in paths if _MULTIPLIES.match(path.rsplit("/", 1)[-1])), paths[0])
        steps = [step for number, step in enumerate(path.split("/")) if step or number == 0]
        inner = steps[1:-1] or (steps[:1] if _MULTIPLIES.match(steps[-1]) else steps[-1:]) if steps else []
        while len(inner) > 1 and _MULTIPLIES.match(inner[-1]):
            inner = inner[:-1]
        if inner:
            return clean("/".join(inner))
    return ""


def clean(name: str) -> str:
    """A tensor's name without odd characters, and not too long."""
    return re.sub(r"[^\w./:-]", "_", name, flags=re.ASCII)[:_LONGEST_NAME]
