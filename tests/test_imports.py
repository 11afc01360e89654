"""Who may import whom: read from the source, and proven on a fresh interpreter."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    *("torch", "torchvision", "safetensors", "keras", "tensorflow", "h5py"),
    *("sklearn", "matplotlib", "mlflow"),
}
WEB = {"starlette", "uvicorn", "httpx", "swagger_ui_bundle", "python_multipart"}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def names(folder: str) -> Iterator[tuple[Path, str]]:
    """Every import of every file below a folder, with the file relative to the root."""
    files = [ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            yield path.relative_to(ROOT), name


def within(name: str, packages: set[str]) -> bool:
    """Whether a module is one of the packages or below one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


FORBIDDEN = {
    # No model library in the router, wherever it is imported.
    "serve_app": HEAVY,
    # A deployment knows nothing of the application in front of it, nor of its neighbours.
    "deployments": {"serve_app", "benchmarks", "tests"} | WEB,
    "deployments/faq": {"deployments.image", "torch", "torchvision", "mlflow"},
    "deployments/image": {"deployments.faq", "sklearn", "mlflow"},
    "deployments/image/decoding": HEAVY,
    "deployments/batching.py": {"ray", "numpy", "deployments"},
    # The client knows the service by its HTTP API alone.
    "serve_app/client": {"ray", "numpy", "deployments", "starlette", "pydantic", "orjson"},
    # The load generator runs beside the service, never in it.
    "serve_app/load": {"ray", "starlette", "benchmarks", "tests"},
    # The cluster's side knows the service by its settings and by its HTTP API.
    "kuberay": {"ray", "deployments", "benchmarks", "tests", "starlette", "uvicorn"} | HEAVY,
}


ALLOWED = {
    # The published weights come over HTTP.
    ("download.py", "httpx"),
    # `scoring load` alone draws, when it is asked to.
    ("plot.py", "matplotlib.figure"),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_forbidden_arrow(folder: str) -> None:
    forbidden = FORBIDDEN[folder]
    found = [
        f"{path} imports {name}"
        for path, name in names(folder)
        if within(name, forbidden) and (path.name, name) not in ALLOWED
    ]
    assert found == []


def test_ray_is_known_to_the_thin_deployments_alone() -> None:
    found = {path.name for path, name in names("deployments") if within(name, {"ray"})}
    assert found <= {"deployment.py"}


def test_training_is_reached_from_the_command_line_alone() -> None:
    training = {
        "deployments.faq.comparison",
        "deployments.faq.evaluation",
        "deployments.faq.pictures",
        "deployments.faq.preparation",
        "deployments.faq.training",
        "deployments.image.contact_sheet",
        "deployments.image.keras.weights",
        "deployments.image.pytorch.weights",
    }
    found = {path.parts[1] for path, name in names("serve_app") if within(name, training)}
    assert found == {"cli"}


def test_kuberay_knows_settings_and_the_client_alone() -> None:
    allowed = {
        *("serve_app.settings", "serve_app.configuration", "serve_app.fast_path"),
        *("serve_app.serve_config", "serve_app.client"),
    }
    found = [
        f"{path} imports {name}"
        for path, name in names("kuberay")
        if within(name, {"serve_app"}) and not within(name, allowed)
    ]
    assert found == []


def test_kuberay_is_reached_from_the_command_line_alone() -> None:
    found = {path.parts[1] for path, name in names("serve_app") if within(name, {"kuberay"})}
    assert found <= {"cli"}
    assert not [path for path, name in names("deployments") if within(name, {"kuberay"})]


def test_deployments_stay_thin() -> None:
    for path in ROOT.glob("deployments/*/deployment.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("module", ["serve_app", "serve_app.application", "serve_app.cli.serve"])
def test_importing_the_application_loads_no_model_library(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == ""
