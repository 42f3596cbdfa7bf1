from __future__ import annotations

import pytest

from optimizers.selection import chosen, unknown

NAMES = ("conv1", "conv2", "dense", "block/conv")


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", NAMES),
        (" , ", NAMES),
        ("conv*", ("conv1", "conv2")),
        ("conv?, dense", ("conv1", "conv2", "dense")),
        ("!dense", ("conv1", "conv2", "block/conv")),
        ("*conv*, !conv1", ("conv2", "block/conv")),
        ("nothing", ()),
    ],
)
def test_patterns_choose_and_leave_out(text: str, taken: tuple[str, ...]) -> None:
    assert tuple(name for name in NAMES if chosen(name, text)) == taken


def test_patterns_that_match_nothing_are_named() -> None:
    assert unknown(NAMES, "conv*, dens, !pool") == ("dens", "!pool")
