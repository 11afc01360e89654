"""`python -m tests.issuer --port N`: runs the provider until it is ended."""

import argparse
import socket

import uvicorn

from tests.issuer.provider import Provider, application

READY = "issuer ready on "


def main() -> None:
    """Port 0 takes a free one; the line that says "ready" names it."""
    parser = argparse.ArgumentParser(prog="tests.issuer")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--audience", default="api://scoring")
    parser.add_argument(
        "--automatic", metavar="USER", help="signs USER in without showing the login page"
    )
    options = parser.parse_args()
    # Connections wait from here on, so the line may come before the server's loop runs.
    listening = socket.create_server(("127.0.0.1", options.port))
    issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
    provider = Provider(issuer, options.audience, options.automatic)
    server = uvicorn.Server(uvicorn.Config(application(provider), log_level="warning"))
    print(READY + issuer, flush=True)
    server.run(sockets=[listening])


main()
