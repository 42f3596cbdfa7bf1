"""A small OpenID Connect provider: whoever says who they are is believed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = {"client_id": "paretoscope", "client_secret": "a secret of this test only"}
USERS = ("anna", "bert")


class Provider:
    """Answers at ``root``; the last one who was told apart is in a token signed with a key of its own."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.key = RSAKey.generate_key(2048, parameters={"kid": "1"})
        self.granted: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/authorize", self.authorize),
                Route("/grant", self.grant),
                Route("/token", self.token, methods=["POST"]),
                Route("/keys", self.keys),
            ]
        )

    def configuration(self, request: Request) -> Response:
        told = {"issuer": self.root, "authorization_endpoint": f"{self.root}/authorize",
                "token_endpoint": f"{self.root}/token", "jwks_uri": f"{self.root}/keys",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"]}  # fmt: skip
        return JSONResponse(told)

    def authorize(self, request: Request) -> Response:
        links = (f'<a href="/grant?{urlencode({**request.query_params, "user": name})}">{name}</a>' for name in USERS)
        return HTMLResponse(" ".join(links))

    def grant(self, request: Request) -> Response:
        asked, code = dict(request.query_params), secrets.token_urlsafe()
        self.granted[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: Request) -> Response:
        asked = self.granted.pop(str((await request.form())["code"]))
        claims = {"iss": self.root, "aud": CLIENT["client_id"], "sub": f"subject of {asked['user']}",
                  "email": f"{asked['user']}@example.org", "nonce": asked.get("nonce"), "iat": int(time.time()),
                  "exp": int(time.time()) + 600}  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return JSONResponse({"access_token": "none", "token_type": "Bearer", "expires_in": 600, "id_token": signed})

    def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})


@contextmanager
def provider(port: int) -> Iterator[Provider]:
    """A running one."""
    made = Provider(port)
    server = uvicorn.Server(uvicorn.Config(made.app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join(10)
