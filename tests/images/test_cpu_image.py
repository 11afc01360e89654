"""The CPU image, built for real: what is in it, and what is not."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kuberay.manifests.cluster import RedisSettings
from serve_app.models import registry_of
from serve_app.settings import Settings
from tests.deployments.registry.server import FakeServer, running
from tests.images.conftest import EPOCH, SECRET, VERSION, Image, build
from tests.images.store import ROOT, Store

pytestmark = pytest.mark.timeout(1000)

CREATED = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%S")
GIGABYTE = 1_000_000_000
AUTHORITIES = RedisSettings.model_fields["certificates"].default
FORBIDDEN = {
    *("torch", "torchvision", "tensorflow", "keras", "matplotlib", "triton"),
    *("pip", "pytest", "playwright", "hypothesis", "mypy", "ruff", "locust", "kubernetes"),
    *("cyclonedx-bom", "setuptools"),
}
INSTALLED = (
    "import importlib.metadata as m, json\n"
    "print(json.dumps(sorted((d.name.lower(), d.version) for d in m.distributions())))"
)


@pytest.fixture(scope="module")
def inspected(store: Store, image: Image) -> dict[str, Any]:
    (found,) = json.loads(store.podman("image", "inspect", image.name))
    return dict(found)


@pytest.fixture(scope="module")
def installed(store: Store, image: Image) -> dict[str, str]:
    return dict(json.loads(store.python(image.name, INSTALLED)))


def test_it_weighs_less_than_a_gigabyte(inspected: dict[str, Any]) -> None:
    assert inspected["Size"] < GIGABYTE


def test_it_has_the_pinned_packages_and_none_that_serving_does_not_need(
    installed: dict[str, str],
) -> None:
    assert FORBIDDEN & set(installed) == set()
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    pins = {name.replace("_", "-"): version for name, version in pins.items()}
    others = {
        name: version
        for name, version in installed.items()
        if name != "realtime-scoring" and pins.get(name.replace("_", "-")) != version
    }
    assert others == {}


def test_the_list_of_packages_names_exactly_what_is_installed(
    store: Store, image: Image, installed: dict[str, str]
) -> None:
    inside = store.podman(
        "run", "--rm", "--network", "none", image.name, "cat", "/opt/scoring/sbom.cdx.json"
    )
    assert json.loads(inside) == json.loads(image.sbom.read_bytes())
    listed = json.loads(inside)
    assert listed["bomFormat"] == "CycloneDX"
    everything = [listed["metadata"]["component"], *listed["components"]]
    components = {one["name"].lower(): one["version"] for one in everything}
    assert components == installed


def test_it_says_what_it_is(inspected: dict[str, Any]) -> None:
    labels = inspected["Labels"]
    assert labels["org.opencontainers.image.title"] == "realtime-scoring"
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert inspected["Created"].startswith(CREATED)


def test_whoever_runs_in_it_is_nobody_and_can_write_nowhere(
    store: Store, image: Image, inspected: dict[str, Any]
) -> None:
    assert inspected["Config"]["User"] == "10001:10001"
    program = (
        "import os\n"
        "print(os.getuid(), os.getgid())\n"
        "for folder, _, names in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/sys', '/dev')):\n"
        "        continue\n"
        "    for path in (folder, *(os.path.join(folder, name) for name in names)):\n"
        "        if os.access(path, os.W_OK) and not os.path.islink(path):\n"
        "            print(path)\n"
    )
    # On a root file system that could be written to: only what its owner allows counts.
    lines = store.podman(
        *("run", "--rm", "--network", "none", "--cap-drop", "all", "--no-healthcheck"),
        *(image.name, "python", "-c", program),
    ).splitlines()
    assert lines[0] == "10001 10001"
    allowed = ("/tmp", "/var/tmp", "/run", "/var/lib/scoring", "/etc/mtab")
    assert [path for path in lines[1:] if not path.startswith(allowed)] == []


def test_a_login_shell_finds_the_same_commands(store: Store, image: Image) -> None:
    """KubeRay starts Ray by one, and Debian's profile sets another PATH."""
    commands = ("ray", "scoring", "python")
    for shell in ("-c", "-lc"):
        found = store.podman(
            *("run", "--rm", "--network", "none", "--no-healthcheck", image.name),
            *("/bin/bash", shell, "--", f"command -v {' '.join(commands)}"),
        )
        assert found.split() == [
            f"/opt/scoring/venv/bin/{name}" for name in ("ray", "scoring", "python")
        ]


def test_everything_that_the_application_reads_is_there(store: Store, image: Image) -> None:
    program = (
        "import os, subprocess\n"
        "from importlib.resources import files\n"
        "app, faq = files('serve_app'), files('deployments.faq')\n"
        "for path in (app / 'page', app / 'oip' / 'wire', faq / 'javascript'):\n"
        "    print(path.name, *(p.name for p in path.iterdir() if p.is_file()))\n"
        "for name in ('RAY_SERVE_HAPROXY_BINARY_PATH', 'HAPROXY_BINARY'):\n"
        "    print(os.access(os.environ[name], os.X_OK))\n"
        "script = os.environ['RAY_SERVE_HAPROXY_BINARY_PATH']\n"
        "print(subprocess.run([script, '-v'], capture_output=True, text=True).stdout)\n"
    )
    program += f"print(os.path.isfile({AUTHORITIES!r}))\n"
    lines = store.python(image.name, program).splitlines()
    for line, path in zip(
        lines, ("serve_app/page", "serve_app/oip/wire", "deployments/faq/javascript"), strict=False
    ):
        here = {one.name for one in (ROOT / path).iterdir() if one.is_file()}
        assert set(line.split()[1:]) == here
    assert lines[3:5] == ["True", "True"]
    assert lines[5].startswith("HAProxy version")
    assert lines[-1] == "True"


def test_bytecode_is_there_and_names_no_time(store: Store, image: Image) -> None:
    program = (
        "import importlib.util as u\n"
        "for name in ('serve_app.models', 'deployments.batching', 'ray', 'sklearn.pipeline'):\n"
        "    data = open(u.cache_from_source(u.find_spec(name).origin), 'rb').read(8)\n"
        "    print(int.from_bytes(data[4:], 'little'))\n"
    )
    # PEP 552: by hash, and not checked against the source.
    assert store.python(image.name, program).split() == ["1"] * 4


def test_models_are_baked_in_by_version_and_digest(store: Store, image: Image) -> None:
    program = (
        "from pathlib import Path\n"
        "from deployments.registry import RegistryError, open_registry\n"
        "registry = open_registry('baked:///opt/scoring/models', artifacts=Path(), cache=Path())\n"
        "for asked in ('faq champion', 'faq challenger', 'mobilenet_v2 champion'):\n"
        "    version = registry.resolve(*asked.split())\n"
        "    print(version.name, version.version, version.digest, end=' ')\n"
        "    try:\n"
        "        print(registry.fetch(version).name)\n"
        "    except RegistryError as error:\n"
        "        print('absent')\n"
    )
    entries = json.loads((image.models / "index.json").read_bytes())["versions"]
    expected = [
        f"{one['name']} {one['version']} {one['digest']} "
        + ("absent" if one["name"] == "mobilenet_v2" else f"{one['name']}-{one['version']}")
        for one in entries
    ]
    assert store.python(image.name, program).splitlines() == expected


def test_models_can_come_from_a_server_at_the_start(
    store: Store, image: Image, tmp_path: Path
) -> None:
    with running(FakeServer(aliases=True)) as uri:
        registry = registry_of(Settings.model_validate({"registry.uri": uri, "data_dir": tmp_path}))
        model = tmp_path / "model"
        shutil.copytree(image.models / "faq" / "faq-2", model)
        made = registry.register("faq", model, metrics={}, parameters={}, tags={})
        program = (
            "from deployments.faq.versions import load_version\n"
            "from serve_app.models import registry_of\n"
            "from serve_app.settings import Settings\n"
            f"given = {{'registry.uri': {uri!r}, 'data_dir': '/tmp/d'}}\n"
            "registry = registry_of(Settings.model_validate(given))\n"
            "print(load_version(registry, registry.resolve('faq')).version.digest)\n"
        )
        found = store.python(image.name, program, "--network", "host", "--tmpfs", "/tmp")
    assert found.strip() == made.digest


def test_no_secret_stays_in_it(store: Store, image: Image, inspected: dict[str, Any]) -> None:
    history = store.podman("image", "history", "--no-trunc", "--format", "json", image.name)
    assert SECRET not in history
    assert SECRET not in json.dumps(inspected)
    program = "import os; print(os.path.exists('/etc/pip.conf'), os.path.exists('/build'))"
    assert store.python(image.name, program).split() == ["False", "False"]
    searched = store.podman(
        *("run", "--rm", "--network", "none", "--no-healthcheck", "--user", "0", image.name),
        *("sh", "-c", f"grep -rl {SECRET} /etc /opt /root /var /home /srv; echo searched"),
    )
    assert searched.split() == ["searched"]


@pytest.mark.parametrize(
    "command",
    [
        ("faq", "train"),
        ("load", "--plot", "plot.png"),
        ("image", "classify", "--plot", "a.png", "b"),
    ],
)
def test_what_draws_says_at_once_that_it_cannot(
    store: Store, image: Image, command: tuple[str, ...]
) -> None:
    words = ("run", "--rm", "--network", "none", "--no-healthcheck", image.name)
    ended = store.run("podman", *words, "scoring", *command, check=False)
    assert ended.returncode == 1
    assert "pip install 'realtime-scoring[plots]'" in ended.stderr


def test_the_health_check_asks_rays_node(
    store: Store, image: Image, inspected: dict[str, Any]
) -> None:
    check = inspected["HealthCheck"] if "HealthCheck" in inspected else inspected["Healthcheck"]
    assert check["Test"][:2] == ["CMD", "python"]
    # Nothing listens there.
    ended = store.run(
        *("podman", "run", "--rm", "--network", "none", "--no-healthcheck", image.name),
        *check["Test"][1:],
        check=False,
    )
    assert ended.returncode == 1
    assert "Connection refused" in ended.stderr


def test_the_same_input_gives_the_same_layers(
    store: Store, image: Image, inspected: dict[str, Any]
) -> None:
    """Built anew from the copy of the code on, with other file times."""
    extra = ROOT / "serve_app" / "not-part-of-the-package.txt"
    extra.write_text("forces a new build\n", encoding="utf-8")
    try:
        build(store, image)
    finally:
        extra.unlink()
    (again,) = json.loads(store.podman("image", "inspect", image.name))
    assert again["RootFS"]["Layers"] == inspected["RootFS"]["Layers"]
