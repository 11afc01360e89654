import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from deployments.image.decoding import (
    FORMATS,
    ImageError,
    ImageLimits,
    Interpolation,
    Preprocessing,
    decode,
)
from tests.deployments.image.conftest import Photograph


def preprocessing(
    resize_size: int = 256, crop_size: int = 224, interpolation: Interpolation = "bilinear"
) -> Preprocessing:
    return Preprocessing(resize_size, crop_size, interpolation, (0.0,) * 3, (1.0,) * 3)


def encoded(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def code_of(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, preprocessing(), limits or ImageLimits())
    return caught.value.code


def by_torchvision(image: Image.Image, wanted: Preprocessing) -> NDArray[np.uint8]:
    mode = InterpolationMode(wanted.interpolation)
    resized = reference.resize(image, [wanted.resize_size], mode, antialias=True)
    return np.asarray(reference.center_crop(resized, [wanted.crop_size]))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


def gradient() -> Image.Image:
    """Dark left, bright right; red grows downwards: every orientation differs."""
    across = np.broadcast_to(np.linspace(0, 255, 90), (60, 90))
    down = np.broadcast_to(np.linspace(0, 255, 60)[:, None], (60, 90))
    return Image.fromarray(np.stack([down, across, across], axis=2).astype(np.uint8))


class TestPixels:
    @pytest.mark.parametrize(
        "wanted",
        [
            preprocessing(256),
            preprocessing(232),
            preprocessing(384, 384, "bicubic"),
            preprocessing(255, 240, "bicubic"),
        ],
    )
    def test_photographs_equal_torchvision(
        self, photographs: list[Photograph], wanted: Preprocessing
    ) -> None:
        for photograph in photographs[:10]:
            with Image.open(photograph.path) as image:
                expected = by_torchvision(image.convert("RGB"), wanted)
            np.testing.assert_array_equal(decode(photograph.path.read_bytes(), wanted), expected)

    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 600), st.floats(1, 20), st.booleans(), st.sampled_from(["bilinear", "bicubic"])
    )
    def test_every_size_equals_torchvision(
        self, short: int, ratio: float, upright: bool, interpolation: Interpolation
    ) -> None:
        long = min(int(short * ratio), 1200)
        image = noise(*((short, long) if upright else (long, short)))
        wanted = preprocessing(67, 58, interpolation)
        expected = by_torchvision(image, wanted)
        np.testing.assert_array_equal(decode(encoded(image, "BMP"), wanted), expected)

    def test_one_pixel_is_a_picture(self) -> None:
        pixels = decode(encoded(Image.new("RGB", (1, 1), (9, 8, 7))), preprocessing())
        assert pixels.shape == (224, 224, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == (9, 8, 7)).all()

    def test_threads_do_not_disturb_each_other(self) -> None:
        files = [encoded(noise(200 + i, 150, i), "JPEG") for i in range(8)]
        alone = [decode(file, preprocessing()) for file in files]
        with ThreadPoolExecutor(8) as pool:
            together = pool.map(lambda file: decode(file, preprocessing()), files * 4)
        for index, pixels in enumerate(together):
            np.testing.assert_array_equal(pixels, alone[index % 8])


class TestEncodings:
    def test_formats(self) -> None:
        image = gradient()
        expected = decode(encoded(image), preprocessing()).astype(int)
        for name in FORMATS:
            options = {"lossless": True} if name == "WEBP" else {}
            pixels = decode(encoded(image, name, **options), preprocessing())
            assert np.abs(pixels - expected).mean() < 4, name

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP"])
    def test_orientation_is_undone_once(self, orientation: int, format_name: str) -> None:
        turned_by = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        stored = gradient()
        if orientation in turned_by:
            stored = stored.transpose(turned_by[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = decode(encoded(stored, format_name, exif=exif), preprocessing())
        expected = decode(encoded(gradient()), preprocessing()).astype(int)
        assert np.abs(pixels - expected).mean() < 3

    @pytest.mark.filterwarnings("ignore:::PIL")
    def test_damaged_metadata_spoils_nothing(self) -> None:
        damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 9
        plain = encoded(gradient(), "JPEG")
        pixels = decode(encoded(gradient(), "JPEG", exif=damaged), preprocessing())
        np.testing.assert_array_equal(pixels, decode(plain, preprocessing()))

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
    def test_transparent_is_white(self, mode: str) -> None:
        clear = Image.new("LA" if mode == "PA" else mode, (20, 20), 0).convert(mode)
        file = encoded(clear, "TIFF" if mode == "PA" else "PNG")
        assert (decode(file, preprocessing()) == 255).all()

    def test_half_transparent_mixes_with_white(self) -> None:
        pixels = decode(encoded(Image.new("RGBA", (9, 9), (0, 100, 200, 128))), preprocessing())
        assert np.abs(pixels - np.array([127.0, 177, 227])).max() <= 1

    def test_transparent_colour_of_a_palette_is_white(self) -> None:
        image = Image.new("P", (20, 20), 3)
        image.putpalette([10, 20, 30] * 4)
        pixels = decode(encoded(image, transparency=3), preprocessing())
        assert (pixels == 255).all()

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled(self, format_name: str) -> None:
        ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (256, 1))
        pixels = decode(encoded(Image.fromarray(ramp), format_name), preprocessing())
        expected = decode(encoded(Image.fromarray((ramp >> 8).astype(np.uint8))), preprocessing())
        np.testing.assert_array_equal(pixels, expected)

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_other_grey_depths_are_stretched(self, dtype: type[np.generic]) -> None:
        ramp = np.tile(np.linspace(-3000, 90000, 256).astype(dtype), (256, 1))
        pixels = decode(encoded(Image.fromarray(ramp), "TIFF"), preprocessing(256, 256))
        np.testing.assert_allclose(pixels[0, :, 0], np.arange(256), atol=1)

    def test_a_flat_float_picture_is_black(self) -> None:
        flat = Image.fromarray(np.full((5, 5), np.nan, np.float32))
        assert (decode(encoded(flat, "TIFF"), preprocessing()) == 0).all()

    def test_cmyk_inks_are_inverted_only_where_the_file_says_so(self) -> None:
        cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
        adobe = encoded(cyan, "JPEG")
        start = adobe.index(b"\xff\xee")
        length = struct.unpack(">H", adobe[start + 2 : start + 4])[0]
        plain = adobe[:start] + adobe[start + 2 + length :]
        assert (decode(adobe, preprocessing())[0, 0] < 10).tolist() == [True, False, False]
        assert (decode(plain, preprocessing())[0, 0] < 10).tolist() == [False, True, True]

    @pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_first_frame_of_an_animation(self, format_name: str) -> None:
        red, blue = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))
        options = {"lossless": True} if format_name == "WEBP" else {}
        file = encoded(red, format_name, save_all=True, append_images=[blue] * 3, **options)
        assert (decode(file, preprocessing()) == (255, 0, 0)).all()

    def test_later_frames_are_not_decoded(self) -> None:
        frames = [noise(40, 40, seed) for seed in range(3)]
        file = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        pixels = decode(file[: len(file) * 2 // 3], preprocessing())
        np.testing.assert_array_equal(pixels, decode(file, preprocessing()))


def png_header(width: int, height: int) -> bytes:
    """The first bytes of a PNG, without any pixel."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields
    return header + struct.pack(">I", zlib.crc32(fields)) + struct.pack(">I", 9) + b"IDAT"


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
        assert code_of((awkward / name).read_bytes()) == code

    def test_messages_name_no_path(self, awkward: Path) -> None:
        for path in awkward.iterdir():
            try:
                decode(path.read_bytes(), preprocessing())
            except ImageError as error:
                assert "/" not in str(error)
                assert path.name not in str(error)


def _files() -> list[bytes]:
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
    file = bytearray(data.draw(st.sampled_from(_files())))
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
    damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 9
    (tmp_path / "exif.jpg").write_bytes(encoded(gradient(), "JPEG", exif=damaged))
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


def test_codes_are_distinct() -> None:
    classes = [ImageError, *ImageError.__subclasses__()]
    codes = sorted(cls.code for cls in classes)
    assert all(first != second for first, second in pairwise(codes))
