"""Mutated files of every format, and files made to cost time or memory, each bounded."""

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from deployments.image.decoding import ImageError, decode
from tests.deployments.image.decoding.encodings import chunk
from tests.deployments.image.decoding.pictures import (
    encoded,
    gradient,
    noise,
    png_header,
    preprocessing,
)

SEED = int(os.environ.get("FUZZ_SEED", "4"))
CASES = int(os.environ.get("FUZZ_CASES", "24000"))
ROOT = Path(__file__).parents[4]
FILE_BYTES = 10 << 20


def test_mutated_files_are_pictures_or_refused() -> None:
    """The process of its own shows what it was at by a trace, if it crashes."""
    command = [
        sys.executable,
        "-m",
        "tests.deployments.image.decoding.fuzzing",
        str(SEED),
        str(CASES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout)
    assert sum(report["outcomes"].values()) == CASES
    assert report["outcomes"]["picture"] > CASES // 10
    assert report["outcomes"]["image_truncated"] > CASES // 10
    assert report["growth_bytes"] < 32 << 20


def after(file: bytes, position: int, extra: bytes) -> bytes:
    return (file[:position] + extra + file[position:])[:FILE_BYTES]


def jpeg(extra: bytes) -> bytes:
    return after(encoded(gradient(), "JPEG"), 2, extra)


def png(extra: bytes) -> bytes:
    return after(encoded(gradient()), 33, extra)


def gif(extra: bytes) -> bytes:
    file = encoded(gradient(), "GIF")
    return after(file, 13 + (3 << ((file[10] & 7) + 1)), extra)


def jpeg_of_many_scans() -> bytes:
    file = encoded(Image.new("RGB", (64, 64)), "JPEG", progressive=True)
    last = file[file.rindex(b"\xff\xc4") : -2]
    return file[:-2] + last * 900 + file[-2:]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "pixels of PNG": (lambda: png_header(12_000, 12_000), "image_too_many_pixels"),
    "shape of PNG": (lambda: png_header(1, 5_000), "image_too_extreme_shape"),
    "screen of GIF": (
        lambda: (f := encoded(noise(9, 9), "GIF"))[:6] + b"\xff\xff\xff\xff" + f[10:],
        "image_too_many_pixels",
    ),
    "canvas of WebP": (
        lambda: (
            b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\x2f\0\xff\x2f\0"
            + encoded(noise(9, 9), "WEBP")[12:]
        ),
        "image_truncated",
    ),
    "random bytes": (lambda: b"\x07" + bytes(range(255)) * 40_000, "not_an_image"),
    "junk in JPEG": (lambda: b"\xff\xd8\xff" + b"\0" * FILE_BYTES, "image_truncated"),
    "padding in JPEG": (lambda: b"\xff\xd8" + b"\xff" * FILE_BYTES, "image_truncated"),
    "segments of JPEG": (lambda: jpeg(b"\xff\xe1\0\2" * 2_500_000), "image_metadata_too_large"),
    "comments of JPEG": (
        lambda: jpeg((b"\xff\xfe\xff\xff" + b"x" * 65_533) * 150),
        "image_metadata_too_large",
    ),
    "scans of JPEG": (jpeg_of_many_scans, "image_truncated"),
    "text of PNG": (
        lambda: png(chunk(b"tEXt", b"a\0" + b"x" * (9 << 20))),
        "image_metadata_too_large",
    ),
    "texts of PNG": (lambda: png(chunk(b"tEXt", b"a\0") * 700_000), "image_metadata_too_large"),
    "compressed text of PNG": (
        lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * (100 << 20), 1))),
        "image_metadata_too_large",
    ),
    "compressed profile of PNG": (
        lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * (100 << 20), 1))),
        "image_metadata_too_large",
    ),
    "comment of GIF": (lambda: gif(b"!\xfe" + b"\1x" * (5 << 20)), "image_metadata_too_large"),
    "extensions of GIF": (lambda: gif(b"!\xfe\0" * (3 << 20)), "image_metadata_too_large"),
    "EXIF of WebP": (
        lambda: encoded(gradient(), "WEBP", exif=b"Exif\0\0" + b"x" * (5 << 20)),
        "image_metadata_too_large",
    ),
    "chunks of WebP": (
        lambda: after(encoded(gradient(), "WEBP"), -1, b"abcd\0\0\0\0" * (1 << 20)),
        "image_metadata_too_large",
    ),
    "entries of TIFF": (
        lambda: b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 700, 1, 4, 0) * 65_535,
        "image_metadata_too_large",
    ),
    "text of TIFF": (
        lambda: encoded(gradient(), "TIFF", tiffinfo={270: "x" * (5 << 20)}),
        "image_metadata_too_large",
    ),
}

MEASURE = """
import pathlib, statistics, sys, time
from deployments.image.decoding import ImageError, Preprocessing, decode

def resident(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])

data = pathlib.Path(sys.argv[1]).read_bytes()
before, times = resident("VmRSS"), []
for _ in range(9):
    started = time.perf_counter()
    try:
        decode(data, Preprocessing(256, 224, "bilinear", (0,) * 3, (1,) * 3))
    except ImageError:
        pass
    times.append(time.perf_counter() - started)
print(statistics.median(times), resident("VmHWM") - before)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_have_their_codes(name: str) -> None:
    make, code = HOSTILE[name]
    with pytest.raises(ImageError) as caught:
        decode(make(), preprocessing())
    assert caught.value.code == code


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_the_header_shows_costs_next_to_nothing(name: str, tmp_path: Path) -> None:
    """Promised: 20 ms and 10 MB; the file itself is read before."""
    path = tmp_path / "file"
    path.write_bytes(HOSTILE[name][0]())
    command = [sys.executable, "-c", MEASURE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 0.02
    assert kilobytes < 10_000


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP"])
def test_thousands_of_frames_cost_no_more_than_one(format_name: str) -> None:
    frames = [Image.new("RGB", (8, 8), (i % 256, i // 256, 0)) for i in range(2000)]
    file = encoded(frames[0], format_name, save_all=True, append_images=frames[1:])
    assert (decode(file, preprocessing()) <= 2).all()
