"""What `serve run serve_app:app` starts.

`app` takes settings as `key=value` arguments, prepares the models and binds the deployments.
Importing this package loads neither torch nor scikit-learn.
"""

import os
from typing import TYPE_CHECKING

from serve_app.settings import Settings

if TYPE_CHECKING:
    from ray.serve.deployment import Application


def app(args: Settings) -> "Application":
    """Builds the application; Ray Serve validates the arguments by this annotation."""
    from serve_app.application import build
    from serve_app.configuration import configure
    from serve_app.models import prepare

    given = args.model_dump(mode="json", exclude_unset=True)
    configuration = configure(given, environment=os.environ)
    return build(configuration.settings, prepare(configuration))
