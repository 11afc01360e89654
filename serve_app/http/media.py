"""Content types: what a route reads, and what it refuses before reading."""

from starlette.requests import Request

from serve_app.errors import UnsupportedMediaType


def media_type(request: Request) -> str:
    """The request's content type without parameters, lower case; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_json(request: Request) -> None:
    """Lets JSON pass, and bodies that say nothing of their type.

    Raises:
        UnsupportedMediaType: the body says that it is something else.
    """
    declared = media_type(request)
    if declared and not is_json(declared):
        raise UnsupportedMediaType("send application/json")


def is_json(declared: str) -> bool:
    """`application/json`, or a type with the suffix `+json` (RFC 6839)."""
    return declared == "application/json" or declared.endswith("+json")


def is_picture(declared: str) -> bool:
    """A raw picture: the subtype is not believed, the bytes decide."""
    return declared.startswith("image/") or declared == "application/octet-stream"
