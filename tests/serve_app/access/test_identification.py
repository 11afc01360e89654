"""Who comes in by which headers, and when a service without credentials may start."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serve_app.access.admission import Admission, Headers, Unlimited
from serve_app.access.caller import ANONYMOUS, LOCAL, Caller, Scope
from serve_app.access.exposure import Exposed
from serve_app.access.identification import ByCredentials, identification
from serve_app.access.key_file import KeyFile, KeysUnreadable, change
from serve_app.access.keys import LOOK_S, Keys
from serve_app.errors import CredentialsInvalid, CredentialsMissing, ScoringError
from serve_app.settings import AuthSettings, Settings
from tests.issuer.process import Issuer
from tests.serve_app.access.conftest import Clock, store
from tests.serve_app.fakes import Application

EVERYWHERE, LOOPBACK = "0.0.0.0", "127.0.0.1"


def settings_of(folder: Path, **auth: Any) -> Settings:
    return Settings(data_dir=folder, auth=AuthSettings(**auth))


async def identify(check: ByCredentials, *headers: tuple[bytes, bytes]) -> Caller:
    return await check.identify(headers)


@pytest.mark.parametrize(
    "header", [b"Bearer %b", b"bearer %b", b"BEARER   %b", pytest.param(b"", id="X-API-Key")]
)
async def test_a_key_in_either_header(path: Path, header: bytes) -> None:
    text = store(path)
    check = identification(settings_of(path.parent), EVERYWHERE)
    given = (b"authorization", header % text) if header else (b"x-api-key", text)
    caller = await identify(check, (b"host", b"x"), given, (b"accept", b"*/*"))
    assert caller.id.encode() in text


async def test_a_token(path: Path, issuer: Issuer) -> None:
    auth = {"issuer": issuer.url, "audience": issuer.audience}
    check = identification(settings_of(path.parent, **auth), EVERYWHERE)
    token = issuer.token(roles=["faq"]).encode()
    caller = await identify(check, (b"authorization", b"Bearer " + token))
    assert caller.scopes == {Scope.FAQ}
    with pytest.raises(CredentialsInvalid, match="form of a key"):
        await identify(check, (b"x-api-key", token))
    with pytest.raises(CredentialsMissing):
        await identify(check)


async def test_keys_and_tokens_together(path: Path, issuer: Issuer) -> None:
    text = store(path)
    auth = {"issuer": issuer.url, "audience": issuer.audience}
    check = identification(settings_of(path.parent, **auth), EVERYWHERE)
    token = issuer.token(roles=["faq"]).encode()
    for credentials in (text, token):
        await identify(check, (b"authorization", b"Bearer " + credentials))


KEY = b"rts_0123456789ab_" + b"x" * 43

WRONG: list[Headers] = [
    [(b"authorization", b"")],
    [(b"authorization", b"Bearer")],
    [(b"authorization", b"Bearer ")],
    [(b"authorization", b"Basic dXNlcjpwYXNz")],
    [(b"authorization", b"Bearer " + KEY)],
    [(b"authorization", b"Bearer " + KEY + b" " + KEY)],
    [(b"authorization", b"Bearer a.b.c")],
    [(b"authorization", KEY)],
    [(b"x-api-key", b"")],
    [(b"x-api-key", KEY)],
    [(b"x-api-key", b"Bearer " + KEY)],
]


@pytest.mark.parametrize("headers", WRONG)
@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("host", [LOOPBACK, EVERYWHERE])
async def test_wrong_credentials_never_come_in(
    tmp_path: Path, headers: Headers, anonymous: bool, host: str
) -> None:
    if host == EVERYWHERE and not anonymous:
        store(tmp_path / "keys.json")
    check = identification(settings_of(tmp_path, anonymous=anonymous), host)
    with pytest.raises(CredentialsInvalid):
        await check.identify(headers)


async def test_credentials_come_once(path: Path) -> None:
    text = store(path)
    check = identification(settings_of(path.parent), EVERYWHERE)
    bearer, plain = (b"authorization", b"Bearer " + text), (b"x-api-key", text)
    for headers in ([bearer, plain], [plain, bearer], [bearer, bearer], [plain, plain]):
        with pytest.raises(CredentialsInvalid, match=r"twice|exclude"):
            await check.identify(headers)


async def test_loopback_is_open_until_keys_are_seen(path: Path, clock: Clock) -> None:
    keys = Keys(path, monotonic=clock)
    check = ByCredentials(keys, None, is_local=True, allows_anonymous=False)
    assert await identify(check) is LOCAL
    store(path)
    clock.seconds += LOOK_S
    with pytest.raises(CredentialsMissing):
        await identify(check)
    for take_away in (lambda: change(path, lambda _: KeyFile()), path.unlink):
        take_away()
        clock.seconds += LOOK_S
        with pytest.raises(CredentialsMissing):
            await identify(check)


async def test_an_issuer_closes_loopback(tmp_path: Path, issuer: Issuer) -> None:
    auth = {"issuer": issuer.url, "audience": issuer.audience}
    with pytest.raises(CredentialsMissing):
        await identify(identification(settings_of(tmp_path, **auth), LOOPBACK))


async def test_anonymous_callers_score_and_no_more(path: Path) -> None:
    store(path)
    check = identification(settings_of(path.parent, anonymous=True), EVERYWHERE)
    assert await identify(check) is ANONYMOUS
    assert Scope.ADMIN not in ANONYMOUS.scopes


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_starts_on_loopback(tmp_path: Path, host: str) -> None:
    identification(settings_of(tmp_path), host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.5", "example.org", "127.example.org", "", None]
)
def test_refuses_to_start_elsewhere(tmp_path: Path, host: str | None) -> None:
    with pytest.raises(Exposed, match="scoring keys create"):
        identification(settings_of(tmp_path), host)
    change(tmp_path / "keys.json", lambda file: file)
    with pytest.raises(Exposed):  # a file, and no key in it
        identification(settings_of(tmp_path), host)


def test_starts_elsewhere_with_keys_an_issuer_or_on_purpose(tmp_path: Path) -> None:
    identification(settings_of(tmp_path, anonymous=True), EVERYWHERE)
    identification(settings_of(tmp_path, issuer="https://a.example", audience="b"), EVERYWHERE)
    store(tmp_path / "keys.json")
    identification(settings_of(tmp_path), EVERYWHERE)


@pytest.mark.parametrize("host", [LOOPBACK, EVERYWHERE])
def test_a_named_file_must_be_there(tmp_path: Path, host: str) -> None:
    with pytest.raises(KeysUnreadable, match="nowhere"):
        identification(settings_of(tmp_path, keys=tmp_path / "nowhere"), host)


def test_a_broken_file_does_not_open_the_service(path: Path) -> None:
    path.write_bytes(b"{")
    with pytest.raises(KeysUnreadable):
        identification(settings_of(path.parent), LOOPBACK)


@given(
    name=st.sampled_from([b"authorization", b"x-api-key"]),
    start=st.sampled_from([b"", b"Bearer ", b"bearer rts_", b"Bearer eyJhbGciOiJSUzI1NiJ9."]),
    rest=st.binary(max_size=80) | st.from_regex(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[\w-]*"),
)
@example(name=b"x-api-key", start=b"", rest=KEY)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_breaks_it_or_lets_anybody_in(
    tmp_path: Path, name: bytes, start: bytes, rest: bytes
) -> None:
    if not _KEPT:
        _KEPT.append(_guarded(tmp_path))
    [check] = _KEPT
    with pytest.raises(ScoringError) as error:
        asyncio.run(identify(check, (name, start + rest)))
    assert error.value.status == 401
    assert error.value.headers()["www-authenticate"].startswith("Bearer")


_KEPT: list[ByCredentials] = []


def _guarded(folder: Path) -> ByCredentials:
    store(folder / "keys.json")
    return identification(settings_of(folder, anonymous=True), EVERYWHERE)


async def test_a_key_costs_microseconds(path: Path) -> None:
    text = store(path)
    check = identification(settings_of(path.parent), EVERYWHERE)
    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"accept", b"*/*")]
    headers += [(b"authorization", b"Bearer " + text)]
    best = float("inf")
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(500):
            await check.identify(headers)
        best = min(best, (time.perf_counter() - begin) / 500)
    assert best < 10e-6


async def test_the_http_door(path: Path) -> None:
    text = store(path, Scope.FAQ).decode()
    check = identification(settings_of(path.parent), EVERYWHERE)
    application = Application(path.parent, admission=Admission(check, Unlimited()))
    transport = httpx.ASGITransport(application.face)
    question = {"question": "what is a closure"}
    async with httpx.AsyncClient(transport=transport, base_url="http://scoring") as client:
        missing = await client.post("/v1/faq/rank", json=question)
        assert missing.status_code == 401
        assert missing.headers["www-authenticate"] == 'Bearer realm="realtime-scoring"'
        headers = {"authorization": f"Bearer {text}"}
        assert (await client.post("/v1/faq/rank", json=question, headers=headers)).is_success
        refused = await client.post("/v1/images/classify", content=b"x", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
        assert (await client.get("/healthz")).is_success
    assert text not in application.log_file.read_text()
    assert text.split("_")[1] in application.log_file.read_text()
