"""Parameters: one declaration gives bounds, form fields and messages."""

from __future__ import annotations

from typing import Literal

import pytest

from optimizers.errors import InvalidParameter
from optimizers.params import ParamSet, fields, param, resolve


class Example(ParamSet):
    amount: float = param(0.5, label="Amount", help="How much.", low=0.0, high=0.95, step=0.05, percent=True)
    steps: int = param(100, label="Steps", help="How many.", low=1, high=1000, log=True, advanced=True)
    mode: Literal["slow", "fast"] = param("slow", label="Mode", help="Which way.")
    quiet: bool = param(False, label="Quiet", help="Say less.")


def test_fields_describe_the_declaration():
    amount, steps, mode, quiet = fields(Example)
    assert (amount.kind, amount.low, amount.high, amount.default, amount.percent) == ("float", 0.0, 0.95, 0.5, True)
    assert (steps.kind, steps.low, steps.high, steps.log, steps.advanced) == ("int", 1, 1000, True, True)
    assert (mode.kind, mode.choices, mode.default) == ("choice", ("slow", "fast"), "slow")
    assert (quiet.kind, quiet.default, quiet.label, quiet.help) == ("bool", False, "Quiet", "Say less.")


def test_defaults_are_filled_in():
    assert resolve("example", Example, {"amount": 0.25}).model_dump() == {
        "amount": 0.25, "steps": 100, "mode": "slow", "quiet": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"amount": 1.2}, "example.amount must be a number in [0, 0.95], got 1.2."),
        ({"amount": float("nan")}, "example.amount must be a number in [0, 0.95], got nan."),
        ({"amount": "much"}, "example.amount must be a number in [0, 0.95], got 'much'."),
        ({"steps": 2.5}, "example.steps must be a whole number in [1, 1000], got 2.5."),
        ({"mode": "odd"}, "example.mode must be one of slow, fast, got 'odd'."),
        ({"quiet": "perhaps"}, "example.quiet must be true or false, got 'perhaps'."),
        ({"volume": 3}, "example has no parameter 'volume'; it takes: amount, steps, mode, quiet."),
    ],
)
def test_a_wrong_value_is_named_with_its_bounds(given, message):
    with pytest.raises(InvalidParameter) as caught:
        resolve("example", Example, given)
    assert caught.value.message == message
