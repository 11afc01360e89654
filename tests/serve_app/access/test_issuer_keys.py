"""Documents that an issuer should not send."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.access.issuer_keys import IssuerKeys
from serve_app.errors import CredentialsInvalid, IssuerUnavailable
from tests.issuer.signing import generate

ISSUER = "https://login.example/tenant/v2.0"
GOOD = generate("ES256").public()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def keys_of(metadata: Any, jwks: Any, issuer: str = ISSUER) -> IssuerKeys:
    """Of an issuer that answers with these two documents."""

    def answer(request: httpx.Request) -> httpx.Response:
        discovery = request.url.path.endswith("/.well-known/openid-configuration")
        return httpx.Response(200, json=metadata if discovery else jwks)

    return IssuerKeys(issuer, transport=httpx.MockTransport(answer))


def metadata(issuer: str = ISSUER, uri: Any = "https://login.example/keys") -> dict[str, Any]:
    return {"issuer": issuer, "jwks_uri": uri}


async def test_a_good_issuer() -> None:
    key = await keys_of(metadata(), {"keys": [GOOD]}).find(GOOD["kid"])
    assert key.algorithms == ("ES256",)


async def test_an_issuer_may_end_in_a_slash() -> None:
    issuer = "https://login.example/"
    await keys_of(metadata(issuer), {"keys": [GOOD]}, issuer).find(GOOD["kid"])


async def test_a_key_without_an_algorithm_takes_those_of_its_type() -> None:
    """Entra ID's keys say none."""
    entry = {name: value for name, value in generate().public().items() if name != "alg"}
    key = await keys_of(metadata(), {"keys": [entry]}).find(entry["kid"])
    assert key.algorithms == ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@pytest.mark.parametrize(
    "document",
    [
        metadata("https://login.example/tenant/v2.0/"),
        metadata("https://login.example/other/v2.0"),
        metadata(uri="http://login.example/keys"),
        metadata(uri="file:///etc/passwd"),
        metadata(uri="https://[broken"),
        metadata(uri="https://login.example:port/keys"),
        metadata(uri=None),
        [],
        None,
    ],
)
async def test_wrong_metadata_is_no_issuer(document: Any) -> None:
    with pytest.raises(IssuerUnavailable):
        await keys_of(document, {"keys": [GOOD]}).find(GOOD["kid"])


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "bad", "alg": "HS256"},
        {**GOOD, "kid": "bad", "use": "enc"},
        {**GOOD, "kid": "bad", "alg": "HS256"},
        {**GOOD, "kid": "bad", "x": "AA"},
        {**GOOD, "kid": "bad", "crv": "P-9"},
        {**GOOD, "kid": 7},
    ],
)
async def test_a_key_that_cannot_verify_is_left_out(entry: Any) -> None:
    keys = keys_of(metadata(), {"keys": [entry, GOOD]})
    await keys.find(GOOD["kid"])
    with pytest.raises(CredentialsInvalid):
        await keys.find("bad")


async def test_redirects_are_not_followed() -> None:
    moved = httpx.MockTransport(
        lambda request: httpx.Response(302, headers={"location": "https://elsewhere.example"})
    )
    with pytest.raises(IssuerUnavailable):
        await IssuerKeys(ISSUER, transport=moved).find("any")


async def test_an_issuer_that_never_ends_its_answer() -> None:
    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    keys = IssuerKeys(ISSUER, transport=httpx.MockTransport(hang), timeout_s=0.05)
    with pytest.raises(IssuerUnavailable):
        await keys.find("any")


@given(entry=json_values, field=st.sampled_from(sorted(GOOD)), document=json_values)
async def test_no_document_breaks_it(entry: Any, field: str, document: Any) -> None:
    for jwks in (document, {"keys": [entry]}, {"keys": [{**GOOD, field: entry}]}):
        try:
            await keys_of(metadata(), jwks).find("any")
        except (CredentialsInvalid, IssuerUnavailable):
            continue
