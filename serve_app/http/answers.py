"""What the routes share: the request's record, and JSON answers."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from deployments.contracts import ModelIdentity
from serve_app.http.face import RECORD, RequestRecord


def record_of(request: Request, route: str) -> RequestRecord:
    """The request's record, with its route noted."""
    record: RequestRecord = request.scope[RECORD]
    record.route = route
    return record


def json_answer(content: Any, status: int = 200) -> Response:
    """`content` as JSON; parts that are encoded already pass as `orjson.Fragment`."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def model_json(model: ModelIdentity) -> dict[str, str]:
    """The `model` of an answer."""
    return {"name": model.name, "version": model.version, "digest": model.digest}
