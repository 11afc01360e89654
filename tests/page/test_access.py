"""Credentials on the page: a key, and a user who signs in at a real issuer."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serve_app.access.admission import Admission, Unlimited
from serve_app.access.caller import Scope
from serve_app.access.identification import identification
from serve_app.access.key import digest_of, new_text
from serve_app.access.key_file import HASH_PREFIX, KeyFile, StoredKey, change
from serve_app.settings import AuthSettings, HttpSettings, Settings
from tests.issuer.process import Issuer, issuing
from tests.page.conftest import Serve
from tests.page.server import Served
from tests.serve_app.fakes import Application

Open = Callable[..., Any]

LOOPBACK = "127.0.0.1"


def ask(page: Any) -> None:
    page.get_by_label("Your question").fill("what is a closure")
    page.get_by_role("button", name="Ask").click()


def keys_in(settings: Settings, *scopes: Scope) -> str:
    """A new key's text; the file that the service reads holds its hash."""
    id_, text = new_text()
    key = StoredKey(
        id=id_,
        hash=HASH_PREFIX + digest_of(text.encode()).hex(),
        scopes=scopes,
        created=datetime.now(UTC),
    )
    change(settings.keys_file, lambda _: KeyFile(keys=(key,)))
    return text


@pytest.fixture
def guarded(serve: Serve, tmp_path: Path) -> tuple[Served[Application], str]:
    settings = Settings(data_dir=tmp_path, http=HttpSettings(metrics="admin"))
    key = keys_in(settings, *Scope)
    admission = Admission(identification(settings, LOOPBACK), Unlimited())
    return serve(admission=admission, http=settings.http), key


def test_without_a_key_the_page_says_what_is_needed(
    guarded: tuple[Served[Application], str], open_page: Open
) -> None:
    served, _ = guarded
    page = open_page(served.url)
    page.get_by_label("Key", exact=True).wait_for()  # the panel has opened
    assert "A key or a token is needed" in page.locator("#access-problem").text_content()
    ask(page)
    page.locator("#faq-problem", has_text="credentials_missing").wait_for()
    page.locator("#metrics-problem", has_text="credentials_missing").wait_for()
    assert page.locator(".model").count() == 2
    assert not page.get_by_role("button", name="Sign in").is_visible()


def test_a_key_opens_everything_and_is_kept_nowhere(
    guarded: tuple[Served[Application], str], open_page: Open
) -> None:
    served, key = guarded
    page = open_page(served.url)
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use key").click()
    page.get_by_label("Or ask a known duplicate").wait_for()
    ask(page)
    page.locator("#matches > li").first.wait_for()
    page.locator("#routes tr").first.wait_for()
    assert page.locator("#access-state").text_content() == "a key is in use"
    assert page.locator("[role=alert]").count() == 0
    assert page.get_by_label("Key", exact=True).input_value() == ""
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
        0,
        0,
        "",
    ]
    page.get_by_role("button", name="Forget it").click()
    ask(page)
    page.locator("#faq-problem", has_text="credentials_missing").wait_for()


def test_a_wrong_key_is_refused_in_place(
    guarded: tuple[Served[Application], str], open_page: Open
) -> None:
    served, key = guarded
    page = open_page(served.url)
    page.get_by_label("Key", exact=True).fill(key[:-1] + ("a" if key[-1] != "a" else "b"))
    page.get_by_role("button", name="Use key").click()
    page.locator("#access-problem", has_text="credentials_invalid").wait_for()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def with_issuer(serve: Serve, tmp_path: Path, issuer: Issuer) -> Iterator[Served[Application]]:
    auth = AuthSettings(
        issuer=issuer.url,
        audience=issuer.audience,
        client_id="page",
        page_scopes=("openid", f"{issuer.audience}/faq"),
    )
    settings = Settings(data_dir=tmp_path, auth=auth)
    admission = Admission(identification(settings, LOOPBACK), Unlimited())
    yield serve(admission=admission, auth=auth)
    issuer.switch()


def sign_in(page: Any) -> None:
    page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    page.get_by_label("User").fill("grace")
    page.get_by_role("button", name="Sign in").click()


def test_a_user_signs_in_at_the_issuer(with_issuer: Served[Application], open_page: Open) -> None:
    page = open_page(with_issuer.url)
    sign_in(page)
    page.locator("#access-state", has_text="signed in").wait_for()
    assert page.url == with_issuer.url  # neither code nor state stays in the address
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
        0,
        0,
        "",
    ]
    ask(page)
    page.locator("#matches > li").first.wait_for()
    assert page.locator("[role=alert]").count() == 0
    page.get_by_text("Access", exact=True).click()
    page.get_by_role("button", name="Forget it").click()
    ask(page)
    page.locator("#faq-problem", has_text="credentials_missing").wait_for()


def test_what_the_user_may_not_do_stands_in_place(
    with_issuer: Served[Application], open_page: Open
) -> None:
    page = open_page(with_issuer.url)
    page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    page.get_by_label("Roles").fill("image")
    # `scp` gives the scope faq too, unless the page's scopes are not those.
    page.locator("[name=scope]").evaluate("field => { field.value = 'openid'; }")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#access-state", has_text="signed in").wait_for()
    ask(page)
    page.locator("#faq-problem", has_text="scope_missing").wait_for()


def test_a_code_that_the_page_did_not_ask_for_is_not_used(
    with_issuer: Served[Application], open_page: Open
) -> None:
    page = open_page(f"{with_issuer.url}?code=stolen&state=guessed")
    page.locator("#access-problem", has_text="not the answer to a sign-in").wait_for()
    assert page.url == with_issuer.url
    assert page.locator("#access-state").text_content() == "no key in use"


def test_another_state_than_the_pages_is_refused(
    with_issuer: Served[Application], open_page: Open
) -> None:
    page = open_page(with_issuer.url)
    page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    page.locator("[name=state]").evaluate("field => { field.value = 'other'; }")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#access-problem", has_text="not the answer to a sign-in").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(
    ("field", "said"),
    [("nonce", "not made for this sign-in"), ("code_challenge", "the verifier does not match")],
)
def test_tokens_for_another_sign_in_are_refused(
    with_issuer: Served[Application], open_page: Open, field: str, said: str
) -> None:
    page = open_page(with_issuer.url)
    page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    page.locator(f"[name={field}]").evaluate("field => { field.value = 'x'.repeat(43); }")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state("networkidle")  # what the page asks for next must not hide it
    page.locator("#access-problem", has_text=said).wait_for()
    assert page.locator("#access-state").text_content() == "no key in use"


def test_the_issuers_own_errors_stand_in_place(
    with_issuer: Served[Application], open_page: Open
) -> None:
    page = open_page(with_issuer.url)
    page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    page.locator("[name=code_challenge_method]").evaluate("field => { field.value = 'plain'; }")
    page.get_by_role("button", name="Sign in").click()
    problem = page.locator("#access-problem")
    problem.get_by_text("PKCE S256 is needed").wait_for()
    assert "invalid_request" in problem.text_content()


def test_an_issuer_with_another_name_is_not_followed(
    with_issuer: Served[Application], issuer: Issuer, open_page: Open
) -> None:
    page = open_page(with_issuer.url)
    issuer.switch(announced="https://other.example")
    page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    page.locator("#access-problem", has_text="calls itself by another name").wait_for()
    assert page.url == with_issuer.url
