"""A comparison as one HTML file that needs nothing else: charts, tables, data and styles are inside."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from optimizers import registry
from optimizers.figures.bars import bars
from optimizers.figures.theme import CONFIG
from optimizers.figures.tradeoff import tradeoff
from optimizers.history.frames import headline
from optimizers.report.content import Content

_ASSETS = Path(__file__).parent / "assets"


@cache
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _script() -> str:
    """The small bundle of plotly.js (scatter, bar, pie)."""
    return gzip.decompress((_ASSETS / "plotly-basic.min.js.gz").read_bytes()).decode()


def document(told: Content, *, note: str = "", pack: str = "") -> str:
    """The HTML file.

    Args:
        told: What it tells.
        note: Words of whoever makes the report; stands under the title as plain text.
        pack: Name of the pack that the report lies in, to tell how to verify it.
    """
    from markupsafe import Markup

    charts = [_spec(figure) for figure in _figures(told)]
    rows = told.frame.to_json(orient="records", force_ascii=False)
    page: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            told=told,
            note=note,
            pack=pack,
            charts=charts,
            known=registry.metrics(),
            plotly=Markup(_script().replace("</script", "<\\/script")),
            style=Markup((_ASSETS / "report.css").read_text(encoding="utf-8")),
            script=Markup((_ASSETS / "report.js").read_text(encoding="utf-8")),
            data=Markup(_embedded(f'{{"charts": [{", ".join(charts)}], "rows": {rows}}}')),
        )
    )
    return page


def _figures(told: Content) -> list[go.Figure]:
    frame, quality = told.frame, headline(told.frame)
    drawn = []
    if quality and "size_bytes" in frame:
        drawn.append(tradeoff(frame, "size_bytes", quality))
    if quality and "latency_ms" in frame:
        drawn.append(tradeoff(frame, "latency_ms", quality, size="size_bytes"))
    return drawn + [bars(frame, name) for name in told.overview]


def _spec(figure: go.Figure) -> str:
    figure.update_layout(template=None, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    spec: str = figure.to_json()
    return spec


def _embedded(json: str) -> str:
    """JSON that cannot end the element that it stands in, whatever names are in it."""
    return json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def config() -> dict[str, Any]:
    """How charts behave."""
    return {**CONFIG, "responsive": True}
