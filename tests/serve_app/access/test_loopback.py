"""Addresses of this machine, and URLs that can be trusted."""

import pytest
from pydantic import ValidationError

from serve_app.access.loopback import is_loopback, is_trustworthy
from serve_app.settings import AuthSettings, HttpSettings


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("127.example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert HttpSettings(host=host).is_local is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://login.example/v2.0", True),
        ("http://127.0.0.1:9400", True),
        ("http://[::1]:9400/jwks", True),
        ("http://login.example", False),
        ("ftp://127.0.0.1", False),
        ("https://", False),
        ("login.example", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_trustworthy(url: str, expected: bool) -> None:
    assert is_trustworthy(url) is expected
    if expected:
        AuthSettings(issuer=url, audience="api")
    else:
        with pytest.raises(ValidationError, match="https"):
            AuthSettings(issuer=url, audience="api")
