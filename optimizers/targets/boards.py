"""A small table of microcontroller boards: what they have for a model and for what changes while it runs.

Sizes are those of the makers' data sheets, in bytes; of them the program itself needs a part as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_KIB, _MIB = 1 << 10, 1 << 20

CORE_BYTES = 16 * _KIB
"""What the core of TensorFlow Lite Micro takes in flash at least, without kernels, on an Arm Cortex-M3.

Source: R. David et al., "TensorFlow Lite Micro", MLSys 2021, and TensorFlow's guide for microcontrollers.
"""
_TIGHT = 0.8
"""Share of a memory beyond which little is left for the program."""

Verdict = Literal["fits", "tight", "too small"]


@dataclass(frozen=True)
class Board:
    """One board. ``floats`` tells whether its processor computes with single precision in hardware."""

    name: str
    processor: str
    flash: int
    ram: int
    floats: bool
    source: str

    def verdict(self, model: int, arena: int) -> Verdict:
        """Whether a model and its arena fit, both in bytes; ``tight`` where more than 80% of a memory is taken."""
        flash = (model + CORE_BYTES) / self.flash
        ram = arena / self.ram
        if max(flash, ram) > 1:
            return "too small"
        return "tight" if max(flash, ram) > _TIGHT else "fits"


BOARDS = (
    Board("STM32 Blue Pill", "STM32F103C8, Cortex-M3", 64 * _KIB, 20 * _KIB, False, "ST, DS5319"),
    Board("Arduino Zero", "SAMD21G18, Cortex-M0+", 256 * _KIB, 32 * _KIB, False, "Microchip, SAM D21 data sheet"),
    Board("BBC micro:bit v2", "nRF52833, Cortex-M4F", 512 * _KIB, 128 * _KIB, True, "Nordic, nRF52833 specification"),
    Board(
        "Arduino Nano 33 BLE Sense", "nRF52840, Cortex-M4F", _MIB, 256 * _KIB, True, "Nordic, nRF52840 specification"
    ),
    Board("Raspberry Pi Pico", "RP2040, Cortex-M0+", 2 * _MIB, 264 * _KIB, False, "Raspberry Pi, Pico data sheet"),
    Board("STM32F746G Discovery", "STM32F746NG, Cortex-M7", _MIB, 340 * _KIB, True, "ST, DS10916"),
    Board("SparkFun Edge", "Apollo3 Blue, Cortex-M4F", _MIB, 384 * _KIB, True, "Ambiq, Apollo3 Blue data sheet"),
    Board("ESP32-DevKitC (WROOM-32E)", "ESP32, Xtensa LX6", 4 * _MIB, 520 * _KIB, True, "Espressif, ESP32 data sheet"),
    Board(
        "ESP32-S3-DevKitC-1 (N8)", "ESP32-S3, Xtensa LX7", 8 * _MIB, 512 * _KIB, True, "Espressif, ESP32-S3 data sheet"
    ),
    Board("Raspberry Pi Pico 2", "RP2350, Cortex-M33", 4 * _MIB, 520 * _KIB, True, "Raspberry Pi, Pico 2 data sheet"),
    Board("NUCLEO-L4R5ZI", "STM32L4R5ZI, Cortex-M4F", 2 * _MIB, 640 * _KIB, True, "ST, DS12023"),
    Board("NUCLEO-H743ZI", "STM32H743ZI, Cortex-M7", 2 * _MIB, _MIB, True, "ST, DS12110"),
)
"""In order of memory."""
