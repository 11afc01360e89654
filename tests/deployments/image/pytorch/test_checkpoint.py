"""Files that are, and above all are not, a state dict: what is said of each."""

import contextlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from deployments.image.config import WeightsError
from deployments.image.pytorch.checkpoint import read_state_dict

STATE = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}


def torch_bytes(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def archive(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


def tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name in names:
            file.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


GOOD = {
    "zip": torch_bytes(STATE),
    "before PyTorch 1.6": torch_bytes(STATE, _use_new_zipfile_serialization=False),
    "safetensors": save(STATE),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.bin"])
def test_the_content_decides_not_the_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    found = read_state_dict(tmp_path / name)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"\x1f\x8b\x08", "gzip; unpack"),
        (b"\x89HDF\r\n\x1a\n", "image.framework=keras"),
        (b"just some text", "is not a file of weights"),
        (tar("sys_info", "pickle", "storages", "tensors"), "a tar archive"),
        (archive(readme="text"), "not one of torch.save"),
        (archive(a__constants="", **{"a__constants.pkl": ""}), "a TorchScript program"),
        (archive(**{"config.json": "{}", "model.weights.h5": ""}), "a Keras model"),
        (torch_bytes(STATE)[:-100], "archive without its end"),
        (GOOD["before PyTorch 1.6"][:-8], "is cut off"),
        (GOOD["safetensors"][:-8], "is cut off"),
        (torch_bytes(nn.Linear(2, 3)), "objects other than tensors.*state_dict"),
        (torch_bytes([torch.ones(1)]), "holds a list"),
        (torch_bytes({}), "not a state dict"),
        (torch_bytes({**STATE, "epoch": 3}), "not a state dict"),
        (
            torch_bytes({"epoch": 3, "state_dict": STATE}),
            r"training checkpoint .* under 'state_dict' beside epoch: save its 'state_dict' alone",
        ),
        (torch_bytes({"model": STATE}), "the weights under 'model': "),
        (
            torch_bytes({f"module.{key}": value for key, value in STATE.items()}),
            r"DataParallel; save model.module.state_dict\(\)",
        ),
        (
            torch_bytes({f"_orig_mod.{key}": value for key, value in STATE.items()}),
            "wrapped in torch.compile",
        ),
    ],
)
def test_what_is_no_state_dict_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "given.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_state_dict(file)
    assert "given.pth" in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_what_the_system_does_not_let_us_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.pth"):
        with pytest.raises(WeightsError, match="cannot be read"):
            read_state_dict(path)


class _Dangerous:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("dump", [torch_bytes, pickle.dumps])
def test_code_in_a_pickle_does_not_run(dump: Callable[[Any], bytes], tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "a.pth").write_bytes(dump({"a": _Dangerous(trace)}))
    with pytest.raises(WeightsError, match="not a readable file"):
        read_state_dict(tmp_path / "a.pth")
    assert not trace.exists()


@settings(max_examples=200, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(GOOD)))
def test_a_damaged_file_is_refused_or_read(
    data: st.DataObject, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.pth"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(WeightsError):
        assert all(isinstance(name, str) for name in read_state_dict(file))
