"""The known duplicates over HTTP."""

import asyncio
from pathlib import Path

import httpx
import pytest

from serve_app.access.admission import Admission, Headers, Unlimited
from serve_app.access.caller import Caller, Scope
from serve_app.http.schemas import ExamplesResponse
from serve_app.readiness import State
from tests.serve_app.fakes import FAQ, Application
from tests.serve_app.http.conftest import client_of


async def test_each_duplicate_has_its_answer_id(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/faq/examples")
    assert answer.status_code == 200
    found = ExamplesResponse.model_validate_json(answer.content)
    assert [(each.question, each.answer_id) for each in found.examples] == [
        ("known duplicate 0", "A0"),
        ("known duplicate 2", "A2"),
        ("known duplicate 9", "A9"),
    ]
    assert found.model.model_dump() == FAQ._asdict()


async def test_a_model_that_cannot_answer_is_not_asked(
    application: Application, client: httpx.AsyncClient
) -> None:
    application.readiness.set_state("faq", State.LOADING)
    answer = await client.get("/v1/faq/examples")
    assert (answer.status_code, answer.json()["code"]) == (503, "model_loading")


async def test_a_ranker_that_does_not_answer_is_not_waited_for(
    application: Application, client: httpx.AsyncClient
) -> None:
    application.faq.gate = asyncio.Event()
    answer = await client.get("/v1/faq/examples", headers={"x-request-timeout-ms": "20"})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")


class _Known:
    def __init__(self, *scopes: Scope) -> None:
        self._caller = Caller("someone", frozenset(scopes))

    async def identify(self, headers: Headers) -> Caller:
        return self._caller


@pytest.mark.parametrize(("scope", "status"), [(Scope.FAQ, 200), (Scope.IMAGE, 403)])
async def test_the_scope_faq_is_needed(tmp_path: Path, scope: Scope, status: int) -> None:
    application = Application(tmp_path, admission=Admission(_Known(scope), Unlimited()))
    async with client_of(application) as client:
        assert (await client.get("/v1/faq/examples")).status_code == status
