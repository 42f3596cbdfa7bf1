from __future__ import annotations

import pytest

from optimizers.engine.versions import device
from optimizers.litert.processor import has_dot_products, integer_unit


@pytest.mark.parametrize(
    ("flags", "unit"),
    [
        ("fpu sse2 avx2 avx512f avx512_vnni", ("AVX-512 VNNI",)),
        ("fpu sse2 avx avx2", ("AVX2",)),
        ("fp asimd asimddp i8mm", ("int8 matrix",)),
        ("fpu sse2", ()),
        ("", ()),
    ],
)
def test_what_multiplies_bytes_is_part_of_the_device(flags: str, unit: tuple[str, ...]) -> None:
    assert integer_unit(flags.split()) == unit


@pytest.mark.parametrize(
    ("name", "has"), [("X, 2 cores, AVX VNNI", True), ("X, 1 core, NEON", False), ("X, 2 cores", None), ("", None)]
)
def test_whether_a_device_has_dot_products_follows_from_its_name(name: str, has: bool | None) -> None:
    assert has_dot_products(name) is has


def test_a_device_has_a_name_and_cores() -> None:
    assert " core" in device()
