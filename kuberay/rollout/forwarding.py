"""A pod's port on this machine's loopback, as `kubectl port-forward` does it.

Network policies close the dashboard and the proxies to everything but the cluster's own pods; the
API server and the node's kubelet are the way in.
"""

import contextlib
import selectors
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

from kuberay.rollout.api import Api
from kuberay.rollout.errors import ApiError

PIECE = 65_536
ENDING_S = 5.0


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        self.api = api
        self.namespace = namespace
        self.pod = pod
        self.port = port
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One connection is one port-forward; a refused one is closed without a byte."""
        server = self.server
        try:
            forwarded = server.api.port_forward(server.namespace, server.pod, server.port)
        except ApiError:
            return
        try:
            _pump(self.request, forwarded.socket(server.port))
        finally:
            _end(forwarded)


@contextlib.contextmanager
def forward(api: Api, namespace: str, pod: str, port: int) -> Iterator[str]:
    """The URL under which a pod's port can be reached, for as long as the block lasts."""
    with _Server(api, namespace, pod, port) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _end(forwarded: Any) -> None:
    """Closes a port-forward, its connection to the API server too.

    The client's thread leaves that open where the server has ended the websocket first. It no
    longer waits for it once `connected` is false.
    """
    forwarded.close()
    deadline = time.monotonic() + ENDING_S
    while forwarded.connected and time.monotonic() < deadline:
        time.sleep(ENDING_S / 1000)
    forwarded.websocket.shutdown()


def _pump(near: socket.socket, far: socket.socket) -> None:
    """Carries bytes both ways until one side ends."""
    with selectors.DefaultSelector() as ready:
        ready.register(near.fileno(), selectors.EVENT_READ, (near, far))
        ready.register(far.fileno(), selectors.EVENT_READ, (far, near))
        while True:
            for key, _ in ready.select():
                source, sink = key.data
                try:
                    piece = source.recv(PIECE)
                    if not piece:
                        return
                    sink.sendall(piece)
                except OSError:  # either side is gone
                    return
