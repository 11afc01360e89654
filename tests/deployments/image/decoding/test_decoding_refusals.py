import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.image.decoding import FORMATS, ImageError, ImageLimits, Preprocessing, decode
from tests.deployments.image.decoding.encodings import tiff
from tests.deployments.image.decoding.pictures import (
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
    @pytest.mark.parametrize("data", [b"\0", b"{}", b"<html><body>404</body></html>"])
    def test_what_is_no_picture(self, data: bytes) -> None:
        assert code_of(data) == "not_an_image"

    def test_no_bytes(self) -> None:
        assert code_of(b"") == "image_empty"

    def test_a_web_page_is_called_one(self) -> None:
        page = b"\xef\xbb\xbf\n <!DOCTYPE html><html><body>404</body></html>"
        assert "web page" in str(refusal(page))

    @pytest.mark.parametrize("name", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "PDF", "DDS", "SGI"])
    def test_formats_that_are_not_allowed(self, name: str) -> None:
        assert code_of(encoded(noise(32, 32), name)) == "image_format_unsupported"

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b"\xff\x0a", "JPEG XL"),
            (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1", "HEIC"),
            (b"8BPS", "Photoshop"),
            (b"%PDF-1.7", "PDF"),
            (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"\0\0\0\x18ftypisom\0\0\0\0mp42", "video"),
        ],
    )
    def test_known_formats_are_named(self, data: bytes, name: str) -> None:
        error = refusal(data)
        assert error.code == "image_format_unsupported"
        assert str(error).startswith(name)
        assert "WEBP" in str(error)

    @pytest.mark.parametrize(
        ("offset", "value", "words"),
        [(1, 0xC3, "lossless"), (4, 12, "12 bits"), (9, 2, "2 components")],
    )
    def test_varieties_of_jpeg_that_are_not_read(self, offset: int, value: int, words: str) -> None:
        file = bytearray(encoded(noise(32, 32), "JPEG"))
        file[file.index(b"\xff\xc0") + offset] = value
        error = refusal(bytes(file))
        assert error.code == "image_format_unsupported"
        assert words in str(error)

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_varieties_of_tiff_that_are_not_read(self, dtype: type[np.generic]) -> None:
        file = tiff(np.zeros((9, 9, 1), dtype), {339: (3,)})
        assert code_of(file) == "image_format_unsupported"

    @pytest.mark.parametrize("name", FORMATS)
    def test_truncated(self, name: str) -> None:
        data = encoded(noise(64, 64), name)
        assert code_of(data[: len(data) // 2]) == "image_truncated"
        assert code_of(data[:20]) == "image_truncated"

    def test_the_header_alone_refuses(self) -> None:
        assert code_of(png_header(12_000, 12_000)) == "image_too_many_pixels"
        assert code_of(png_header(65_000, 1_300)) == "image_too_many_pixels"
        assert code_of(png_header(1, 5_000)) == "image_too_extreme_shape"
        assert code_of(png_header(7_000, 7_000)) == "image_too_many_pixels"
        assert code_of(png_header(4_096, 4_096)) == "image_truncated"

    def test_jpegs_may_have_more_pixels_as_they_are_scaled_while_decoding(self) -> None:
        large = Image.new("RGB", (5_000, 4_000), (200, 100, 50))
        assert code_of(encoded(large, "PNG", compress_level=1)) == "image_too_many_pixels"
        pixels = decode(encoded(large, "JPEG"), preprocessing())
        assert np.abs(pixels - np.array([200.0, 100, 50])).max() <= 2

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
            ("empty.jpg", "image_empty"),
            ("html_404.jpg", "not_an_image"),
            ("bomb_1bit_12000x12000.png", "image_too_many_pixels"),
            ("tiny_1x5000.png", "image_too_extreme_shape"),
        ],
    )
    def test_real_files(self, awkward: Path, name: str, code: str) -> None:
        error = refusal((awkward / name).read_bytes())
        assert error.code == code
        assert "/" not in str(error)


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
        lambda: preprocessing(interpolation="lanczos"),  # type: ignore[arg-type]
    ],
)
def test_impossible_preprocessing_is_refused(make: Callable[[], Preprocessing]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()
