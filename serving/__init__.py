"""The server around the pages: headers, the visitor's cookie, health, start and end."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from streamlit import config

from serving import health
from serving.cookie import VisitorCookie
from serving.door import Door
from serving.head import PageHead
from serving.headers import SecurityHeaders
from serving.life import life
from serving.scripts import KeptScripts

__all__ = ["base_path", "life", "middleware", "routes"]


def base_path() -> str:
    """Where the app lives on its host: ``/``, or what ``server.baseUrlPath`` says."""
    return f"/{(config.get_option('server.baseUrlPath') or '').strip('/')}"


def middleware() -> list[Middleware]:
    """What every answer passes through."""
    path = base_path()
    inside = (Door, PageHead, VisitorCookie, KeptScripts)
    return [Middleware(SecurityHeaders), *(Middleware(layer, path=path) for layer in inside)]


def routes() -> list[BaseRoute]:
    """What is answered beside the pages."""
    return health.routes(base_path())
