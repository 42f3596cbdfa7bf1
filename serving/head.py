"""What the head of every page has besides Streamlit's: the app's title, and a script of a few lines (`static/head.js`).

Pages that begin with a chart also name the script of charts, so that it arrives and is compiled meanwhile: Streamlit
names it, larger than all others together, only with the first chart, after the page's own scripts have run and the
socket has answered.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CHARTED = ("", "compare")
"""Pages that begin with a chart."""
_TITLE = b"<title>Streamlit</title>"


class PageHead:
    """Adds to the pages, which are all the same HTML.

    Args:
        path: Where the app lives on its host.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path.rstrip("/")
        folder = files("streamlit") / "static" / "static" / "js"
        self._script = next((s.name for s in folder.iterdir() if s.name.startswith("PlotlyChart.")), "")
        self._head = (
            f'<title>Paretoscope</title>\n    <script type="module" src="{self._path}/app/static/head.js"></script>'
        ).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not self._script:
            await self._app(scope, receive, send)
            return
        begun: list[Message] = []
        body = bytearray()

        async def with_head(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                begun.append(message)  # its length is not yet known
            elif begun and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    page = bytes(body).replace(_TITLE, self._head, 1)
                    await send(self._start(begun.pop(), scope["path"], len(page)))
                    await send({"type": "http.response.body", "body": page})
            else:
                await send(message)

        await self._app(_plain(scope), receive, with_head)

    def _start(self, message: Message, path: str, length: int) -> Message:
        headers = MutableHeaders(scope=message)
        headers["content-length"] = str(length)
        for name in ("etag", "last-modified", "accept-ranges"):  # those of Streamlit's page
            del headers[name]
        if path.removeprefix(self._path).strip("/") in _CHARTED:
            headers.append("Link", f"<{self._path}/static/js/{self._script}>; rel=modulepreload; crossorigin")
        return message


def _plain(scope: Scope) -> Scope:
    """The request; one for a page does not take it compressed, as Streamlit answers on all but the first one."""
    if "." in scope["path"].rpartition("/")[2] or "/_stcore" in scope["path"]:
        return scope
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}


def _is_page(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return bool(start["status"] == 200 and kind.startswith("text/html"))
