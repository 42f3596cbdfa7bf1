"""The answers of a race as cards: who answers what, how sure, how fast, and who differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.live.race import Answer, Outcome
from pages.components.text import escaped

_LONG = 6


@dataclass(frozen=True)
class Lane:
    """Who answers: its name, its family (for the colour), its size in bytes, and whether it is the baseline."""

    label: str
    family: str
    size_bytes: int
    is_baseline: bool


def board(lanes: Sequence[Lane], outcome: Outcome) -> None:
    """The verdict in large words, and a card for each file."""
    reference = _first(lanes, outcome)
    slowest = max((a.ms for a in outcome.answers if a.ms is not None), default=0.0)
    cards = [
        _card(lane, answer, reference, outcome, slowest) for lane, answer in zip(lanes, outcome.answers, strict=True)
    ]
    words = verdict(lanes, outcome)
    st.html(
        f'<section class="race" aria-label="Answers"><p class="race-verdict" role="status">{escape(words)}</p>'
        f'<div class="race-cards">{"".join(cards)}</div></section>'
    )
    runs = [answer.n for answer in outcome.answers if answer.n]
    if runs:
        st.caption(
            f"Times are medians of {fmt.count(min(runs))} runs of this very example, all files in turn, just now and "
            "beside whatever else this machine does. Compare tells speed-ups with their intervals."
        )


def example(outcome: Outcome) -> None:
    """The example as the files saw it."""
    if outcome.picture:
        shown = _picture(outcome.picture, "The example as the files see it")
        if outcome.truth_picture:
            shown += " " + _picture(outcome.truth_picture, "The true class of every pixel")
        st.html(shown)
    if outcome.picture or outcome.cells:
        st.caption("As the files see it" + (f"; the truth is **{escaped(outcome.truth)}**." if outcome.truth else "."))
    if outcome.cells:
        st.markdown("\n".join(f"- {escaped(str(k))}: **{escaped(_cell(v))}**" for k, v in outcome.cells.items()))


def _picture(address: str, what: str) -> str:
    style = "width:min(100%,11rem);image-rendering:pixelated;border-radius:.4rem"
    return f'<img src="{escape(address)}" alt="{what}" style="{style}">'


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def verdict(lanes: Sequence[Lane], outcome: Outcome) -> str:
    """Who agrees, in one sentence."""
    told = [a for a in outcome.answers if not a.problem]
    if not told:
        return "No file could answer"
    values = [a.value for a in told if a.value is not None]
    if values:
        low, high = (min(told, key=lambda a: a.value or 0.0), max(told, key=lambda a: a.value or 0.0))
        return f"All answer {low.text}" if low.text == high.text else f"Answers from {low.text} to {high.text}"
    if any(a.said for a in told):
        return _verdict_on_outputs(lanes, outcome)
    if not any(a.decides for a in told):
        return f"{len(told)} answers"
    reference = _reference(lanes, outcome)
    differing = [a for a in told if a.text != reference]
    if not differing:
        both = "Both" if len(told) == 2 else f"All {len(told)}"
        return f"It is {reference}" if len(told) == 1 else f"{both} answer {reference}"
    noun = "file differs" if len(differing) == 1 else "files differ"
    return f"{len(differing)} of {len(told)} {noun} from {_called(lanes, outcome)}, which answers {reference}"


def _verdict_on_outputs(lanes: Sequence[Lane], outcome: Outcome) -> str:
    """Who agrees in what several outputs decide, in one sentence."""
    told = [a for a in outcome.answers if not a.problem]
    reference = _first(lanes, outcome)
    decided = [one.output for one in reference.said if one.decides] if reference is not None else []
    if not decided or len(told) == 1:
        return f"{len(told)} answer{'' if len(told) == 1 else 's'}"
    differing = {name for a in told for name in _differing(a, reference)}
    if not differing:
        return f"All {len(told)} agree on {' and '.join(decided)}" if len(told) > 2 else (
            f"Both agree on {' and '.join(decided)}")  # fmt: skip
    count = sum(bool(_differing(a, reference)) for a in told)
    noun = "file differs" if count == 1 else "files differ"
    where = " and ".join(name for name in decided if name in differing)
    return f"{count} of {len(told)} {noun} from {_called(lanes, outcome)} in {where}"


def _differing(answer: Answer, reference: Answer | None) -> list[str]:
    """Outputs that decide otherwise than those of the reference."""
    others = {one.output: one.text for one in reference.said} if reference is not None else {}
    return [one.output for one in answer.said if one.decides and one.text != others.get(one.output, one.text)]


def _reference(lanes: Sequence[Lane], outcome: Outcome) -> str:
    """The text that others are held against."""
    first = _first(lanes, outcome)
    return first.text if first is not None else ""


def _first(lanes: Sequence[Lane], outcome: Outcome) -> Answer | None:
    """The answer that others are held against: the baseline's, or the first one."""
    answered = [(lane, a) for lane, a in zip(lanes, outcome.answers, strict=True) if not a.problem]
    return next((a for lane, a in answered if lane.is_baseline), answered[0][1] if answered else None)


def _called(lanes: Sequence[Lane], outcome: Outcome) -> str:
    answered = [lane for lane, a in zip(lanes, outcome.answers, strict=True) if not a.problem]
    return "the baseline" if any(lane.is_baseline for lane in answered) else answered[0].label


def _card(lane: Lane, answer: Answer, reference: Answer | None, outcome: Outcome, slowest: float) -> str:
    look = theme.look("baseline" if lane.is_baseline else lane.family)
    text = reference.text if reference is not None else ""
    differs = bool(_differing(answer, reference)) or (answer.decides and not answer.problem and answer.text != text)
    head = f'<article class="race-card{" differs" if differs else ""}" style="--family:{look.colour}">'
    parts = [head, f"<h3>{_breakable(lane.label)}<small>{fmt.size(lane.size_bytes)}</small></h3>"]
    if answer.problem:
        return "".join([*parts, f'<p class="race-problem">{escape(answer.problem)}</p></article>'])
    if answer.said:
        parts.append(_said(answer, outcome))
    else:
        long = " long" if len(answer.text) > _LONG else ""
        mark = _mark(answer.text, outcome.truth) if answer.decides else ""
        parts.append(f'<p class="race-answer{long}">{escape(answer.text)}{mark}</p>')
    if answer.picture:
        parts.append(_picture(answer.picture, "The class of every pixel"))
    if answer.sure is not None:
        parts.append(f'<p class="race-sure">{_percent(answer.sure)} sure</p>')
    if answer.top:
        shares = "".join(
            f'<span>{escape(s.name)}</span>{_bar(s.probability)}<span class="share">{_percent(s.probability)}</span>'
            for s in answer.top
        )
        parts.append(f'<div class="race-shares">{shares}</div>')
    if differs:
        parts.append('<p class="race-badge">Differs</p>')
    if answer.ms is not None:
        share = answer.ms / slowest if slowest else 0.0
        parts.append(f'<p class="race-time">{fmt.milliseconds(answer.ms)}</p>{_bar(share)}')
    return "".join([*parts, "</article>"])


def _said(answer: Answer, outcome: Outcome) -> str:
    """What several outputs say, one below the other."""
    lines = []
    for one in answer.said:
        mark = _mark(one.text, outcome.truths.get(one.output, "")) if one.decides else ""
        sure = f" <small>{_percent(one.sure)} sure</small>" if one.sure is not None else ""
        lines.append(f"<dt>{escape(one.output)}</dt><dd>{escape(one.text)}{mark}{sure}</dd>")
    return f'<dl class="race-said">{"".join(lines)}</dl>'


def _mark(text: str, truth: str) -> str:
    """Whether a decision is right, where the truth is known."""
    if not truth:
        return ""
    word, sign = ("right", "✓") if text == truth else ("wrong", "✗")
    return f' <span role="img" aria-label="{word}">{sign}</span>'


def _breakable(name: str) -> str:
    """A name that may go on in the next line where its parts end."""
    return re.sub(r"([+_])", r"\1<wbr>", escape(name))


def _bar(share: float) -> str:
    return f'<div class="race-bar"><i style="width:{min(1.0, max(0.0, share)):.1%}"></i></div>'


def _percent(probability: float) -> str:
    """One decimal, and neither 0 nor 100 for what is only close to it."""
    if 0 < probability < 0.0005:
        return "&lt;0.1%"
    return "&gt;99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"
