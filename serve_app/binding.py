"""The address on which Ray Serve really listens.

`http.host` alone does not say it: plain `serve run` with the fast path's flags takes every
interface, and `serve deploy` what its config file says.
"""

import ray
from ray.serve.config import HTTPOptions
from ray.serve.context import _get_global_client


def bound_host() -> str | None:
    """The host of the running Ray Serve; where none runs yet, the one that it would take.

    None where it starts no proxy.
    """
    # No public call tells it; the handles to deployments come from this same client.
    # Without Ray it is not asked: it would start one.
    client = _get_global_client(False) if ray.is_initialized() else None
    options = HTTPOptions() if client is None else client.http_config
    return options.host
