"""The whole OpenAPI 3.1 document, built from the schemas; its examples work as they stand."""

from itertools import chain

from pydantic.json_schema import models_json_schema

from serve_app.http import schemas
from serve_app.http.openapi import faq, images, protocol, system
from serve_app.http.openapi.elements import REFERENCE, Json

PARTS = (faq, images, protocol, system)

SECURITY_SCHEMES: Json = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key or a user token"},
}


def openapi() -> Json:
    """The whole document."""
    models = [schemas.Problem, *chain.from_iterable(part.MODELS for part in PARTS)]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE
    )
    paths: Json = {}
    for part in PARTS:
        paths.update(part.paths())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "realtime-scoring",
            "version": "1",
            "description": "FAQ matching and image classification on Ray Serve.",
        },
        "paths": paths,
        "components": {"schemas": definitions["$defs"], "securitySchemes": SECURITY_SCHEMES},
    }
