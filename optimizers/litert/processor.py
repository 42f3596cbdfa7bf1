"""What a processor multiplies 8-bit numbers with, which decides whether quantized files are faster on it."""

from __future__ import annotations

from collections.abc import Collection

_DOT_PRODUCTS = (
    ("avx512_vnni", "AVX-512 VNNI"), ("avx_vnni", "AVX VNNI"), ("i8mm", "int8 matrix"), ("asimddp", "dot product"),
)  # fmt: skip
_OTHERS = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON"))


def integer_unit(flags: Collection[str]) -> tuple[str, ...]:
    """The best instruction set for 8-bit numbers among a processor's flags, or nothing where none is known."""
    return next(((title,) for flag, title in (*_DOT_PRODUCTS, *_OTHERS) if flag in flags), ())


def has_dot_products(device: str) -> bool | None:
    """Whether a device multiplies and adds bytes in a single instruction; None where its name does not tell.

    Args:
        device: As `optimizers.engine.versions.device` names it, the instruction set last.
    """
    unit = device.rpartition(", ")[2]
    if unit in {title for _, title in _DOT_PRODUCTS}:
        return True
    return False if unit in {title for _, title in _OTHERS} else None
