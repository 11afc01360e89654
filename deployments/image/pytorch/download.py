"""Fetches torchvision's published weights, checked against the hash in their name."""

import hashlib
import os
from pathlib import Path
from typing import IO, Any

import httpx
from torchvision.models import get_model_weights
from tqdm import tqdm

from deployments.image.config import WeightsError
from deployments.image.pytorch.architectures import find_preset, is_named_after, presets

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_CHUNK_BYTES = 1 << 20
_BAR_AFTER_S = 1.0


class WeightsUnavailable(WeightsError):
    """Published weights that could not be fetched; the message says how to supply them."""


def download_weights(
    architecture: str,
    folder: Path,
    *,
    preset: str | None = None,
    progress: bool = True,
    base_url: str | None = None,
) -> Path:
    """The path of the published file in `folder`, downloaded unless it is there and intact.

    Without a name the preset is the one that torchvision recommends. `base_url` replaces
    everything before the file's name. Nothing is left behind by a download that fails.

    Raises:
        WeightsError: unknown architecture or preset
        WeightsUnavailable: no network, an error from the server, or a file with the wrong hash
    """
    entry = recommended_preset(architecture, preset)
    name: str = entry.url.rpartition("/")[2]
    url = entry.url if base_url is None else f"{base_url.rstrip('/')}/{name}"
    path = folder / name
    if path.is_file() and is_named_after(name, file_sha256(path, progress=progress)):
        return path
    try:
        fetch(url, path, progress=progress)
    except (httpx.HTTPError, WeightsError) as error:
        raise WeightsUnavailable(
            f"the weights {name} ({architecture}, {entry.name}) could not be downloaded from"
            f" {url}: {error}. Download that file where there is a network, then start with"
            f" image.weights=/path/to/{name}"
        ) from error
    return path


def recommended_preset(architecture: str, name: str | None = None) -> Any:
    """The preset called `name`, or the one that torchvision recommends.

    Raises:
        WeightsError: unknown architecture or preset
    """
    presets(architecture)  # refuses a name that is unknown before torchvision looks it up
    return find_preset(architecture, name or get_model_weights(architecture).DEFAULT.name)


def file_sha256(path: Path, *, progress: bool = False) -> str:
    """The hexadecimal sha256 of a file; the progress bar appears where it takes over a second."""
    digest = hashlib.sha256()
    with (
        path.open("rb") as file,
        tqdm(
            desc=f"checking {path.name}",
            total=path.stat().st_size,
            unit="B",
            unit_scale=True,
            delay=_BAR_AFTER_S,
            disable=not progress,
        ) as bar,
    ):
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def fetch(url: str, path: Path, *, progress: bool) -> None:
    """Downloads to `path`, all or nothing, a file whose name holds its hash.

    Raises:
        httpx.HTTPError: the server cannot be reached, refuses, or breaks off
        WeightsError: the hash is another one
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            sha256 = _stream(url, file, path.name, progress=progress)
        if not is_named_after(path.name, sha256):
            raise WeightsError(f"its sha256 begins with {sha256[:8]}, not as its name says")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _stream(url: str, file: IO[bytes], name: str, *, progress: bool) -> str:
    digest = hashlib.sha256()
    with httpx.stream("GET", url, timeout=_TIMEOUT, follow_redirects=True) as response:
        response.raise_for_status()
        total = int(response.headers.get("content-length", 0)) or None
        with tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=not progress) as bar:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                bar.update(len(chunk))
    return digest.hexdigest()
