"""Digests of folders, and folders that appear whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.registry.artifacts import DigestMismatch, RegistryError, folder_digest, install

Files = dict[str, bytes]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


MODEL = {"model.json": b"{}", "arrays/idf.npy": b"\x00\x01", "arrays/weights.npy": b""}


def test_digest_stays_the_same_for_ever(tmp_path: Path) -> None:
    """What was registered years ago must still verify: this value is never adapted."""
    digest = "sha256:e396747857caee055ac7b4caafbeaaf65b0d0fd585f5a637d59db3fa8f1720da"
    assert folder_digest(write(tmp_path, MODEL)) == digest


def test_digest_leaves_out_the_model_file_of_mlflow_alone(tmp_path: Path) -> None:
    digest = folder_digest(write(tmp_path, MODEL))
    assert folder_digest(write(tmp_path, {"MLmodel": b"flavors: {}"})) == digest
    assert folder_digest(write(tmp_path, {"arrays/MLmodel": b"flavors: {}"})) != digest


names = st.lists(st.sampled_from(["a", "b", "ab", "é", "1 1"]), min_size=1, max_size=3)
folders = st.dictionaries(
    names.map("/".join).map(lambda path: f"{path}.npy"), st.binary(max_size=3), min_size=1
)


@settings(max_examples=100, deadline=None)
@given(one=folders, other=folders)
def test_digests_are_equal_where_the_files_are(one: Files, other: Files) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        write(Path(first), dict(sorted(one.items())))
        write(Path(second), dict(sorted(other.items(), reverse=True)))
        same = folder_digest(Path(first)) == folder_digest(Path(second))
        assert same == (one == other)


@pytest.mark.parametrize("files", [{}, {"MLmodel": b""}])
def test_folder_without_files_has_no_digest(tmp_path: Path, files: Files) -> None:
    with pytest.raises(RegistryError, match="not a folder with files"):
        folder_digest(write(tmp_path, files))
    with pytest.raises(RegistryError, match="not a folder with files"):
        folder_digest(tmp_path / "absent")


def make(partial: Path) -> Path:
    return write(partial / "model", MODEL)


def test_install_fills_once(tmp_path: Path) -> None:
    digest = folder_digest(make(tmp_path))
    final = tmp_path / "cache" / "final"
    filled = []

    def fill(partial: Path) -> Path:
        filled.append(partial)
        return make(partial)

    assert install(final, digest, fill) == install(final, digest, fill) == final
    assert len(filled) == 1
    assert folder_digest(final) == digest


def test_install_replaces_what_was_damaged(tmp_path: Path) -> None:
    digest = folder_digest(make(tmp_path))
    final = install(tmp_path / "final", digest, make)
    (final / "model.json").write_bytes(b"{]")
    assert folder_digest(install(final, digest, make)) == digest


def test_install_refuses_another_content_and_leaves_nothing(tmp_path: Path) -> None:
    final = tmp_path / "cache" / "final"
    with pytest.raises(DigestMismatch):
        install(final, "sha256:" + "0" * 64, make)
    assert [path for path in final.parent.iterdir() if path.is_dir()] == []


def test_interrupted_install_leaves_nothing(tmp_path: Path) -> None:
    final = tmp_path / "cache" / "final"

    def fill(partial: Path) -> Path:
        make(partial)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(final, "sha256:" + "0" * 64, fill)
    assert [path for path in final.parent.iterdir() if path.is_dir()] == []


KILLED = """
import sys, time
from pathlib import Path
from deployments.registry.artifacts import install

def fill(partial):
    (partial / "half.npy").write_bytes(b"half")
    print("filling", flush=True)
    time.sleep(600)

install(Path(sys.argv[1]), "sha256:0", fill)
"""


def test_killed_install_leaves_no_folder_and_does_not_block_the_next(tmp_path: Path) -> None:
    final = tmp_path / "final"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(final)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "filling\n"
        process.send_signal(signal.SIGKILL)
    assert not final.exists()
    digest = folder_digest(make(tmp_path / "expected"))
    assert folder_digest(install(final, digest, make)) == digest
    assert not list(tmp_path.glob(".*.partial"))
