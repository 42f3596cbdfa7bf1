"""What a stage of quantization-aware training keeps beside its model; asking for it does not load the toolkit."""

from __future__ import annotations

import json
from pathlib import Path

MODEL, RECORD, RANGES = "model.keras", "quantization.json", "ranges.npz"


def is_qat(path: Path) -> bool:
    """Whether a model file is that of a quantization-aware training: its ranges lie beside it."""
    return path.is_file() and path.with_name(RECORD).is_file() and path.with_name(RANGES).is_file()


def all_quantized(path: Path) -> bool:
    """Whether every kernel of a stage was quantized while it trained; ``path`` is its ``model.keras``."""
    return not json.loads(path.with_name(RECORD).read_text("utf-8"))["float"]
