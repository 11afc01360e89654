"""This application with a bare Router: gathers questions and calls the ranker, and nothing else.

No admission, no validation, no deadline of the client's, no error but a broken connection, no
record, metric or log line: what is left is what ranking over HTTP costs.
"""

from benchmarks.peers.parts import Parts, serve_until_stopped


def parts() -> Parts:
    """The Router alone is another one."""
    from benchmarks.peers.bare_router import BareRouter
    from serve_app.deployment import ROUTER

    return {ROUTER: BareRouter}


if __name__ == "__main__":
    serve_until_stopped(parts)
