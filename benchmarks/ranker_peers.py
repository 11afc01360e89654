"""The peers of the question benchmark, each plain and with its own batching, tuned by its docs."""

from pathlib import Path

from benchmarks.environments import BENCHMARKS, WORK
from benchmarks.servers import Form, Server

PATH = "/v1/faq/rank"
BATCH = 16
BATCH_WAIT_S = 0.002


def ranker_peers(model: Path) -> list[Server]:
    """Every variant of every peer, each with the ranker saved in `model`.

    One thread for numerical libraries: more only get into each other's way with one question.
    """
    shared = {"BENCHMARK_MODEL": str(model), "OMP_NUM_THREADS": "1"}
    return [
        _uvicorn(shared),
        _litserve("LitServe", shared),
        _litserve(
            "LitServe batched", shared, "--batch", str(BATCH), "--batch-timeout", str(BATCH_WAIT_S)
        ),
        _bentoml("BentoML", "Plain", "question", shared),
        _bentoml("BentoML batched", "Batched", "list", shared),
        *_mlservers(shared),
    ]


def _mlservers(shared: dict[str, str]) -> list[Server]:
    batching = {
        "MLSERVER_MODEL_MAX_BATCH_SIZE": str(BATCH),
        "MLSERVER_MODEL_MAX_BATCH_TIME": str(BATCH_WAIT_S),
    }
    worker = {"MLSERVER_PARALLEL_WORKERS": "1"}
    v2 = "/v2/models/faq/infer"
    return [
        _mlserver("MLServer", "Direct", PATH, "question", shared),
        _mlserver("MLServer one worker", "Worker", PATH, "question", {**shared, **worker}),
        _mlserver("MLServer batched", "Inference", PATH, "question", {**shared, **batching}),
        _mlserver("MLServer V2", "Inference", v2, "tensor", shared),
        _mlserver("MLServer V2 batched", "Inference", v2, "tensor", {**shared, **batching}),
    ]


def _uvicorn(environment: dict[str, str]) -> Server:
    app = "benchmarks.peers.uvicorn_app:app"
    tuned = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
    command = ("-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "{port}", *tuned)
    return Server(
        "uvicorn + Starlette",
        "uvicorn",
        command,
        PATH,
        "/readyz",
        peer="uvicorn",
        environment=environment,
    )


def _litserve(name: str, environment: dict[str, str], *arguments: str) -> Server:
    command = ("-m", "benchmarks.peers.litserve_app", "--port", "{port}", *arguments)
    return Server(
        name, "LitServe", command, PATH, "/health", peer="litserve", environment=environment
    )


def _bentoml(name: str, service: str, form: Form, environment: dict[str, str]) -> Server:
    target = f"benchmarks.peers.bentoml_app:{service}"
    place = ("--host", "127.0.0.1", "--port", "{port}")
    quiet = {"BENTOML_HOME": str(WORK / "bentoml-home"), "BENTOML_DO_NOT_TRACK": "True"}
    command = ("-m", "bentoml", "serve", target, *place)
    return Server(
        name,
        "BentoML",
        command,
        PATH,
        "/readyz",
        peer="bentoml",
        form=form,
        environment={**environment, **quiet},
    )


def _mlserver(name: str, model: str, path: str, form: Form, environment: dict[str, str]) -> Server:
    settings = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port2}",
        "MLSERVER_METRICS_PORT": "{port3}",
        "MLSERVER_METRICS_DIR": str(WORK / "mlserver-metrics"),
        "MLSERVER_ENVIRONMENTS_DIR": str(WORK / "mlserver-environments"),
        "MLSERVER_DEBUG": "false",
        "MLSERVER_GZIP_ENABLED": "false",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_MODEL_IMPLEMENTATION": f"benchmarks.peers.mlserver_app.model.{model}",
    }
    folder = str(BENCHMARKS / "peers" / "mlserver_app")
    command = ("-m", "mlserver.cli.main", "start", folder)
    return Server(
        name,
        "MLServer",
        command,
        path,
        "/v2/models/faq/ready",
        peer="mlserver",
        form=form,
        environment={**settings, **environment},
    )
