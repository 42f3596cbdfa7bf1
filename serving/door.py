"""What does not come in: files larger than may be uploaded, and questions for Streamlit's own metrics."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from optimizers.settings import Settings

_AROUND = 1 << 20
"""Bytes of a request beside the file that it uploads."""


class _TooLarge(Exception):
    """More has arrived than may be uploaded."""


class Door:
    """Refuses bodies beyond ``upload_mib`` while they arrive: Streamlit would hold all of it in memory first.

    Args:
        path: Where the app lives on its host.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._core = app, f"{path.rstrip('/')}/_stcore"
        self._most_mib = Settings().upload_mib

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].rstrip("/") == f"{self._core}/metrics":
            await PlainTextResponse("Metrics have a port of their own.\n", 404)(scope, receive, send)
        elif scope["path"].startswith(f"{self._core}/upload_file/"):
            await self._upload(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        most, arrived = (self._most_mib << 20) + _AROUND, 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > most:
                raise _TooLarge
            return message

        told = Headers(scope=scope).get("content-length", "")
        try:
            if told.isdecimal() and int(told) > most:
                raise _TooLarge
            await self._app(scope, counted, send)
        except _TooLarge:
            sentence = f"The largest file that may be uploaded has {self._most_mib} MiB.\n"
            await PlainTextResponse(sentence, 413, {"Connection": "close"})(scope, receive, send)
