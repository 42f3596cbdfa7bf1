from __future__ import annotations

import pytest

from optimizers.engine.versions import device, integer_unit


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


def test_a_device_has_a_name_and_cores() -> None:
    assert " core" in device()
