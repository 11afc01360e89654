"""Cross-origin requests (the Fetch standard's CORS protocol), where a setting names the origins.

Credentials of the browser (cookies) are never allowed: keys and tokens travel in headers that the
page sets itself.
"""

from collections.abc import Sequence

from starlette.types import Scope

Header = tuple[bytes, bytes]

ALLOWED = b", ".join(
    (
        *(b"authorization", b"x-api-key", b"content-type", b"x-request-id"),
        *(b"x-request-timeout-ms", b"traceparent", b"tracestate"),
        b"inference-header-content-length",
    )
)
EXPOSED = b", ".join(
    (
        *(b"x-request-id", b"retry-after", b"ratelimit", b"ratelimit-policy"),
        *(b"www-authenticate", b"inference-header-content-length"),
    )
)
PREFLIGHT: Sequence[Header] = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", ALLOWED),
    (b"access-control-max-age", b"600"),
)
VARY: Header = (b"vary", b"Origin")


class Cors:
    """What the pages of some origins, or of all (`*`), may do."""

    def __init__(self, origins: Sequence[str]):
        self._all = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def is_preflight(self, scope: Scope) -> bool:
        """Whether a browser asks, for a page that may, if it may send the real request."""
        if scope["method"] != "OPTIONS" or self._allowed(_origin(scope)) is None:
            return False
        return any(name == b"access-control-request-method" for name, _ in scope["headers"])

    def headers(self, scope: Scope) -> list[Header]:
        """What every answer says to the page."""
        allowed = self._allowed(_origin(scope))
        vary = [] if self._all else [VARY]
        if allowed is None:
            return vary
        exposed = (b"access-control-expose-headers", EXPOSED)
        return [(b"access-control-allow-origin", allowed), exposed, *vary]

    def _allowed(self, origin: bytes | None) -> bytes | None:
        if origin is None:
            return None
        if self._all:
            return b"*"
        return origin if origin in self._origins else None


def _origin(scope: Scope) -> bytes | None:
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    return origins[0] if len(origins) == 1 else None
