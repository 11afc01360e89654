import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deployments.image.decoding import FORMATS, ImageError, ImageLimits, Preprocessing, decode
from tests.deployments.image.pictures import (
    damaged_exif,
    encoded,
    gradient,
    noise,
    png_header,
    preprocessing,
)


def refusal(data: bytes, limits: ImageLimits | None = None) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, preprocessing(), limits or ImageLimits())
    return caught.value


def code_of(data: bytes, limits: ImageLimits | None = None) -> str:
    return refusal(data, limits).code


class TestRefusals:
    @pytest.mark.parametrize("data", [b"", b"\0", b"<html><body>404</body></html>", b"%PDF-1.7"])
    def test_what_is_no_picture(self, data: bytes) -> None:
        assert code_of(data) == "not_an_image"

    @pytest.mark.parametrize("name", ["PPM", "ICO", "TGA", "PCX"])
    def test_formats_that_are_not_allowed(self, name: str) -> None:
        assert code_of(encoded(noise(32, 32), name)) == "not_an_image"

    @pytest.mark.parametrize("name", FORMATS)
    def test_truncated(self, name: str) -> None:
        data = encoded(noise(64, 64), name)
        assert code_of(data[: len(data) // 2]) == "image_truncated"
        assert code_of(data[:20]) == "image_truncated"

    def test_the_header_alone_refuses(self) -> None:
        assert code_of(png_header(12_000, 12_000)) == "image_too_many_pixels"
        assert code_of(png_header(65_000, 1_300)) == "image_too_many_pixels"
        assert code_of(png_header(1, 5_000)) == "image_too_extreme_shape"
        assert code_of(png_header(7_000, 7_000)) == "image_truncated"

    def test_limits_are_inclusive(self) -> None:
        limits = ImageLimits(max_pixels=2000, max_aspect_ratio=20)
        assert decode(encoded(noise(200, 10)), preprocessing(), limits).shape == (224, 224, 3)
        assert code_of(encoded(noise(201, 10)), limits) == "image_too_many_pixels"
        assert code_of(encoded(noise(181, 9)), limits) == "image_too_extreme_shape"

    def test_a_frame_larger_than_its_gif_counts(self) -> None:
        data = bytearray(encoded(noise(8, 8), "GIF"))
        frame = data.index(b",\0\0\0\0\x08\0\x08\0")
        data[frame + 5 : frame + 9] = struct.pack("<HH", 30_000, 30_000)
        assert code_of(bytes(data)) == "image_too_many_pixels"

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("truncated_50pct.jpg", "image_truncated"),
            ("png_bad_crc.png", "image_truncated"),
            ("empty.jpg", "not_an_image"),
            ("html_404.jpg", "not_an_image"),
            ("bomb_1bit_12000x12000.png", "image_too_many_pixels"),
            ("tiny_1x5000.png", "image_too_extreme_shape"),
        ],
    )
    def test_real_files(self, awkward: Path, name: str, code: str) -> None:
        error = refusal((awkward / name).read_bytes())
        assert error.code == code
        assert "/" not in str(error)


@cache
def small_files() -> list[bytes]:
    image = noise(24, 18)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [encoded(image, name, exif=exif) for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")] + [
        encoded(image, "GIF", save_all=True, append_images=[noise(24, 18, 1)]),
        encoded(image, "BMP"),
        encoded(image.convert("RGBA")),
        encoded(image.convert("CMYK"), "JPEG"),
    ]


@pytest.mark.filterwarnings("ignore:::PIL")
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_mutation_is_a_picture_or_refused(data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from(small_files())))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(1, len(file)))
    try:
        pixels = decode(bytes(file[:end]), preprocessing(40, 32), ImageLimits(1_000_000))
    except ImageError:
        return
    assert pixels.shape == (32, 32, 3)


def test_nothing_is_printed_about_odd_pictures(tmp_path: Path) -> None:
    """In a process of its own, as pytest sets its own filters for warnings."""
    (tmp_path / "exif.jpg").write_bytes(encoded(gradient(), "JPEG", exif=damaged_exif()))
    (tmp_path / "bomb.png").write_bytes(png_header(12_000, 12_000))
    program = """
import pathlib, sys
from deployments.image.decoding import ImageError, Preprocessing, decode
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        decode(path.read_bytes(), Preprocessing(8, 8, "bilinear", (0, 0, 0), (1, 1, 1)))
    except ImageError:
        pass
assert "torch" not in sys.modules
"""
    command = [sys.executable, "-W", "default", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: preprocessing(200, 224),
        lambda: preprocessing(0, 0),
        lambda: preprocessing(interpolation="nearest"),  # type: ignore[arg-type]
    ],
)
def test_impossible_preprocessing_is_refused(make: Callable[[], Preprocessing]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()
