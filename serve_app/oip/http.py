"""The protocol over HTTP: thin routes around `Inference`."""

from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from serve_app.errors import BodyTooLarge, NotFound, UnsupportedMediaType
from serve_app.http.answers import json_answer, record_of
from serve_app.http.bodies import read_body
from serve_app.http.deadlines import arrived, deadline_of
from serve_app.http.face import RECORD, RequestRecord
from serve_app.http.media import is_json, media_type
from serve_app.oip.binary import LENGTH_HEADER, split
from serve_app.oip.document import parse, written
from serve_app.oip.inference import Inference, Scorer, Work
from serve_app.settings import HttpSettings

SERVER = "realtime-scoring"
EXTENSIONS = ("binary_tensor_data", "parameters")
OCTETS = "application/octet-stream"


def server_metadata() -> dict[str, Any]:
    """The server's name and version, and the extensions that it has."""
    return {"name": SERVER, "version": version(SERVER), "extensions": list(EXTENSIONS)}


class ProtocolRoutes:
    """`/v2` and what is below it."""

    def __init__(self, inference: Inference, settings: HttpSettings):
        self._inference = inference
        self._catalogue = inference.catalogue
        self._settings = settings

    async def server(self, request: Request) -> Response:
        """The server's metadata."""
        record_of(request, "/v2")
        return json_answer(server_metadata())

    async def live(self, request: Request) -> Response:
        """200 while the process lives."""
        record_of(request, "/v2/health/live")
        return json_answer({"live": True})

    async def ready(self, request: Request) -> Response:
        """503 while a model is loading."""
        record_of(request, "/v2/health/ready")
        ready = self._catalogue.is_ready
        return json_answer({"ready": ready}, 200 if ready else 503)

    async def metadata(self, request: Request) -> Response:
        """A model's metadata."""
        _note_route(request, "")
        return json_answer(self._catalogue.metadata(*_model_of(request)))

    async def model_ready(self, request: Request) -> Response:
        """200 only when the model can answer."""
        _note_route(request, "/ready")
        name, wanted = _model_of(request)
        ready = self._catalogue.is_model_ready(name, wanted)
        return json_answer({"name": name, "ready": ready}, 200 if ready else 503)

    async def unknown(self, request: Request) -> Response:
        """Inference for a model that does not exist."""
        _note_route(request, "/infer")
        name, wanted = _model_of(request)
        self._catalogue.require(name, wanted)
        raise NotFound("see /docs for the routes")

    async def infer(self, model: str, request: Request) -> Response:
        """The outputs of `model` for the request's inputs."""
        record: RequestRecord = request.scope[RECORD]
        deadline = deadline_of(request, self._settings.deadline_s)
        _require_readable(request)
        wanted = request.path_params.get("version")
        scorer = self._inference.scorer(model, wanted)
        scorer.require_room()
        body = await arrived(read_body(request, scorer.limit_bytes), deadline)
        record.request_bytes = len(body)
        document, raw = split(body, request.headers.getlist(LENGTH_HEADER))
        _require_short(document, scorer)
        asked, binary = parse(model, wanted, document, raw)
        response = await self._inference.infer(asked, Work(record, deadline))
        head, parts = written(response, binary)
        if not parts:
            return Response(head, media_type="application/json")
        headers = {LENGTH_HEADER: str(len(head))}
        return Response(b"".join([head, *parts]), headers=headers, media_type=OCTETS)


def _model_of(request: Request) -> tuple[str, str | None]:
    return request.path_params["name"], request.path_params.get("version")


def _note_route(request: Request, end: str) -> None:
    middle = "/versions/{version}" if "version" in request.path_params else ""
    record_of(request, f"/v2/models/{{name}}{middle}{end}")


def _require_readable(request: Request) -> None:
    declared = media_type(request)
    if declared and declared != OCTETS and not is_json(declared):
        raise UnsupportedMediaType(f"send application/json or {OCTETS}")


def _require_short(document: memoryview, scorer: Scorer) -> None:
    if len(document) > scorer.json_limit_bytes:
        limit = f"the JSON may have {scorer.json_limit_bytes:,} bytes; more goes as binary data"
        raise BodyTooLarge(limit)
