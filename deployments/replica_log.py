"""Where the records of a model's replica go."""

import logging


def log_to_the_replicas_file() -> None:
    """Ray Serve writes its own logger's records there, and loses all others on the fast path."""
    for handler in logging.getLogger("ray.serve").handlers:
        logging.getLogger("deployments").addHandler(handler)
