"""The page at `/`: to try the service and to see how it does. It loads nothing from elsewhere."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve_app.http.answers import record_of
from serve_app.http.schemas import QUESTION_CHARACTERS, TOP_K_FAQ, TOP_K_IMAGE
from serve_app.settings import AuthSettings, HttpSettings

FOLDER = Path(__file__).parent.parent / "page"
PAGE = "index.html"
FILES = (
    "page.css",
    "icon.svg",
    "access.js",
    "api.js",
    "app.js",
    "elements.js",
    "faq.js",
    "images.js",
    "metrics.js",
    "oidc.js",
    "problem.js",
    "service.js",
    "sparkline.js",
)
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


class PageRoutes:
    """`/`, `/page/config.json` and `/page/{file}`; every file is read once, at the start."""

    def __init__(self, http: HttpSettings, auth: AuthSettings):
        headers = security_headers(auth.issuer)
        self._page = _Stored((FOLDER / PAGE).read_bytes(), ".html", headers)
        self._configuration = _Stored(orjson.dumps(_configuration(http, auth)), ".json", headers)
        self._files = {
            name: _Stored((FOLDER / name).read_bytes(), Path(name).suffix, headers)
            for name in FILES
        }

    async def page(self, request: Request) -> Response:
        """The page."""
        record_of(request, "/")
        return self._page.answer(request)

    async def configuration(self, request: Request) -> Response:
        """What the page may know before anybody has signed in."""
        record_of(request, "/page/config.json")
        return self._configuration.answer(request)

    async def file(self, request: Request) -> Response:
        """What the page loads."""
        record_of(request, "/page/{file}")
        stored = self._files.get(request.path_params["file"])
        if stored is None:
            raise HTTPException(404)
        return stored.answer(request)


class _Stored:
    """A body with its headers; clients ask each time whether it is still the same (RFC 9111)."""

    def __init__(self, body: bytes, suffix: str, headers: dict[str, str]):
        self._body = body
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._headers = {
            **headers,
            "content-type": MEDIA_TYPES[suffix],
            "cache-control": "no-cache",
            "etag": self._etag,
        }

    def answer(self, request: Request) -> Response:
        """The body, or 304 to a client that has it (RFC 9110, section 13.1.2)."""
        known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
        # Proxies that compress make a weak tag of ours.
        if known & {"*", self._etag, f"W/{self._etag}"}:
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, headers=self._headers)


def security_headers(issuer: str | None) -> dict[str, str]:
    """What the page may load, and to whom it may talk: to this service and the issuer alone."""
    others = "" if issuer is None else f" {_origin(issuer)}"
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        f"connect-src 'self'{others}",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _configuration(http: HttpSettings, auth: AuthSettings) -> dict[str, Any]:
    can_sign_in = auth.issuer is not None and auth.client_id is not None
    sign_in = {
        "issuer": auth.issuer,
        "client_id": auth.client_id,
        "scopes": auth.page_scopes,
    }
    return {
        "sign_in": sign_in if can_sign_in else None,
        "question_characters": QUESTION_CHARACTERS,
        "faq_top_k": TOP_K_FAQ,
        "image_top_k": TOP_K_IMAGE,
        "image_bytes": http.image_limit_bytes,
        "docs": http.docs,
    }
