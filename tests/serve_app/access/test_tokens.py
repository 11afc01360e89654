"""User tokens of a real issuer: what is accepted, what is not, and what happens as keys change."""

import asyncio
import base64
import hashlib
import json
import time
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.access.caller import Scope
from serve_app.access.issuer_keys import COOLDOWN_S, REFRESH_S, IssuerKeys
from serve_app.access.tokens import Tokens
from serve_app.errors import CredentialsExpired, CredentialsInvalid, IssuerUnavailable
from serve_app.settings import AuthSettings
from tests.issuer.process import Issuer, issuing
from tests.issuer.signing import SigningKey, generate
from tests.serve_app.access.conftest import Clock

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def lasting() -> Iterator[Issuer]:
    """An issuer whose keys no test changes."""
    with issuing() as issuer:
        yield issuer


def tokens_of(issuer: Issuer, clock: Clock | None = None, **auth: Any) -> Tokens:
    section = AuthSettings(
        **{"issuer": issuer.url, "audience": issuer.audience, "leeway_s": 5.0, **auth}
    )
    return Tokens(section, IssuerKeys(issuer.url, monotonic=clock or time.monotonic))


async def scopes(tokens: Tokens, token: str) -> set[Scope]:
    return set((await tokens.verify(token.encode())).scopes)


async def test_the_caller_is_a_digest_of_issuer_and_subject(lasting: Issuer) -> None:
    caller = await tokens_of(lasting).verify(lasting.token(sub="grace").encode())
    digest = hashlib.sha256(f"{lasting.url}grace".encode()).hexdigest()
    assert caller.id == f"user:{digest[:12]}"
    assert caller.quota is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"roles": ["faq", "image"]}, {Scope.FAQ, Scope.IMAGE}),
        ({"scp": "faq admin"}, {Scope.FAQ, Scope.ADMIN}),
        ({"roles": ["admin"], "scp": "image"}, {Scope.ADMIN, Scope.IMAGE}),
        ({"scp": ["faq"]}, {Scope.FAQ}),
        ({"roles": ["FAQ", "faq image", 7, None, ["faq"]]}, set()),
        ({"roles": {"faq": True}, "scp": 7}, set()),
        ({}, set()),
    ],
)
async def test_roles_and_scp_give_scopes(
    lasting: Issuer, claims: dict[str, Any], expected: set[Scope]
) -> None:
    assert await scopes(tokens_of(lasting), lasting.token(**claims)) == expected


async def test_a_setting_says_which_entry_gives_which_scope(lasting: Issuer) -> None:
    tokens = tokens_of(lasting, scopes="faq=Faq.Read,faq=Everything,admin=Everything")
    assert await scopes(tokens, lasting.token(roles=["Faq.Read"])) == {Scope.FAQ}
    assert await scopes(tokens, lasting.token(scp="Everything")) == {Scope.FAQ, Scope.ADMIN}
    assert await scopes(tokens, lasting.token(scp="faq admin")) == set()


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"aud": "api://other"}, "another audience"),
        ({"aud": ["api://other"]}, "another audience"),
        ({"nbf": NOW + 3600}, "not valid yet"),
        ({"iat": NOW + 3600}, "not valid yet"),
        ({"iss": None}, "lacks"),
        ({"aud": None}, "lacks"),
        ({"exp": None}, "lacks"),
        ({"sub": None}, "lacks"),
        ({"sub": 7}, "not valid"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": [NOW]}, "not valid"),
    ],
)
async def test_claims_must_be_right(lasting: Issuer, claims: dict[str, Any], words: str) -> None:
    with pytest.raises(CredentialsInvalid, match=words):
        await tokens_of(lasting).verify(lasting.token(**claims).encode())


async def test_one_audience_of_several_is_enough(lasting: Issuer) -> None:
    await tokens_of(lasting).verify(lasting.token(aud=["other", lasting.audience]).encode())


async def test_expiry_and_leeway(lasting: Issuer) -> None:
    tokens = tokens_of(lasting, leeway_s=60.0)
    await tokens.verify(lasting.token(exp=int(time.time()) - 30).encode())
    with pytest.raises(CredentialsExpired):
        await tokens.verify(lasting.token(exp=int(time.time()) - 90).encode())


async def test_a_remembered_token_expires_too(lasting: Issuer) -> None:
    section = AuthSettings(issuer=lasting.url, audience=lasting.audience, leeway_s=0)
    clock = Clock()
    clock.seconds = time.time()
    tokens = Tokens(section, IssuerKeys(lasting.url), now=clock)
    token = lasting.token(exp=int(time.time()) + 1).encode()
    first = await tokens.verify(token)
    assert await tokens.verify(token) is first
    await asyncio.sleep(1.1)  # the library looks at the real clock
    clock.seconds += 2
    with pytest.raises(CredentialsExpired):
        await tokens.verify(token)


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "ES256", "EdDSA"])
async def test_asymmetric_algorithms(issuer: Issuer, algorithm: str) -> None:
    issuer.rotate(algorithm=algorithm)
    assert await scopes(tokens_of(issuer), issuer.token(scp="faq")) == {Scope.FAQ}


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_no_signature_and_a_public_key_as_secret_are_refused(lasting: Issuer) -> None:
    tokens = tokens_of(lasting)
    valid = lasting.token(scp="admin")
    kid = jwt.get_unverified_header(valid)["kid"]
    _, body, signature = valid.split(".")
    for algorithm in ("none", "None", "HS256", "HS512", "RS1", "", None, 7, ["RS256"]):
        head = segment({"alg": algorithm, "kid": kid, "typ": "JWT"})
        for end in (signature, "AA"):
            with pytest.raises(CredentialsInvalid):
                await tokens.verify(f"{head}.{body}.{end}".encode())
        with pytest.raises(CredentialsInvalid):
            await tokens.verify(f"{head}.{body}.".encode())
    # The published key's own bytes as the secret of HS256: confusion of algorithms.
    secret = json.dumps(kid) * 9
    forged = jwt.encode(jwt.decode(valid, options={"verify_signature": False}), secret, "HS256")
    with pytest.raises(CredentialsInvalid, match="algorithm"):
        await tokens.verify(forged.encode())


async def test_another_algorithm_of_the_same_key_type_is_refused(lasting: Issuer) -> None:
    """The JWKS says RS256 of this key."""
    valid = lasting.token()
    _, body, signature = valid.split(".")
    head = segment({"alg": "PS256", "kid": jwt.get_unverified_header(valid)["kid"]})
    with pytest.raises(CredentialsInvalid):
        await tokens_of(lasting).verify(f"{head}.{body}.{signature}".encode())


async def test_a_stranger_with_the_name_of_a_key_is_refused(lasting: Issuer) -> None:
    kid = jwt.get_unverified_header(lasting.token())["kid"]
    claims = jwt.decode(lasting.token(), options={"verify_signature": False})
    forged = jwt.encode(claims, generate().private, "RS256", headers={"kid": kid})
    with pytest.raises(CredentialsInvalid):
        await tokens_of(lasting).verify(forged.encode())


async def test_a_weak_key_is_refused_though_the_issuer_publishes_it() -> None:
    """RFC 7518, section 3.3: 2,048 bits or more."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    weak = SigningKey("weak", "RS256", private)
    issuer = "https://login.example"
    documents = {
        "/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"},
        "/jwks": {"keys": [weak.public()]},
    }
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, json=documents[request.url.path])
    )
    auth = AuthSettings(issuer=issuer, audience="api")
    claims = {"iss": issuer, "aud": "api", "sub": "ada", "exp": NOW + 3600}
    with warnings.catch_warnings(action="ignore", category=jwt.InsecureKeyLengthWarning):
        token = weak.sign(claims).encode()
        with pytest.raises(CredentialsInvalid):
            await Tokens(auth, IssuerKeys(issuer, transport=transport)).verify(token)


async def test_a_token_must_name_its_key(lasting: Issuer) -> None:
    claims = jwt.decode(lasting.token(), options={"verify_signature": False})
    with pytest.raises(CredentialsInvalid, match="kid"):
        await tokens_of(lasting).verify(jwt.encode(claims, generate().private, "RS256").encode())


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mutated_token_is_accepted(lasting: Issuer, data: st.DataObject) -> None:
    token = lasting_token(lasting)
    kind = data.draw(st.sampled_from(["replace", "insert", "drop", "append", "swap"]))
    place = data.draw(st.integers(0, len(token) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    rest = {"replace": byte + token[place + 1 :], "insert": byte + token[place:]}
    rest |= {"drop": token[place + 1 :], "append": token[place:] + byte}
    rest |= {"swap": b".".join(reversed(token[place:].split(b".")))}
    mutated = token[:place] + rest[kind]
    if mutated == token:
        return
    with pytest.raises((CredentialsInvalid, CredentialsExpired)):
        asyncio.run(_verify_fresh(lasting, mutated))


_KEPT: dict[str, Any] = {}


def lasting_token(issuer: Issuer) -> bytes:
    """One token for all examples, which takes a moment to ask for."""
    if issuer.url not in _KEPT:
        _KEPT[issuer.url] = issuer.token(scp="faq image admin").encode()
    token: bytes = _KEPT[issuer.url]
    return token


async def _verify_fresh(issuer: Issuer, token: bytes) -> None:
    # The keys alone are kept: a loop of its own for each example.
    tokens = _KEPT.get("tokens")
    if tokens is None:
        tokens = _KEPT["tokens"] = tokens_of(issuer, Clock())
        await tokens.verify(lasting_token(issuer))
    await tokens.verify(token)


async def test_new_keys_are_fetched_when_they_are_met(issuer: Issuer, clock: Clock) -> None:
    tokens = tokens_of(issuer, clock)
    await tokens.verify(issuer.token().encode())
    issuer.rotate()
    clock.seconds += COOLDOWN_S
    await tokens.verify(issuer.token().encode())
    assert issuer.counts()["jwks"] == 2


async def test_a_withdrawn_key_stops_working_with_the_next_refresh(
    issuer: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(issuer, clock)
    old = issuer.token().encode()
    await tokens.verify(old)
    issuer.rotate(keep=False)
    clock.seconds += REFRESH_S - 1
    await tokens.verify(old)  # remembered
    clock.seconds += 1
    with pytest.raises(CredentialsInvalid):
        await tokens.verify(old)
    await tokens.verify(issuer.token().encode())


async def test_invented_key_ids_do_not_flood_the_issuer(issuer: Issuer, clock: Clock) -> None:
    tokens = tokens_of(issuer, clock)
    await tokens.verify(issuer.token().encode())
    stranger = generate()
    claims = {"sub": "x"}
    for number in range(50):
        forged = jwt.encode(claims, stranger.private, "RS256", headers={"kid": str(number)})
        with pytest.raises(CredentialsInvalid):
            await tokens.verify(forged.encode())
    assert issuer.counts()["jwks"] == 1
    clock.seconds += COOLDOWN_S
    with pytest.raises(CredentialsInvalid):
        await tokens.verify(forged.encode())
    assert issuer.counts()["jwks"] == 2


async def test_concurrent_requests_share_one_fetch(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    token = issuer.token().encode()
    await asyncio.gather(*(tokens.verify(token) for _ in range(20)))
    assert issuer.counts() == {"discovery": 1, "jwks": 1}


async def test_one_who_leaves_does_not_stop_the_fetch_of_others(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    token = issuer.token().encode()
    first = asyncio.create_task(tokens.verify(token))
    second = asyncio.create_task(tokens.verify(token))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()


async def test_known_keys_work_while_the_issuer_is_down(issuer: Issuer, clock: Clock) -> None:
    tokens = tokens_of(issuer, clock)
    await tokens.verify(issuer.token().encode())
    other = issuer.token(sub="grace").encode()
    issuer.rotate()
    unknown = issuer.token().encode()
    issuer.switch(down=True)
    clock.seconds += 10 * REFRESH_S
    await tokens.verify(other)
    with pytest.raises(IssuerUnavailable) as error:
        await tokens.verify(unknown)
    assert error.value.retry_after_s == COOLDOWN_S
    issuer.switch(down=False)
    clock.seconds += COOLDOWN_S
    await tokens.verify(unknown)


async def test_an_issuer_that_is_not_there(clock: Clock) -> None:
    with issuing() as issuer:
        token = issuer.token().encode()
    tokens = tokens_of(issuer, clock)
    for _ in range(2):
        with pytest.raises(IssuerUnavailable):
            await tokens.verify(token)


async def test_another_issuer_at_this_address_is_not_trusted(issuer: Issuer) -> None:
    issuer.switch(announced="https://elsewhere.example")
    with pytest.raises(IssuerUnavailable):
        await tokens_of(issuer).verify(issuer.token().encode())
