"""The head of a request: what is refused of it before anything else is done.

A replica's port can be reached without the proxy, so it relies on nobody to have tidied the head.
"""

import re
from collections.abc import Callable, Mapping

from starlette.types import Scope

from serve_app.errors import HeaderNotAllowed, HeadersTooLarge, ScoringError, UnsupportedMediaType

MOST_HEADERS = 100
LINE_BYTES = 4
"""What a header takes beside its name and value: ": " and the end of the line."""

_PASSING_OPTIONS = frozenset({b"keep-alive", b"close", b"te", b"upgrade", b"http2-settings"})
"""Options of `Connection` that name nothing which could matter further on."""
_DECIMAL = re.compile(rb"[0-9]{1,18}")

Check = Callable[[bytes], ScoringError | None]


def check_head(scope: Scope, limit_bytes: int) -> None:
    """Lets a head pass that is small, whole, and for this service.

    Raises:
        HeadersTooLarge: over the limit of bytes, or more than 100 headers.
        HeaderNotAllowed: a header of one connection (RFC 9110, section 7.6.1), or two lengths.
        UnsupportedMediaType: the body is compressed.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size = len(scope["query_string"]) + len(scope["path"])
    lengths = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name in _CHECKS:
            lengths += name == b"content-length"
            if error := _CHECKS[name](value):
                raise error
    if lengths > 1:
        raise HeaderNotAllowed("Content-Length is given twice", field="content-length")
    if len(headers) > MOST_HEADERS:
        raise HeadersTooLarge(f"a request may have {MOST_HEADERS} headers")
    if size + LINE_BYTES * len(headers) > limit_bytes:
        raise HeadersTooLarge(f"the head of a request may have {limit_bytes:,} bytes")


def _refused(name: str) -> Check:
    error = f"{name} is between two neighbours; it must not come this far"
    return lambda _: HeaderNotAllowed(error, field=name)


def _connection(value: bytes) -> ScoringError | None:
    # What nearly every client sends.
    if value in (b"keep-alive", b"close"):
        return None
    if {word.strip() for word in value.lower().split(b",")} <= _PASSING_OPTIONS:
        return None
    return HeaderNotAllowed("Connection may say keep-alive or close", field="connection")


def _upgrade(value: bytes) -> ScoringError | None:
    # Clients that would like HTTP/2 ask for it so and go on in HTTP/1.1; section 7.8 allows that.
    if value.strip().lower() == b"h2c":
        return None
    return HeaderNotAllowed("Upgrade: the service speaks HTTP alone", field="upgrade")


def _te(value: bytes) -> ScoringError | None:
    if value.strip().lower() in (b"trailers", b""):
        return None
    return HeaderNotAllowed("TE may say trailers", field="te")


def _transfer_encoding(value: bytes) -> ScoringError | None:
    if value.strip().lower() == b"chunked":
        return None
    return HeaderNotAllowed("Transfer-Encoding may say chunked", field="transfer-encoding")


def _content_encoding(value: bytes) -> ScoringError | None:
    if value.strip().lower() in (b"identity", b""):
        return None
    return UnsupportedMediaType("send the body without Content-Encoding", field="content-encoding")


def _content_length(value: bytes) -> ScoringError | None:
    if _DECIMAL.fullmatch(value):
        return None
    return HeaderNotAllowed("Content-Length must be a whole number", field="content-length")


_CHECKS: Mapping[bytes, Check] = {
    b"connection": _connection,
    b"upgrade": _upgrade,
    b"te": _te,
    b"transfer-encoding": _transfer_encoding,
    b"content-encoding": _content_encoding,
    b"content-length": _content_length,
    **{
        name.encode(): _refused(name)
        for name in (
            "trailer",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "proxy-authenticate",
        )
    },
}
