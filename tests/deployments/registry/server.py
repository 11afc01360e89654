"""A small server that speaks what MLflow's REST client asks for; MLflow's own needs more packages.

With `aliases=False` it knows no alias requests, as Azure Machine Learning. State is in memory.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
Json = dict[str, Any]


class RefusedError(Exception):
    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.body = {"error_code": code, "message": code.lower()}


class FakeServer:
    """The requests by name; each takes the request's fields and gives the answer's."""

    def __init__(self, *, aliases: bool = True) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, Json] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        self.versions: dict[str, list[Json]] = {}
        self.files: dict[str, bytes] = {}
        self.downloads = 0
        self.truncates_downloads = False
        self.requests: dict[str, Callable[[Json], Json]] = {
            "POST experiments/create": self.create_experiment,
            "GET experiments/get-by-name": self.get_experiment,
            "POST runs/create": self.create_run,
            "POST runs/log-batch": self.log_batch,
            "POST runs/update": self.update_run,
            "GET runs/get": self.get_run,
            "POST registered-models/create": self.create_model,
            "GET registered-models/get": self.get_model,
            "POST model-versions/create": self.create_version,
            "GET model-versions/get": self.get_version,
            "GET model-versions/search": self.search_versions,
            "POST model-versions/set-tag": self.set_tag,
            "DELETE model-versions/delete-tag": self.delete_tag,
        }
        if aliases:
            self.requests["POST registered-models/alias"] = self.set_alias
            self.requests["GET registered-models/alias"] = self.get_alias

    def answer(self, request: str, fields: Json) -> Json:
        if request not in self.requests:
            raise RefusedError(404, "ENDPOINT_NOT_FOUND")
        return self.requests[request](fields)

    def create_experiment(self, fields: Json) -> Json:
        if fields["name"] in self.experiments:
            raise RefusedError(400, "RESOURCE_ALREADY_EXISTS")
        self.experiments[fields["name"]] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[fields["name"]]}

    def get_experiment(self, fields: Json) -> Json:
        name = fields["experiment_name"]
        return {"experiment": {"experiment_id": self.experiments[name], "name": name}}

    def create_run(self, fields: Json) -> Json:
        run = uuid.uuid4().hex
        info = {
            "run_id": run,
            "experiment_id": fields["experiment_id"],
            "status": "RUNNING",
            "artifact_uri": f"mlflow-artifacts:/{run}",
        }
        self.runs[run] = {"info": info, "data": {"metrics": [], "params": []}}
        return {"run": self.runs[run]}

    def log_batch(self, fields: Json) -> Json:
        data = self.runs[fields["run_id"]]["data"]
        data["metrics"] += fields.get("metrics", [])
        data["params"] += fields.get("params", [])
        return {}

    def update_run(self, fields: Json) -> Json:
        info = self.runs[fields["run_id"]]["info"]
        info["status"] = fields["status"]
        return {"run_info": info}

    def get_run(self, fields: Json) -> Json:
        return {"run": self.runs[fields["run_id"]]}

    def create_model(self, fields: Json) -> Json:
        if fields["name"] in self.versions:
            raise RefusedError(400, "RESOURCE_ALREADY_EXISTS")
        self.versions[fields["name"]] = []
        self.aliases[fields["name"]] = {}
        return self.get_model(fields)

    def get_model(self, fields: Json) -> Json:
        if fields["name"] not in self.versions:
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST")
        aliases = self.aliases[fields["name"]].items()
        named = [{"alias": alias, "version": version} for alias, version in aliases]
        return {"registered_model": {"name": fields["name"], "aliases": named}}

    def create_version(self, fields: Json) -> Json:
        versions = self.versions[fields["name"]]
        versions.append({**fields, "version": str(len(versions) + 1), "status": "READY"})
        return {"model_version": versions[-1]}

    def get_version(self, fields: Json) -> Json:
        for version in self.versions.get(fields["name"], []):
            if version["version"] == fields["version"]:
                return {"model_version": version}
        raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST")

    def search_versions(self, fields: Json) -> Json:
        """One version a page, so that a client has to turn pages."""
        name = fields["filter"].removeprefix("name='").removesuffix("'")
        versions = self.versions.get(name, [])
        page = int(fields.get("page_token", 0))
        more = {"next_page_token": str(page + 1)} if page + 1 < len(versions) else {}
        return {"model_versions": versions[page : page + 1], **more}

    def set_tag(self, fields: Json) -> Json:
        version = self.get_version(fields)["model_version"]
        self.delete_tag(fields)
        version["tags"].append({"key": fields["key"], "value": fields["value"]})
        return {}

    def delete_tag(self, fields: Json) -> Json:
        version = self.get_version(fields)["model_version"]
        version["tags"] = [tag for tag in version["tags"] if tag["key"] != fields["key"]]
        return {}

    def set_alias(self, fields: Json) -> Json:
        self.aliases[fields["name"]][fields["alias"]] = fields["version"]
        return {}

    def get_alias(self, fields: Json) -> Json:
        if fields["name"] not in self.versions:
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST")
        if fields["alias"] not in self.aliases[fields["name"]]:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE")
        return self.get_version(
            {**fields, "version": self.aliases[fields["name"]][fields["alias"]]}
        )

    def list_files(self, folder: str) -> Json:
        below = [
            name.removeprefix(f"{folder}/") for name in self.files if name.startswith(f"{folder}/")
        ]
        names = {name.split("/")[0]: "/" in name for name in below}
        return {"files": [{"path": name, "is_dir": is_dir} for name, is_dir in names.items()]}

    def download(self, name: str) -> bytes:
        self.downloads += 1
        content = self.files[name]
        return content[:-1] if self.truncates_downloads else content


class Handler(BaseHTTPRequestHandler):
    fake: FakeServer

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = dict(parse_qsl(url.query))
        if url.path.startswith(FILES):
            self.send(
                200, self.artifact(unquote(url.path.removeprefix(FILES).strip("/")), query, body)
            )
            return
        request = f"{self.command} {url.path.removeprefix(API)}"
        try:
            answer = self.fake.answer(request, json.loads(body) if body else query)
            self.send(200, json.dumps(answer).encode())
        except RefusedError as refusal:
            self.send(refusal.status, json.dumps(refusal.body).encode())

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_request  # noqa: N815

    def artifact(self, name: str, query: dict[str, str], body: bytes) -> bytes:
        if self.command == "PUT":
            self.fake.files[name] = body
            return b"{}"
        if not name:
            return json.dumps(self.fake.list_files(query["path"])).encode()
        return self.fake.download(name)

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running(fake: FakeServer) -> Iterator[str]:
    """Serves on a free port of the loopback; gives the URI."""
    handler = type("BoundHandler", (Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
