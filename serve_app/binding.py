"""The address on which Ray Serve really listens.

`http.host` alone does not say it: plain `serve run` with the fast path's flags takes every
interface, and `serve deploy` what its config file says.
"""

from ray.serve.context import _get_global_client


def bound_host() -> str | None:
    """Asked in a replica; None where Ray Serve starts no proxy."""
    # No public call tells it; the handles to deployments come from this same client.
    client = _get_global_client()
    return None if client is None else client.http_config.host
