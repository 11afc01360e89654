"""The provider does what tests rely on."""

import secrets
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests.issuer.process import Issuer, issuing
from tests.issuer.provider import challenge_of

REDIRECT = "http://127.0.0.1:1/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def client(issuer: Issuer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=issuer.url, trust_env=False) as client:
        yield client


def asked(verifier: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "page",
        "redirect_uri": REDIRECT,
        "scope": "openid api://scoring/faq",
        "state": "s1",
        "nonce": "n1",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }


def code_for(client: httpx.Client, verifier: str) -> str:
    form = {**asked(verifier), "user": "grace", "roles": "image"}
    answer = client.post("/authorize", data=form)
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["s1"]
    return query["code"][0]


def exchange(client: httpx.Client, code: str, verifier: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "page",
        "redirect_uri": REDIRECT,
        "code": code,
        "code_verifier": verifier,
    }
    return client.post("/token", data=form, headers={"origin": "http://127.0.0.1:8000"})


def test_code_flow_with_pkce(issuer: Issuer, client: httpx.Client) -> None:
    verifier = secrets.token_urlsafe(32)
    assert "<form" in client.get("/authorize", params=asked(verifier)).text
    code = code_for(client, verifier)
    answer = exchange(client, code, verifier)
    assert answer.headers["access-control-allow-origin"] == "*"
    tokens = answer.json()
    keys = jwt.PyJWKSet.from_dict(client.get("/jwks").json())
    kid = jwt.get_unverified_header(tokens["access_token"])["kid"]
    claims = jwt.decode(
        tokens["access_token"], keys[kid], ["RS256"], audience=issuer.audience, issuer=issuer.url
    )
    assert (claims["sub"], claims["roles"], claims["scp"]) == ("grace", ["image"], "faq")
    identity = jwt.decode(tokens["id_token"], keys[kid], ["RS256"], audience="page")
    assert identity["nonce"] == "n1"
    assert exchange(client, code, verifier).json()["error"] == "invalid_grant"


def test_code_needs_its_verifier(client: httpx.Client) -> None:
    code = code_for(client, secrets.token_urlsafe(32))
    answer = exchange(client, code, secrets.token_urlsafe(32))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_automatic_sign_in() -> None:
    with issuing("--automatic", "grace") as issuer, httpx.Client(trust_env=False) as client:
        answer = client.get(f"{issuer.url}/authorize", params=asked("x" * 43))
        assert "code" in parse_qs(urlsplit(answer.headers["location"]).query)


def test_pages_of_other_origins_may_ask_first(client: httpx.Client) -> None:
    headers = {
        "origin": "http://127.0.0.1:8000",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = client.options("/token", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


def test_never_sends_codes_elsewhere(client: httpx.Client) -> None:
    elsewhere = {**asked("x" * 43), "redirect_uri": "https://example.org/"}
    assert client.get("/authorize", params=elsewhere).status_code == 400
