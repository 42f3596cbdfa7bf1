"""Recipes with a name, for people who do not want to think about settings. Each can be seen and edited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from optimizers.records import LayerRow

_RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "Bidirectional", "RNN"})


@dataclass(frozen=True)
class Preset:
    """A named recipe in its short form, and one sentence on whom it is for.

    ``recurrent`` is the recipe for models with recurrent layers, where another one serves these better.
    """

    title: str
    recipe: str
    summary: str
    recurrent: str = ""

    def of(self, layers: Iterable[LayerRow]) -> str:
        """The recipe for a model with these layers."""
        return self.recurrent if self.recurrent and any(row.kind in _RECURRENT for row in layers) else self.recipe


PRESETS: dict[str, Preset] = {
    # Against dynamic_range the file is smaller on every sample that was tried (digits_lstm 66 KB instead of 169, where
    # the fused cell stays float32; penguins_mlp 3.8 instead of 5.4), and it computes in float32, at that speed.
    "no_retraining": Preset(
        "No retraining",
        "low_bit(bits=int8, mode=weight_only)",
        "Weights in 8 bits within seconds, without any data; small kernels stay as they are. Up to four times smaller, "
        "computed in floating point.",
    ),
    "balanced": Preset(
        "Balanced",
        "magnitude_pruning+int8",
        "Half of the weights become zero, and they are stored in 8 bits: small, and hardly ever less accurate.",
        recurrent="magnitude_pruning+low_bit(bits=int8, mode=weight_only)",
    ),
    # Unrolled, as int8 needs it, recurrent layers grow: occupancy_gru has 22 KB in float32, 57 with clusters and int8,
    # 12 with low_bit, which keeps no clusters but is as accurate; digits_lstm has 169, 66 and 46.
    "smallest": Preset(
        "Smallest",
        "magnitude_pruning(target_sparsity=0.8)+weight_clustering+int8",
        "Four fifths of the weights become zero, the rest share few values, in 8 bits or, in models with recurrent "
        "layers, in 4; compresses best.",
        recurrent="magnitude_pruning(target_sparsity=0.8)+low_bit",
    ),
    # Times faster than float32 with float32, int8 and (recurrent) dynamic_range at the end: digits_resnet 1.8 and 1.6,
    # fashion_cnn 1.6 and 1.1, fashion_mobilenet 1.6 and 0.8, digits_transformer 1.4 and 0.5, penguins_mlp 1.0 and 0.9;
    # unrolled digits_lstm 2.7, 3.9 and 4.0, occupancy_gru 2.8 with int8 and dynamic_range alike.
    "fastest": Preset(
        "Fastest",
        "structured_pruning",
        "Half of the computation is removed; recurrent layers are also written out step by step, with 8-bit weights in "
        "large kernels. A processor that multiplies 8-bit integers faster than floats gains more with int8 at the end.",
        recurrent="structured_pruning+dynamic_range(recurrent=unrolled)",
    ),
    "microcontroller": Preset(
        "Microcontroller",
        "structured_pruning+int8(io=int8)",
        "Half of the computation and integers only, inputs and outputs included, for hardware without floats.",
    ),
}


def suited(text: str, layers: Iterable[LayerRow]) -> str:
    """The recipe of a preset for a model with these layers; any other text as it is."""
    return PRESETS[text].of(layers) if text in PRESETS else text
