"""Two addresses for what watches over the app: ``/healthz``, whether it lives, and ``/readyz``, whether it can work."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from optimizers.operation.health import checks
from pages.components.queue import job_queue


def routes(base: str) -> list[BaseRoute]:
    """The addresses, also below the app's base path where it has one (such as ``/tools/paretoscope``)."""
    roots = dict.fromkeys(["", base.rstrip("/")])
    return [
        Route(root + path, answer) for root in roots for path, answer in (("/healthz", lives), ("/readyz", is_ready))
    ]


async def lives(request: Request) -> Response:
    """200 as long as the server answers at all."""
    return PlainTextResponse("ok")


def is_ready(request: Request) -> Response:
    """200 when everything works that the app needs, else 503; the body tells each thing that was tried."""
    try:
        told = [asdict(check) for check in checks(job_queue())]
    except Exception as problem:
        told = [{"name": "engine", "ok": False, "detail": f"{type(problem).__name__}: {problem}"}]
    ready = all(check["ok"] for check in told)
    return JSONResponse({"ready": ready, "checks": told}, 200 if ready else 503)
