"""Where the service is, who asks, and the HTTP requests to it."""

from typing import Any

import httpx

from serve_app.client.requests import Call

TIMEOUT_HEADER = "x-request-timeout-ms"
DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT_S = 30.0


class Endpoint:
    """Builds requests to one service; never shows the key."""

    def __init__(self, url: str, key: str | None) -> None:
        """`key` goes as a bearer token (RFC 6750).

        Raises:
            ValueError: `url` is no HTTP address, or the key cannot stand in a header
        """
        self._url = checked(url)
        self._headers = {
            # httpx adds it to most requests, but to none that streams a file.
            "host": httpx.URL(self._url).netloc.decode("ascii"),
            "accept": "application/json",
            "user-agent": "realtime-scoring-client",
        }
        if key is not None:
            # httpx would refuse such a key in a message that holds it.
            if not (key and key.isascii() and key.isprintable() and " " not in key):
                raise ValueError("a key is a word of visible ASCII characters")
            self._headers["authorization"] = f"Bearer {key}"

    def __repr__(self) -> str:
        return f"Endpoint({self._url!r})"

    @property
    def url(self) -> str:
        """The address below which the routes are, without a slash at its end."""
        return self._url

    def request(self, call: Call[Any], left_s: float) -> httpx.Request:
        """One attempt; the service is told how much time is left. Raises OSError for a file."""
        body = call.build()
        return httpx.Request(
            call.method,
            self._url + call.path,
            params=call.params,
            headers={
                **self._headers,
                TIMEOUT_HEADER: str(max(1, int(left_s * 1000))),
                **body.headers,
            },
            content=body.content,
            files=body.files,
            stream=body.stream,
            extensions={"timeout": httpx.Timeout(left_s).as_dict()},
        )


def checked(url: str) -> str:
    """`url` without slashes at its end. Raises ValueError where it is no HTTP address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is no address like {DEFAULT_URL}")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ValueError("an address of the service has no user, query or fragment")
    return url.rstrip("/")
