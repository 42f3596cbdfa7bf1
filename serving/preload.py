"""Tells browsers early which scripts a page will need.

Streamlit names a chart's script only with the first chart: after the page's own scripts have run and the socket has
answered. Told with the page itself it arrives and is compiled meanwhile.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CHARTED = ("", "compare")
"""Pages that begin with a chart."""


class ChartPreload:
    """Adds a ``Link`` to the script of charts to the pages that begin with one.

    Args:
        path: Where the app lives on its host.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path.rstrip("/")
        folder = files("streamlit") / "static" / "static" / "js"
        named = [script.name for script in folder.iterdir() if script.name.startswith("PlotlyChart.")]
        self._link = ", ".join(f"<{self._path}/static/js/{name}>; rel=modulepreload; crossorigin" for name in named)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["path"].removeprefix(self._path).strip("/") in _CHARTED
        if not (asked and self._link):
            await self._app(scope, receive, send)
            return

        async def with_link(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Link", self._link)
            await send(message)

        await self._app(scope, receive, with_link)
