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
    "half": Preset("Half size", "float16", "Half the bytes, practically the same outputs."),
    "smallest": Preset(
        "Smallest",
        "magnitude_pruning(target_sparsity=0.8)+int8",
        "Four fifths of the weights become zero and the rest 8-bit integers; compresses best.",
    ),
    "balanced": Preset(
        "Balanced",
        "magnitude_pruning(target_sparsity=0.5)+dynamic_range",
        "Half of the weights become zero, the rest are stored in 8 bits; computation stays in float where it matters.",
    ),
    "microcontroller": Preset(
        "Microcontroller", "int8(io=int8)", "Integers only, inputs and outputs included, for hardware without floats."
    ),
}
