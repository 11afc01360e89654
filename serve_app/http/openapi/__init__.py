"""The OpenAPI 3.1 description: one file a scenario, each with its paths and schemas.

A further file gives `MODELS` and `paths()` and is named in `document.py`.
"""

from serve_app.http.openapi.document import openapi
from serve_app.http.openapi.picture import example_png

__all__ = ["example_png", "openapi"]
