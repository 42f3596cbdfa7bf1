"""Headers of every answer: what pages may load, and from where. Nothing but this server is asked for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@cache
def policy() -> str:
    """The Content-Security-Policy.

    ``blob:`` scripts are components, which arrive over Streamlit's socket, and ``wasm-unsafe-eval`` is for LiteRT.js.
    Streamlit's styles are inline; the script inside its ``index.html`` is allowed by its hash. No other text is run as
    a script, which plotly.js needs for its ``parcoords`` only; charts in three dimensions do without.
    """
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(("'self' 'wasm-unsafe-eval' blob:", *_hashes())),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "frame-src": "'self'",
        "frame-ancestors": "'self'",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hashes() -> list[str]:
    page = (files("streamlit") / "static" / "index.html").read_text(encoding="utf-8")
    digests = [hashlib.sha256(script.encode()).digest() for script in _INLINE.findall(page)]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def _secure(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The header; a cookie does not travel in the clear. Streamlit leaves that out where something else ends TLS."""
    attributes = [part.strip().lower() for part in value.split(b";")[1:]]
    plain = name.lower() == b"set-cookie" and b"secure" not in attributes
    return name, value + b"; Secure" if plain else value


class SecurityHeaders:
    """Adds the headers to all that is answered over HTTP, unless something inside has set them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": policy(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope.get("scheme") == "https":
                    message["headers"] = [_secure(name, value) for name, value in message["headers"]]
            await send(message)

        await self._app(scope, receive, with_headers)
