"""The provider's endpoints (OpenID Connect Core 1.0, Discovery 1.0; RFC 6749, RFC 7636)."""

import base64
import hashlib
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.issuer.login import login_page
from tests.issuer.signing import SigningKey, generate

CODE_S, TOKEN_S = 60, 3600
OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})


@dataclass(frozen=True)
class Grant:
    """What an authorization code stands for."""

    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    scope: str
    user: str
    roles: tuple[str, ...]
    expires: float


class Provider:
    """One issuer: its keys, its codes, and switches for tests."""

    def __init__(self, issuer: str, audience: str, automatic: str | None = None):
        self.issuer = issuer
        self.audience = audience
        self.automatic = automatic
        self.keys: list[SigningKey] = [generate()]
        self.codes: dict[str, Grant] = {}
        self.fetches: Counter[str] = Counter()
        self.is_down = False
        self.announced = issuer

    def token(self, claims: dict[str, Any]) -> str:
        """An access token; `claims` replace the usual ones, None removes one."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "ada",
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_S,
        }
        merged = {**usual, **claims}
        present = {name: value for name, value in merged.items() if value is not None}
        return self.keys[-1].sign(present)

    async def discovery(self, _request: Request) -> Response:
        """The issuer's metadata."""
        self.fetches["discovery"] += 1
        if self.is_down:
            return Response(status_code=503)
        return JSONResponse(
            {
                "issuer": self.announced,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }
        )

    async def jwks(self, _request: Request) -> Response:
        """The public keys."""
        self.fetches["jwks"] += 1
        if self.is_down:
            return Response(status_code=503)
        return JSONResponse({"keys": [key.public() for key in self.keys]})

    async def authorize(self, request: Request) -> Response:
        """Shows the login page, or signs in at once where nobody is to be asked."""
        asked = dict(request.query_params)
        if request.method == "POST":
            asked = {name: str(value) for name, value in (await request.form()).items()}
        if not _is_loopback(asked.get("redirect_uri", "")):
            return _refusal("invalid_request", "redirect_uri is not on loopback")
        if asked.get("response_type") != "code" or not asked.get("client_id"):
            return _back(asked, error="unsupported_response_type")
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            return _back(asked, error="invalid_request", error_description="PKCE S256 is needed")
        if request.method == "GET" and self.automatic is None:
            return HTMLResponse(login_page(asked))
        return _back(asked, code=self._grant(asked))

    async def issue(self, request: Request) -> Response:
        """Exchanges a code, once, for tokens."""
        asked = {name: str(value) for name, value in (await request.form()).items()}
        if asked.get("grant_type") != "authorization_code":
            return _refusal("unsupported_grant_type", "authorization_code alone")
        grant = self.codes.pop(asked.get("code", ""), None)
        if grant is None or grant.expires < time.time():
            return _refusal("invalid_grant", "the code is unknown or too old")
        if (asked.get("client_id"), asked.get("redirect_uri")) != (
            grant.client_id,
            grant.redirect_uri,
        ):
            return _refusal("invalid_grant", "the code belongs to another client")
        if challenge_of(asked.get("code_verifier", "")) != grant.challenge:
            return _refusal("invalid_grant", "the verifier does not match")
        return self._tokens(grant)

    async def rotate(self, request: Request) -> Response:
        """For tests: signs with a new key; `keep=0` drops the old ones from the JWKS."""
        new = generate(request.query_params.get("algorithm", "RS256"))
        kept = self.keys if request.query_params.get("keep", "1") == "1" else []
        self.keys = [*kept, new]
        return JSONResponse({"kid": new.kid})

    async def mint(self, request: Request) -> Response:
        """For tests: an access token with the claims of the body."""
        return JSONResponse({"access_token": self.token(await request.json())})

    async def switch(self, request: Request) -> Response:
        """For tests: `down=1` makes discovery and JWKS fail, `announced` changes the issuer."""
        self.is_down = request.query_params.get("down", "0") == "1"
        self.announced = request.query_params.get("announced", self.issuer)
        return JSONResponse({"down": self.is_down})

    async def counts(self, _request: Request) -> Response:
        """For tests: how often discovery and JWKS were asked for."""
        return JSONResponse(dict(self.fetches))

    def _grant(self, asked: dict[str, str]) -> str:
        code = secrets.token_urlsafe(24)
        self.codes[code] = Grant(
            client_id=asked["client_id"],
            redirect_uri=asked["redirect_uri"],
            challenge=asked["code_challenge"],
            nonce=asked.get("nonce"),
            scope=asked.get("scope", ""),
            user=asked.get("user") or self.automatic or "ada",
            roles=tuple(asked.get("roles", "faq image").split()),
            expires=time.time() + CODE_S,
        )
        return code

    def _tokens(self, grant: Grant) -> Response:
        # As Entra ID does: scopes of the API lose its name, those of OpenID Connect are not named.
        asked = [scope for scope in grant.scope.split() if scope not in OPENID_SCOPES]
        claims = {
            "sub": grant.user,
            "roles": list(grant.roles),
            "scp": " ".join(scope.rpartition("/")[2] for scope in asked) or None,
            "azp": grant.client_id,
        }
        identity = {"sub": grant.user, "aud": grant.client_id, "nonce": grant.nonce}
        return JSONResponse(
            {
                "access_token": self.token(claims),
                "id_token": self.token(identity),
                "token_type": "Bearer",
                "expires_in": TOKEN_S,
                "scope": grant.scope,
            },
            headers={"cache-control": "no-store"},
        )


def application(provider: Provider) -> Starlette:
    """The provider's routes; pages of every origin may call them."""
    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.discovery),
            Route("/jwks", provider.jwks),
            Route("/authorize", provider.authorize, methods=["GET", "POST"]),
            Route("/token", provider.issue, methods=["POST"]),
            Route("/test/rotate", provider.rotate, methods=["POST"]),
            Route("/test/mint", provider.mint, methods=["POST"]),
            Route("/test/switch", provider.switch, methods=["POST"]),
            Route("/test/counts", provider.counts),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
            )
        ],
    )


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_loopback(uri: str) -> bool:
    return urlsplit(uri).hostname in ("127.0.0.1", "localhost", "::1")


def _back(asked: dict[str, str], **answer: str) -> Response:
    if "state" in asked:
        answer["state"] = asked["state"]
    joint = "&" if "?" in asked["redirect_uri"] else "?"
    return RedirectResponse(asked["redirect_uri"] + joint + urlencode(answer), status_code=302)


def _refusal(error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status_code=400)
