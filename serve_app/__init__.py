"""What `serve run serve_app:app` starts.

`app` takes settings as `key=value` arguments, prepares the models and binds the deployments.
Importing this package loads neither torch nor scikit-learn.
"""

import os
import sys
from typing import TYPE_CHECKING

from serve_app.fast_path import SLOW_PATH, is_fast
from serve_app.settings import Settings

if TYPE_CHECKING:
    from ray.serve.deployment import Application


def app(args: Settings) -> "Application":
    """Builds the application; Ray Serve validates the arguments by this annotation."""
    from serve_app.access.exposure import keys_of
    from serve_app.application import build
    from serve_app.binding import bound_host
    from serve_app.configuration import configure
    from serve_app.models import prepare

    if not is_fast(os.environ):
        print(SLOW_PATH, file=sys.stderr, flush=True)
    given = args.model_dump(mode="json", exclude_unset=True)
    configuration = configure(given, environment=os.environ)
    # The Router's replicas look again; their refusal would not be shown.
    keys_of(configuration.settings, bound_host())
    return build(configuration.settings, prepare(configuration))
