"""Spreads a budget over layers by what each of them loses: pruned channels, ranks and bits are all chosen this way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One way to treat a layer: what it then costs (bytes, MACs or parameters), and how much the model loses by it."""

    cost: float
    damage: float


def allocate(options: Mapping[str, Sequence[Option]], budget: float) -> dict[str, int]:
    """For every layer the number of the option to take, so that the costs add up to at most the budget.

    Starts from each layer's least damaging option and repeatedly takes, over all layers, the step to a cheaper option
    that adds the least damage per saved cost, skipping options that no line of best trade-offs touches. This is the
    greedy solution on the lower convex hull, optimal but for the last step.

    Args:
        options: By layer, in any order; at least one each.
        budget: Highest sum of costs. Where even the cheapest options exceed it, the cheapest ones are taken.

    Source: Shoham and Gersho (1988), "Efficient bit allocation for an arbitrary set of quantizers", section III.
    """
    hulls = {name: hull(choices) for name, choices in options.items()}
    place = dict.fromkeys(hulls, 0)
    total = sum(options[name][found[0]].cost for name, found in hulls.items())
    while total > budget:
        steps = [
            (_slope(options[name], found[place[name]], found[place[name] + 1]), name)
            for name, found in hulls.items()
            if place[name] + 1 < len(found)
        ]
        if not steps:
            break
        _, name = min(steps)
        before = options[name][hulls[name][place[name]]].cost
        place[name] += 1
        total -= before - options[name][hulls[name][place[name]]].cost
    return {name: found[place[name]] for name, found in hulls.items()}


def _slope(choices: Sequence[Option], one: int, other: int) -> float:
    """Damage added per cost saved by going from one option to a cheaper one."""
    return (choices[other].damage - choices[one].damage) / (choices[one].cost - choices[other].cost)


def hull(choices: Sequence[Option]) -> list[int]:
    """Numbers of the options on the lower left convex hull, from the least damaging to the cheapest."""
    order = sorted(range(len(choices)), key=lambda i: (choices[i].damage, choices[i].cost, i))
    found: list[int] = []
    for i in order:
        if found and choices[i].cost >= choices[found[-1]].cost:
            continue
        while len(found) > 1 and _slope(choices, found[-2], found[-1]) >= _slope(choices, found[-1], i):
            found.pop()
        found.append(i)
    return found
