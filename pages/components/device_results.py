"""Times of one device, and whether its answers are those of this machine."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.devices import browser
from optimizers.figures import format as fmt
from optimizers.figures.names import names
from optimizers.figures.tradeoff import speedup_of
from pages.components.device_choice import HOW
from pages.components.device_timing import last_report
from pages.components.text import code, escaped

_SUSPICIOUS = 0.05
"""Share of the largest output by which an answer may differ before it is told as wrong."""

_APART = "Files were timed in turn with the baseline, in different minutes: the last column says which is faster."


def results(frame: pd.DataFrame, device: str) -> None:
    """A table with the times of that device and the ratio to the baseline, each with its interval.

    The time is the median; for imported logs the mean, the only figure that such a log gives an interval of.
    """
    timed = frame[frame["device"] == device] if device else frame[:0]
    name = "latency_mean_ms" if not timed.empty and timed.iloc[0]["source"] == "import" else "latency_ms"
    if name not in timed or timed[name].isna().all():
        st.caption("Nothing was timed yet.")
        return
    called, metric = dict(zip(frame.index, names(frame, full=True), strict=True)), registry.metric(name)
    head = ["File", metric.title, "Against the baseline"]
    lines = [_line(called[place], row, metric) for place, row in timed.iterrows()]
    st.markdown("\n".join([_row(head), _row([":--"] * len(head)), *lines]))
    source, threads = timed.iloc[0]["source"], int(timed.iloc[0]["threads"] or 0)
    told = [escaped(device), HOW[source], *([f"{threads} thread{'s' if threads > 1 else ''}"] if threads else [])]
    told += [f"at least {fmt.count(timed[f'{name}_n'].min())} timings", "grey: 95% interval"]
    st.caption(f"{' · '.join(told)}. {_APART if len(timed) > 2 and timed['timed_at'].nunique() > 1 else ''}")
    if source == "browser":
        _answers(dict(zip(frame["artifact_digest"], called.values(), strict=True)), device)


def _line(name: str, row: pd.Series, metric: Metric) -> str:
    bounds = fmt.unbroken(fmt.interval(metric, row[f"{metric.name}_low"], row[f"{metric.name}_high"]))
    missing = fmt.missing(row[metric.name])
    time = "–" if missing else f"**{fmt.value(metric, row[metric.name])}** :gray[:small[{bounds}]]"
    ratio = speedup_of(row)
    change = fmt.change(registry.metric("latency_ms"), row.get("latency_ms_change"), ratio)
    slower = change.endswith("slower")  # then the ends tell how many times slower
    ends = [1 / end for end in ratio[::-1]] if ratio and slower else ratio
    within = f" :gray[:small[{fmt.unbroken(f'{ends[0]:.2f} to {ends[1]:.2f}x')}]]" if ends and change else ""
    return _row([code(name), time, "" if row["is_baseline"] else change + within])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _answers(labels: dict[Any, str], device: str) -> None:
    """How far answers on the device are from LiteRT's here, and how coarse its clock is, for what was timed last."""
    report = last_report()
    timed = [t for t in report.timed if t.digest in labels] if report else []
    timed = [t for t in timed if device.endswith(browser.TITLES[t.accelerator])]
    if report is None or not timed:
        return
    wrong = [t for t in timed if t.max_difference > _SUSPICIOUS * max(t.largest, 1e-9)]
    for t in wrong:
        st.warning(
            f"{code(labels[t.digest])} answers differently on this device: an output is off by {t.max_difference:.3g}, "
            f"where the largest is {t.largest:.3g}. Its time may not be worth much.", icon=":material/warning:"
        )  # fmt: skip
    if not wrong:
        most = max(timed, key=lambda t: t.max_difference)
        st.caption(
            "For the same example the answers are those of this app's own runtime: "
            + (f"no output differs by more than {most.max_difference:.2g}." if most.max_difference else "none differs.")
        )
    many = max(t.repeat for t in timed)
    if many > 1:
        st.caption(
            f"This browser's clock moves in steps of {report.tick_ms:.2g} ms. Each time is therefore the mean of "
            f"up to {fmt.count(many)} predictions in a row, and no 90th percentile of single ones can be told."
        )
