"""A stand-in for the Kubernetes API server: real HTTP on a real socket, with the server's rules."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import yaml
from aiohttp import WSMsgType, web

from tests.kuberay.rollout.field_managers import Json
from tests.kuberay.rollout.store import CLUSTER_WIDE, KINDS, Problem, Store, matches

T = TypeVar("T")

TOKEN = "a-token-of-the-test"
PORT_FORWARD = "v4.channel.k8s.io"
LISTED = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?"
)


class ApiServer:
    """Runs in a thread while its block lasts."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.backends: dict[tuple[str, int], int] = {}
        """The local port behind a pod's port."""
        self.refusals: list[tuple[str, re.Pattern[str], int, str]] = []
        """Method, path, status and reason: what is refused."""
        self.requests: list[tuple[str, str]] = []
        self.bookmark_s = 0.2
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-server")
        self._wakers: set[asyncio.Event] = set()
        self._watching: set[web.StreamResponse] = set()
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.store.changed = self._wake

    def __enter__(self) -> "ApiServer":
        self._thread.start()
        self.run(self._start())
        self.store.create("namespaces", "", _object("v1", "Namespace", "scoring"))
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs work on the server's loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def kubeconfig(self, path: Path, *, token: str = TOKEN, namespace: str = "scoring") -> Path:
        """Writes a kubeconfig that leads here."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [
                {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}
            ],
            "current-context": "x",
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    def refuse(self, method: str, path: str, status: int, reason: str = "") -> None:
        """Refuses what matches from now on."""
        self.refusals.append((method, re.compile(path), status, reason))

    def cut_watches(self) -> None:
        """Breaks the connections of all watches in the middle."""

        async def cut() -> None:
            for each in list(self._watching):
                transport = each._req.transport if each._req is not None else None
                if transport is not None:
                    transport.abort()

        self.run(cut())

    def wrote(self, method: str, part: str) -> int:
        """How many requests of a method had `part` in their path and query."""
        return sum(each == method and part in path for each, path in self.requests)

    async def _start(self) -> None:
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def _end(self) -> None:
        for waker in list(self._wakers):
            waker.set()
        assert self._runner is not None
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _wake(self) -> None:
        def wake() -> None:
            for waker in self._wakers:
                waker.set()

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(wake)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        try:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                raise Problem(401, "Unauthorized", "Unauthorized")
            for method, path, status, reason in self.refusals:
                if request.method == method and path.search(request.path_qs):
                    raise Problem(status, reason, f"{reason}: {method} {request.path}")
            return await self._answer(request)
        except Problem as problem:
            return web.json_response(problem.status, status=problem.code)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        for version, plurals in KINDS.items():
            if request.path == ("/api/" if "/" not in version else "/apis/") + version:
                found = [
                    {"name": plural, "kind": kind, "namespaced": plural not in CLUSTER_WIDE}
                    for plural, kind in plurals.items()
                ]
                return web.json_response({"kind": "APIResourceList", "resources": found})
        parts = LISTED.fullmatch(request.path)
        version = (parts["core"] or parts["group"]) if parts else ""
        if parts is None or parts["plural"] not in KINDS.get(version, {}):
            raise Problem(404, "NotFound", "the server could not find the requested resource")
        plural, namespace, name = parts["plural"], parts["namespace"] or "", parts["name"]
        if parts["sub"] == "portforward":
            return await self._port_forward(request, name)
        if request.method == "GET" and name is None:
            if request.query.get("watch") == "true":
                return await self._watch(request, plural, namespace)
            return self._list(request, version, plural, namespace)
        if request.method == "GET":
            return web.json_response(self.store.get(plural, namespace, name))
        body = await request.json()
        manager = request.query.get("fieldManager", "unknown")
        if request.method == "POST":
            return web.json_response(
                self.store.create(plural, namespace, body, manager), status=201
            )
        if request.method == "PUT":
            return web.json_response(self.store.replace(plural, namespace, name, body, manager))
        if request.method == "DELETE":
            uid = (body.get("preconditions") or {}).get("uid")
            return web.json_response(self.store.delete(plural, namespace, name, uid))
        return web.json_response(self._patch(request, plural, namespace, name, body, manager))

    def _patch(
        self, request: web.Request, plural: str, namespace: str, name: str, body: Any, manager: str
    ) -> Json:
        dry_run = request.query.get("dryRun") == "All"
        if request.content_type == "application/json-patch+json":
            return self.store.patch(plural, namespace, name, body, manager, dry_run)
        if request.content_type != "application/apply-patch+yaml":
            raise Problem(415, "UnsupportedMediaType", request.content_type)
        force = request.query.get("force") == "true"
        return self.store.apply(
            plural, namespace, name, body, manager, force=force, dry_run=dry_run
        )

    def _list(
        self, request: web.Request, version: str, plural: str, namespace: str
    ) -> web.Response:
        labels = request.query.get("labelSelector", "")
        fields = request.query.get("fieldSelector", "")
        with self.store.lock:
            items = [
                each
                for each in self.store.list_all(plural, namespace)
                if matches(each, labels, fields)
            ]
            metadata = {"resourceVersion": str(self.store.version)}
        kind = KINDS[version][plural]
        return web.json_response(
            {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": items}
        )

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        self._watching.add(response)
        try:
            async for event in self._events(request, plural, namespace):
                await response.write(json.dumps(event).encode() + b"\n")
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._watching.discard(response)
        return response

    async def _events(
        self, request: web.Request, plural: str, namespace: str
    ) -> AsyncIterator[Json]:
        reached = int(request.query["resourceVersion"])
        labels = request.query.get("labelSelector", "")
        fields = request.query.get("fieldSelector", "")
        end = self._loop.time() + float(request.query.get("timeoutSeconds", "60"))
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            while self._loop.time() < end and self._loop.is_running():
                waker.clear()
                with self.store.lock:
                    if reached < self.store.oldest:
                        problem = Problem(410, "Expired", "too old resource version")
                        yield {"type": "ERROR", "object": problem.status}
                        return
                    changes = [each for each in self.store.log if each.version > reached]
                    newest = self.store.version
                for change in changes:
                    reached = change.version
                    if change.plural != plural or namespace not in (
                        "",
                        change.body["metadata"].get("namespace", ""),
                    ):
                        continue
                    # What no longer matches is deleted in the eyes of the one who watches.
                    was = change.before is not None and matches(change.before, labels, fields)
                    now = matches(change.body, labels, fields) and change.kind != "DELETED"
                    if now or was:
                        kind = ("MODIFIED" if was else "ADDED") if now else "DELETED"
                        yield {"type": kind, "object": change.body}
                if not changes:
                    reached = max(reached, newest)
                left_s = min(self.bookmark_s, end - self._loop.time())
                try:
                    await asyncio.wait_for(waker.wait(), max(0.0, left_s))
                except TimeoutError:
                    if request.query.get("allowWatchBookmarks") == "true":
                        metadata = {"resourceVersion": str(reached)}
                        yield {"type": "BOOKMARK", "object": {"metadata": metadata}}
        finally:
            self._wakers.discard(waker)

    async def _port_forward(self, request: web.Request, pod: str) -> web.StreamResponse:
        """One port: channel 0 is its data, channel 1 its errors; each begins with the number."""
        port = int(request.query["ports"])
        socket = web.WebSocketResponse(protocols=(PORT_FORWARD,))
        await socket.prepare(request)
        number = port.to_bytes(2, "little")
        await socket.send_bytes(b"\x00" + number)
        await socket.send_bytes(b"\x01" + number)
        backend = self.backends.get((pod, port))
        try:
            if backend is None:
                raise ConnectionRefusedError
            reader, writer = await asyncio.open_connection("127.0.0.1", backend)
        except ConnectionRefusedError:
            await socket.send_bytes(b"\x01connection refused")
            await socket.close()
            return socket

        async def answers() -> None:
            while piece := await reader.read(65_536):
                await socket.send_bytes(b"\x00" + piece)
            await socket.close()

        carrying = asyncio.ensure_future(answers())
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == b"\x00":
                    writer.write(message.data[1:])
                    await writer.drain()
        finally:
            carrying.cancel()
            writer.close()
        return socket


def _object(api_version: str, kind: str, name: str) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}
