"""All rules, in the order in which their findings are told."""

from __future__ import annotations

from optimizers.diagnosis import size, speed, steps
from optimizers.diagnosis.facts import Facts
from optimizers.diagnosis.finding import Finding

RULES = (*steps.RULES[:1], *size.RULES, *speed.RULES, *steps.RULES[1:])


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """What is the case with a file; what is worth a warning first."""
    found = [finding for rule in RULES for finding in rule(facts)]
    found += speed.unexplained(facts, found)
    return tuple(sorted(found, key=lambda finding: finding.tone != "warning"))
