"""The route of the known duplicates, which people can try a model with."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from deployments.contracts import KnownDuplicates
from serve_app.errors import DeadlinePassed
from serve_app.http.answers import json_answer, model_json, record_of
from serve_app.http.deadlines import deadline_of
from serve_app.readiness import Readiness
from serve_app.settings import HttpSettings

Examples = Callable[[], Awaitable[KnownDuplicates]]
"""Asks a replica of the ranker."""


class ExamplesRoute:
    """`/v1/faq/examples`."""

    def __init__(self, examples: Examples, readiness: Readiness, settings: HttpSettings):
        self._examples = examples
        self._readiness = readiness
        self._settings = settings

    async def examples(self, request: Request) -> Response:
        """Duplicates with the AnswerIds of their FAQs; none where the model has none stored."""
        record = record_of(request, "/v1/faq/examples")
        deadline = deadline_of(request, self._settings.deadline_s)
        self._readiness.require("faq")
        try:
            async with asyncio.timeout_at(deadline):
                known = await self._examples()
        except TimeoutError:
            raise DeadlinePassed("the ranker did not answer in time") from None
        record.model = known.model
        record.items = len(known.duplicates)
        return json_answer(
            {
                "examples": [duplicate._asdict() for duplicate in known.duplicates],
                "model": model_json(known.model),
            }
        )
