"""Whether a file stays within a budget: at most so much worse than the baseline, proven on untouched test data.

**Certified** means that a drop larger than the budget is ruled out at 5% risk, **failed** that a drop within it is, and
**not proven** that the test part is too small to tell. This is a non-inferiority test: that no difference was found is
never taken as proof that there is none.

Sources: Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the paired-sample
design", for shares; for other figures the paired one-sided bounds of `optimizers.metrics._paired`; for the number of
examples Nam (1997), "Establishing equivalence of two treatments and sample size requirements in matched-pairs design";
for several files Holm (1979), "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10, sqrt
from statistics import NormalDist

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.errors import InvalidParameter
from optimizers.metrics._paired import tango_score
from optimizers.records import Difference, VerdictState

RISK = 0.05
POWER = 0.80
DEFAULT_POINTS, DEFAULT_PERCENT = 1.0, 5.0
_NORMAL = NormalDist()
_FIRST_CHOICE = ("accuracy", "mae", "reconstruction_error")


@dataclass(frozen=True)
class Budget:
    """How much worse is allowed.

    ``amount`` is in points of a fraction (1 point is 0.01), or in percent of the baseline's own figure where a metric
    is an error in some unit (`relative`).
    """

    metric: str
    amount: float

    def __post_init__(self) -> None:
        if not (isfinite(self.amount) and 0 < self.amount <= 100):
            raise InvalidParameter(f"A budget must be above 0 and at most 100, got {self.amount:g}.")

    @property
    def relative(self) -> bool:
        return relative(registry.metric(self.metric))

    @property
    def words(self) -> str:
        """Like ``1 point of accuracy`` or ``5% of the baseline's mean absolute error``."""
        title = registry.metric(self.metric).title
        title = title if title[:2].isupper() else title[0].lower() + title[1:]
        if self.relative:
            return f"{self.amount:g}% of the baseline's {title}"
        return f"{self.amount:g} point{'' if self.amount == 1 else 's'} of {title}"

    def of(self, baseline: float) -> float:
        """In the metric's own unit, given the baseline's figure."""
        return self.amount / 100 * (abs(baseline) if self.relative else 1.0)


@dataclass(frozen=True)
class Decision:
    """What the test data say about one file and one budget.

    Attributes:
        state: The verdict.
        drop: How much worse the file was, in the metric's unit; below 0 where it was better.
        lower, upper: One-sided 95% bounds of the true drop.
        allowed: The budget in the metric's unit.
        n: Test examples.
        p: Chance of results as good as these if the true drop were exactly the budget.
        needed: Test examples with which a drop like the one found would be proven to be within the budget in four cases
            of five; None where it is proven, or where no number would do because the drop found is no smaller.
    """

    state: VerdictState
    drop: float
    lower: float
    upper: float
    allowed: float
    n: int
    p: float
    needed: int | None


def relative(metric: Metric) -> bool:
    """Whether a metric's budget is a percentage of the baseline's figure rather than points."""
    return metric.unit != "fraction"


def choices(names: Iterable[str]) -> list[str]:
    """Metrics of those named that a budget can be certified for, the usual one first."""
    known = registry.metrics()
    found = [name for name in names if name in known and known[name].change and known[name].certifiable]
    return sorted(found, key=lambda name: (name not in _FIRST_CHOICE, known[name].rank))


def usual(metric: str) -> Budget:
    """The budget that is taken unless somebody says another: 1 point, or 5% of the baseline's error."""
    return Budget(metric, DEFAULT_PERCENT if relative(registry.metric(metric)) else DEFAULT_POINTS)


def decide(difference: Difference, budget: Budget) -> Decision:
    """The verdict on one file."""
    falls = registry.metric(difference.metric).direction == "higher"
    drop = -difference.value if falls else difference.value
    lower, upper = (-difference.ceiling, -difference.floor) if falls else (difference.floor, difference.ceiling)
    allowed = budget.of(difference.baseline)
    deviation = max(0.0, upper - drop) / _NORMAL.inv_cdf(1 - RISK)
    if difference.lost is not None and difference.gained is not None:
        score = tango_score(difference.lost, difference.gained, difference.n, -allowed, correction=0.5)
        p = _NORMAL.cdf(-score)
    else:
        p = _NORMAL.cdf((drop - allowed) / deviation) if deviation else float(drop >= allowed)
    state: VerdictState = "certified" if upper < allowed else "failed" if lower > allowed else "not proven"
    needed = None
    if state == "not proven" and drop < allowed:
        if difference.lost is not None and difference.gained is not None:
            needed = _needed_for_share(difference.lost, difference.gained, difference.n, allowed)
        else:
            both = _NORMAL.inv_cdf(1 - RISK) + _NORMAL.inv_cdf(POWER)
            needed = ceil(difference.n * (both * deviation / (allowed - drop)) ** 2)
    return Decision(state, drop, lower, upper, allowed, difference.n, p, needed)


def _needed_for_share(lost: float, gained: float, n: int, allowed: float) -> int | None:
    """Examples with which shares like these are proven to be within a budget with `POWER`, by Nam's formula.

    Half an example is added to those lost and those gained: that none was found is no proof that there are none. None
    where more than a hundred million would be needed.
    """
    lost, gained, risk, power = lost + 0.5, gained + 0.5, _NORMAL.inv_cdf(1 - RISK), _NORMAL.inv_cdf(POWER)

    def enough(count: int) -> bool:
        a, b = lost * count / n, gained * count / n
        score, distance = tango_score(a, b, count, -allowed, correction=0.5), b - a + count * allowed - 0.5
        if score <= 0:
            return False
        return score >= risk + power * sqrt(a + b - (b - a) ** 2 / count) * score / distance

    high = n
    while not enough(high):
        high *= 2
        if high > 100_000_000:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def holm(decisions: Sequence[Decision], risk: float = RISK) -> list[bool]:
    """Which of several files are certified such that the risk of even one wrong certificate is at most ``risk``."""
    proven, order = [False] * len(decisions), sorted(range(len(decisions)), key=lambda i: decisions[i].p)
    for place, index in enumerate(order):
        if decisions[index].p > risk / (len(decisions) - place):
            break
        proven[index] = True
    return proven


def sentence(decision: Decision, budget: Budget) -> str:
    """The verdict in one sentence, with the figures that it rests on."""
    metric = registry.metric(budget.metric)
    shown = _points if not budget.relative else _in_unit(metric.unit)
    upper, lower = shown(decision.upper, ceil), shown(decision.lower, floor)
    loss = "drop" if metric.direction == "higher" else "increase"
    if decision.state == "certified" and decision.upper <= 0:
        return f"At most {budget.words} worse, and not worse at all: any true {loss} is ruled out at 5% risk."
    if decision.state == "certified":
        return f"At most {budget.words} worse: a true {loss} of {upper} or more is ruled out at 5% risk."
    if decision.state == "failed":
        return f"Worse by more than {budget.words}: the true {loss} is at least {lower}, at 5% risk."
    start = f"The true {loss} may be as large as {upper}, so {budget.words} is not proven"
    if decision.needed is None:
        return (
            f"{start}; it was {shown(decision.drop, round)} here, and if that is true no number of examples proves it."
        )
    return f"{start} with {decision.n:,} test examples; about {decision.needed:,} would be needed."


def decided(differences: Mapping[str, Difference], amount: float | None, metric: str = "") -> tuple[Budget, Decision]:
    """Budget and verdict from the paired differences of one file.

    Args:
        differences: By metric.
        amount: Points or percent; the usual budget of the metric if None.
        metric: Which one; the usual one of the task unless named.

    Raises:
        InvalidParameter: There is no such difference, or the amount is no budget.
    """
    possible = choices(differences)
    if not possible or (metric and metric not in possible):
        what = f"for {metric!r}; there are: {', '.join(possible) or 'none'}" if metric else "for this file"
        reason = "" if possible else " It takes at least two test examples with labels."
        raise InvalidParameter(f"A budget cannot be judged {what}.{reason}")
    name = metric or possible[0]
    budget = usual(name) if amount is None else Budget(name, amount)
    return budget, decide(differences[name], budget)


_Rounding = Callable[[float], float]
"""`ceil` or `floor` for bounds, so that what is told of them is true of the figure that is told, else `round`."""


def _points(value: float, rounding: _Rounding) -> str:
    return f"{rounding(round(value * 1e4, 6)) / 100:.2f} points"


def _in_unit(unit: str) -> Callable[[float, _Rounding], str]:
    def told(value: float, rounding: _Rounding) -> str:
        steps = 10.0 ** (2 - floor(log10(abs(value)))) if value else 1.0
        return f"{rounding(round(value * steps, 6)) / steps:.3g} {unit}"

    return told
