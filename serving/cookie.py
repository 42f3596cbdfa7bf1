"""The visitor's cookie: a secret token per browser, so that a reload or a restart loses nothing.

It goes out with the page, is kept from scripts, and comes back with the socket, where `pages.components.session` reads
it. ``Lax``, not ``Strict``: a strict cookie is not shown to the server when somebody follows a link from elsewhere, who
would then get a new one in place of their own.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from optimizers import sessions

_YEAR = 365 * 24 * 3600


class VisitorCookie:
    """Gives a token to every browser that opens a page without one.

    Args:
        app: What answers.
        path: Where the app lives on its host: ``/``, or its base path.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._wants_one(Request(scope)):
            await self._app(scope, receive, send)
            return
        cookie = f"{sessions.COOKIE}={sessions.new_token()}; Path={self._path}; Max-Age={_YEAR}; HttpOnly; SameSite=Lax"

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", cookie)
                headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_cookie)

    def _wants_one(self, request: Request) -> bool:
        """Whether this is a page that is opened, not a file that it loads."""
        opened = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        return opened and not sessions.is_token(request.cookies.get(sessions.COOKIE))
