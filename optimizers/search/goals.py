"""What trials came to: their figures against the limits, the front, the best so far or the nearest miss.

All figures here are those on validation data. A search looks at the same few examples again and again, so a file that
seems to keep a quality limit may do so by luck, and the more files are tried the more likely. The best is therefore
chosen by a bound of its loss, at a risk that is shared among all files tried, not by the loss that was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from statistics import NormalDist
from typing import Any, Literal

from optimizers import registry
from optimizers.certification import RISK, Budget
from optimizers.errors import InvalidParameter, UnknownName
from optimizers.history.database import History
from optimizers.history.frames import comparison
from optimizers.limits import MOST_LIMITS, Limit, parse, usual
from optimizers.metrics._paired import tango_score
from optimizers.qualifying import Judged, judge_row
from optimizers.records import Target, Task
from optimizers.search.records import Study, Trial
from optimizers.targets.boards import BOARDS, CORE_BYTES, Board

_NORMAL = NormalDist()
_HALVINGS = 40
_ONE_SIDED = _NORMAL.inv_cdf(1 - RISK)

Standing = Literal["keeps all limits", "keeps all limits as far as the examples can tell", "nearest miss"]


_BY_LUCK = (
    "Its figures keep all limits; chosen among all that were tried it may owe that to luck, and the examples are too "
    "few to rule that out"
)


@dataclass(frozen=True)
class Outcome:
    """A finished trial.

    Attributes:
        trial: The trial.
        row: Of its file in the comparison of the study's trials.
        judged: Each limit with its verdict on validation data.
        values: One per objective; None where it was not measured.
        excess: How far the worst quality limit is exceeded by the bound of its loss at the shared risk, see `excess`.
    """

    trial: Trial
    row: Mapping[str, Any]
    judged: Judged
    values: tuple[float | None, ...]
    excess: float

    @property
    def safe(self) -> bool:
        """Whether every quality limit holds also by the bound at the shared risk."""
        return self.excess <= 0

    @property
    def complete(self) -> bool:
        """Whether every objective was measured."""
        return all(value is not None for value in self.values)

    @property
    def digest(self) -> str:
        return str(self.row["artifact_digest"])


@dataclass(frozen=True)
class Best:
    """What a search would hand over now.

    Attributes:
        outcome: The trial.
        standing: How it stands with the limits, on validation data.
        missing: What it lacks, one sentence each; empty if it keeps all limits.
    """

    outcome: Outcome
    standing: Standing
    missing: tuple[str, ...] = ()


def board_named(text: str) -> Board:
    """The board of that name, or of the only name that holds the text. Raises `UnknownName`."""
    found = [b for b in BOARDS if b.name.lower() == text.strip().lower()]
    found = found or [b for b in BOARDS if text.strip().lower() in b.name.lower()]
    if len(found) > 1:
        raise UnknownName(f"{text!r} may be any of these boards: {', '.join(b.name for b in found)}; name one of them.")
    if not found:
        raise UnknownName(f"There is no board {text!r}; there are: {', '.join(b.name for b in BOARDS)}.")
    return found[0]


def limits_of(study: Study) -> tuple[Limit, ...]:
    """All limits of a search; fitting a board is a limit of its flash and one of its memory."""
    found = list(parse(study.limits, quality=_quality_of(study.objectives)))
    if study.board:
        board = board_named(study.board)
        found += [
            Limit("size_bytes", "value", "most", float(board.flash - CORE_BYTES)),
            Limit("arena_bytes", "value", "most", float(board.ram)),
        ]
    return tuple(dict.fromkeys(found))


def _quality_of(objectives: Sequence[str]) -> str:
    known = registry.metrics()
    return next((name for name in objectives if known[name].needs == "predictions"), "")


def check_goals(objectives: Sequence[str], limits: Sequence[Limit], task: Task, targets: Sequence[Target] = ()) -> None:
    """Raises `InvalidParameter` unless these can be searched for on data of this task, or with these outputs."""
    known = [metric.name for metric in registry.fitting(task, targets)]
    if not 1 <= len(objectives) <= 4:
        raise InvalidParameter(f"A search has from 1 to 4 objectives, got {len(objectives)}.")
    if len(set(objectives)) < len(objectives):
        raise InvalidParameter("Each objective can be named once.")
    for name in (*objectives, *(limit.metric for limit in limits)):
        if name not in known:
            title, fitting = registry.metric(name).title, ", ".join(known)
            raise InvalidParameter(f"{title} makes no sense for {task}; for these data there are: {fitting}.")


def usual_objectives(task: Task) -> tuple[str, ...]:
    """Size after compression, and what leads the task's quality."""
    known = registry.metrics()
    quality = next(n for n, m in known.items() if m.needs == "predictions" and task in m.tasks)
    return ("size_bytes", quality)


def usual_limits(task: Task, targets: Sequence[Target] = ()) -> str:
    """At most one point less in what leads the quality, or 5% more of an error; of every output with labels."""
    leading = [(f"{one.name}/", one.task) for one in targets] or [("", task)]
    found = []
    for output, own in leading:
        metric = next(m for m in registry.metrics().values() if m.needs == "predictions" and own in m.tasks)
        if metric.change is not None:
            found.append(usual(f"{output}{metric.name}"))
    return ", ".join(found[:MOST_LIMITS])


def needs_timing(study: Study) -> bool:
    """Whether an objective or a limit can only be judged by timing files."""
    known = registry.metrics()
    return any(known[n].needs == "timing" for n in (*study.objectives, *(x.metric for x in limits_of(study))))


def outcomes(history: History, study: Study, trials: Sequence[Trial]) -> list[Outcome]:
    """Finished trials with their figures, in order."""
    done = [trial for trial in trials if trial.state == "done" and trial.run_id]
    frame = comparison(history, [trial.run_id for trial in done], part="validation")
    if frame.empty:
        return []
    rows: dict[str, dict[str, Any]] = {r["run_id"]: r for r in frame.to_dict("records")}  # type: ignore[misc]
    baseline = next(row for row in rows.values() if row["is_baseline"])
    by_file = {row["artifact_digest"]: row for row in rows.values()}
    runs = {run.id: run for run in history.runs([trial.run_id for trial in done])}
    limits, found = limits_of(study), []
    files = len({r["artifact_digest"] for r in rows.values()} - {baseline["artifact_digest"]})
    for trial in done:
        run = runs.get(trial.run_id)
        row = rows.get(trial.run_id) or (by_file.get(run.artifact_digest) if run else None)
        if row is None:
            continue
        own = {**row, "variant": trial.recipe, "run_id": trial.run_id}
        judged = judge_row(own, limits, baseline)
        values = tuple(value_of(name, own, baseline) for name in study.objectives)
        over = max((excess(limit, own, max(1, files)) for limit in limits if _compares_quality(limit)), default=0.0)
        found.append(Outcome(trial, own, judged, values, over))
    return found


def value_of(metric: str, row: Mapping[str, Any], baseline: Mapping[str, Any]) -> float | None:
    """An objective's figure. Latencies are the baseline's over the ratio that was measured in turn, so that it does not
    matter how fast the machine was at that moment."""
    if metric == "latency_ms":
        base, ratio = _number(baseline.get(metric)), _number(row.get("speedup"))
        own = _number(row.get(metric))
        if row["artifact_digest"] == baseline["artifact_digest"]:
            return base
        return base / ratio if base is not None and ratio and own is not None else None
    if metric == "speedup" and row["artifact_digest"] == baseline["artifact_digest"]:
        return 1.0
    return _number(row.get(metric))


def _compares_quality(limit: Limit) -> bool:
    """Whether a limit says how much of a quality may be lost; what may be gained at most is judged as it is."""
    worse = "least" if limit.declared.direction == "higher" else "most"
    return limit.kind != "value" and limit.declared.needs == "predictions" and limit.side == worse


def excess(limit: Limit, row: Mapping[str, Any], files: int) -> float:
    """By how much a limit on a quality compared with the baseline is exceeded by the bound of the loss, in the metric's
    unit, at a risk of 5% over all files tried; 0 or less where it holds, infinite where nothing was measured.

    No bound can be below that of a file that loses and gains no answer. Where even that one does not prove the limit,
    because there are few examples, files that do no worse are let through.
    """
    change = _number(row.get(f"{limit.metric}_change"))
    if row["is_baseline"]:
        return 0.0
    if change is None:
        return inf
    allowed = _allowed(limit, row, change)
    falls = limit.side == "least"
    z = _NORMAL.inv_cdf(1 - RISK / files)
    n = int(row.get(f"{limit.metric}_n") or 0)
    lost, gained = _number(row.get(f"{limit.metric}_lost")), _number(row.get(f"{limit.metric}_gained"))
    if lost is not None and gained is not None and n:
        drop = _tango_upper(int(lost), int(gained), n, z)
        return drop - max(allowed, _tango_upper(0, 0, n, z))
    bound = _number(row.get(f"{limit.metric}_change_{'floor' if falls else 'ceiling'}"))
    if bound is None:
        return inf
    sign = -1.0 if falls else 1.0
    if sign * bound <= 0:  # surely no worse than the baseline
        return min(0.0, sign * bound - allowed)
    return sign * (change + (bound - change) * z / _ONE_SIDED) - max(allowed, 0.0)


def _allowed(limit: Limit, row: Mapping[str, Any], change: float) -> float:
    """How much worse is allowed, in the metric's unit."""
    sign = -1.0 if limit.side == "least" else 1.0
    if limit.kind == "difference":
        return sign * limit.bound
    base = float(row[limit.metric]) - change
    return sign * (limit.bound - 1.0) * base


@lru_cache(maxsize=4096)
def _tango_upper(lost: int, gained: int, n: int, z: float) -> float:
    """Upper bound of the drop, in shares of examples: the largest that is less than ``z`` errors from the one found."""
    low, high = (lost - gained) / n, 1 - 1e-12
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if tango_score(lost, gained, n, -middle, correction=0.5) > z else (middle, high)
    return high


def violations(outcome: Outcome) -> dict[str, float]:
    """By limit how far the figure found is on the wrong side, above 0 where it is; 1 is ten points or a factor e."""
    found = {}
    for verdict in outcome.judged.verdicts:
        limit, margin = verdict.limit, verdict.margin
        if margin is None:
            found[limit.text] = 1.0
            continue
        unit = 0.1 if limit.declared.unit == "fraction" and limit.kind != "ratio" else max(abs(limit.bound), 1e-12)
        found[limit.text] = -margin / unit
    return found


def promising(outcome: Outcome) -> bool:
    """Whether a file keeps its limits as far as figures go, whatever their uncertainty."""
    return all(v <= 0 for v in violations(outcome).values())


def front(study: Study, found: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes that no other one beats in all objectives, best in the first objective first; each file once."""
    signed = {id(o): key for o in found if (key := ordered(study, o)) is not None}
    kept: dict[str, Outcome] = {}
    for one in found:
        own = signed.get(id(one))
        if own is None or one.digest in kept:
            continue
        others = (signed[id(o)] for o in found if id(o) in signed)
        if not any(all(a <= b for a, b in zip(other, own, strict=True)) and other != own for other in others):
            kept[one.digest] = one
    return sorted(kept.values(), key=lambda o: signed[id(o)])


def ordered(study: Study, outcome: Outcome) -> tuple[float, ...] | None:
    """The objectives so that less is better; None where one was not measured."""
    known = registry.metrics()
    signs = [1.0 if known[name].direction == "lower" else -1.0 for name in study.objectives]
    if not outcome.complete:
        return None
    return tuple(s * float(v) for s, v in zip(signs, outcome.values, strict=True) if v is not None)


def best(study: Study, found: Sequence[Outcome]) -> Best | None:
    """The best so far: of those that keep all limits the best in the first objective, else the nearest miss.

    Equals are told apart by the next objectives. Where no quality limit holds by the bound at the shared risk, the file
    whose figures keep all limits and whose bound exceeds them least comes before a miss. None before anything was
    measured.
    """
    whole = [o for o in found if o.complete]
    safe = [o for o in whole if o.safe and _exact_limits_kept(o)]
    if safe:
        chosen = min(safe, key=lambda o: (ordered(study, o), o.trial.number))
        proven = chosen.judged.qualifies
        standing: Standing = "keeps all limits" if proven else "keeps all limits as far as the examples can tell"
        return Best(chosen, standing, () if proven else tuple(v.sentence for v in chosen.judged.missing))
    likely = [o for o in whole if promising(o) and _exact_limits_kept(o)]
    if likely:
        chosen = min(likely, key=lambda o: (o.excess, ordered(study, o), o.trial.number))
        words = tuple(v.sentence for v in chosen.judged.missing) or (_BY_LUCK,)
        return Best(chosen, "keeps all limits as far as the examples can tell", words)
    candidates = whole or list(found)
    if not candidates:
        return None
    nearest = min(candidates, key=lambda o: (_shortfall(o), ordered(study, o) or (inf,), o.trial.number))
    return Best(nearest, "nearest miss", tuple(v.sentence for v in nearest.judged.missing))


def _exact_limits_kept(outcome: Outcome) -> bool:
    return all(v.state == "met" for v in outcome.judged.verdicts if not _compares_quality(v.limit))


def _shortfall(outcome: Outcome) -> float:
    told = sum(max(0.0, v) for v in violations(outcome).values())
    return told + sum(v.shortfall for v in outcome.judged.verdicts if isfinite(v.shortfall)) / 100


def budgets(study: Study) -> list[Budget]:
    """Limits that can be certified on test data, as budgets."""
    found = []
    for limit in limits_of(study):
        metric = limit.declared
        if not _compares_quality(limit) or not metric.certifiable or metric.change is None:
            continue
        worse = limit.bound < 0 if limit.side == "least" else limit.bound > (1.0 if limit.kind == "ratio" else 0.0)
        if not worse:
            continue
        amount = 100 * abs(limit.bound) if limit.kind == "difference" else 100 * abs(limit.bound - 1.0)
        if (limit.kind == "ratio") == Budget(limit.metric, 1.0).relative and amount <= 100:
            found.append(Budget(limit.metric, round(amount, 10)))
    return found


def _number(value: Any) -> float | None:
    return None if value is None or not isfinite(value) else float(value)
