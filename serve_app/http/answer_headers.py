"""The headers that every answer carries, whatever made it, and those of pages for people."""

from collections.abc import Mapping, Sequence

from starlette.types import Scope

from serve_app.http.cors import Cors
from serve_app.settings import HttpSettings

Header = tuple[bytes, bytes]

NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
NO_STORE: Header = (b"cache-control", b"no-store")


class AnswerHeaders:
    """Adds what the settings ask for; a route's own `Cache-Control` stays."""

    def __init__(self, settings: HttpSettings):
        self._always: list[Header] = [NOSNIFF]
        if settings.hsts_s:
            value = f"max-age={settings.hsts_s}".encode()
            self._always.append((b"strict-transport-security", value))
        self._cors = Cors(settings.cors_origins) if settings.cors_origins else None

    def is_preflight(self, scope: Scope) -> bool:
        """Whether a browser asks if a page of an allowed origin may send a request."""
        return self._cors is not None and self._cors.is_preflight(scope)

    def added(self, own: Sequence[Header], scope: Scope) -> list[Header]:
        """An answer's own headers, and those of every answer."""
        headers = [*own, *self._always]
        if not any(name == b"cache-control" for name, _ in own):
            headers.append(NO_STORE)
        if self._cors is not None:
            headers += self._cors.headers(scope)
        return headers


def page_headers(content_security_policy: str) -> Mapping[str, str]:
    """The headers of a page: no frame around it, no address of it told to others."""
    return {
        "content-security-policy": f"{content_security_policy}; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }
