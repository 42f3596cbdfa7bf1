"""Recipes with a name, for people who do not want to think about settings. Each can be seen and edited."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A named recipe in its short form, and one sentence on whom it is for."""

    title: str
    recipe: str
    summary: str


PRESETS: dict[str, Preset] = {
    "no_retraining": Preset(
        "No retraining", "dynamic_range", "About four times smaller within seconds, without any data."
    ),
    "balanced": Preset(
        "Balanced",
        "magnitude_pruning+int8",
        "Half of the weights become zero, all are stored in 8 bits: small, fast, and hardly ever less accurate.",
    ),
    "smallest": Preset(
        "Smallest",
        "magnitude_pruning(target_sparsity=0.8)+weight_clustering+int8",
        "Four fifths of the weights become zero, the rest share sixteen values in 8 bits; compresses best.",
    ),
    "fastest": Preset(
        "Fastest",
        "structured_pruning+int8",
        "Half of the computation is removed and the rest done in 8 bits; where timing shows that 8 bits are slower, as "
        "for many convolutions on a PC, leave out int8.",
    ),
    "microcontroller": Preset(
        "Microcontroller",
        "structured_pruning+int8(io=int8)",
        "Half of the computation and integers only, inputs and outputs included, for hardware without floats.",
    ),
}
