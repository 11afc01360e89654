"""Images and containers in a folder of their own, by buildah and podman as root, without Docker."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = ROOT / "tests" / ".environments" / "base"
"""Debian's own packages, unpacked: kept between runs, ignored by git."""
DEBIAN = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TOOLS = ("buildah", "podman", "runc", "debootstrap", "make", "git", "ip")
BASE_IMAGE = "localhost/base"
BASE_S, BUILD_S, COMMAND_S = 400, 900, 120
MOST_PROCESSES = 32768
MOST_WORDS = 4000


class Store:
    """Where images and containers are kept; `environment` makes the tools use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        storage, containers = folder / "storage.conf", folder / "containers.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\n'
            f'runroot = "{folder}/run"\n'
        )
        # No systemd here; and no container may ask for more than this process may have.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        containers.write_text(
            "[containers]\n"
            f'default_ulimits = ["nofile={files}:{files}", '
            f'"nproc={MOST_PROCESSES}:{MOST_PROCESSES}"]\n'
            'log_driver = "k8s-file"\n'
            "[engine]\n"
            'cgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
            f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
        )
        self.environment = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(containers),
        }

    def run(
        self, *command: str, timeout_s: float = COMMAND_S, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a tool with this store; its words are in the failure."""
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check:
            assert ended.returncode == 0, (
                f"{command}:\n{ended.stdout[-4000:]}{ended.stderr[-4000:]}"
            )
        return ended

    def podman(self, *arguments: str, timeout_s: float = COMMAND_S) -> str:
        """What podman prints."""
        return self.run("podman", *arguments, timeout_s=timeout_s).stdout

    def python(self, image: str, program: str, *options: str) -> str:
        """What a program prints that runs in a container of the image, without a network."""
        confined = ("--read-only", "--cap-drop", "all", "--no-healthcheck")
        network = () if "--network" in options else ("--network", "none")
        return self.podman(
            *("run", "--rm", *confined, *network, *options, image, "python", "-c", program)
        )


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """A store with the base image, which leaves nothing behind."""
    store = Store(folder)
    try:
        container = store.run("buildah", "from", "scratch").stdout.strip()
        store.run("buildah", "add", "--quiet", container, str(BASE), "/")
        store.run("buildah", "commit", "--quiet", "--timestamp", "0", container, BASE_IMAGE)
        store.run("buildah", "rm", container)
        yield store
    finally:
        store.run("podman", "rm", "--all", "--force", "--time", "0", check=False)
        store.run("buildah", "rm", "--all", check=False)
        # The tools mount the store's own folder onto itself.
        for mount in sorted(_mounts_below(folder), reverse=True):
            subprocess.run(["umount", mount], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def need_tools() -> None:
    """Skips where images cannot be built: says what is absent."""
    if os.geteuid() != 0:
        pytest.skip("images are built as root here")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")


def make_base() -> None:
    """Debian's packages, without what its slim images leave out; skips where there are none."""
    done = BASE / "etc" / "made-for-tests"
    if done.exists():
        return
    shutil.rmtree(BASE, ignore_errors=True)
    BASE.parent.mkdir(exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(BASE)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BASE_S, check=False)
    if ended.returncode != 0:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        pytest.skip(f"debootstrap cannot make a base: {''.join(last)}")
    for unneeded in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists"):
        shutil.rmtree(BASE / unneeded)
    for archive in (BASE / "var" / "cache" / "apt").rglob("*.*"):
        archive.unlink()
    # Whom this machine trusts.
    shutil.copy(CERTIFICATES, BASE / CERTIFICATES.relative_to("/"))
    done.touch()


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    mounts = [line.split()[1] for line in lines]
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]
