"""One photograph in every encoding, told by MobileNetV2, and what scaling JPEGs changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops
from torchvision.models import MobileNetV2, mobilenet_v2

from deployments.image.decoding import Preprocessing, decode
from tests.deployments.image.conftest import Photograph
from tests.deployments.image.decoding.encodings import (
    Encoder,
    apng_with_hidden_default,
    bmp,
    bmp_os2,
    bmp_rle8,
    cmyk_profile,
    gif_with_offset,
    png,
    tiff,
    without_segment,
)  # fmt: skip
from tests.deployments.image.decoding.pictures import encoded

ESPRESSO = 967
WANTED = Preprocessing(232, 224, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def network(shared_data: Path) -> MobileNetV2:
    model = mobilenet_v2()
    path = shared_data / "weights" / "mobilenet_v2.pth"
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def classes(network: MobileNetV2, pictures: list[Pixels]) -> list[int]:
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (WANTED.mean, WANTED.std))
    with torch.inference_mode():
        found: list[int] = network((pixels - mean) / std).argmax(1).tolist()
    return found


def rgb(image: Image.Image) -> Pixels:
    return np.asarray(image)


def grey(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("L"))[..., None]


def ycck(image: Image.Image) -> bytes:
    """Adobe's JPEG of four inks whose first three are stored as brightness and colour."""
    inks = np.asarray(image.convert("CMYK"))
    colours = np.asarray(Image.fromarray(inks[..., :3].copy()).convert("YCbCr"))
    stored = np.concatenate([255 - colours, inks[..., 3:]], axis=2)
    file = bytearray(encoded(Image.fromarray(stored, "CMYK"), "JPEG", quality=95))
    file[file.index(b"Adobe") + 11] = 2
    return bytes(file)


def png_grey(bits: int, interlaced: bool) -> Encoder:
    return lambda image: png(
        grey(image).astype(np.uint32) * 257 >> (16 - bits), bits, 0, (), interlaced
    )


def png_of_few_bits(bits: int) -> Encoder:
    return lambda image: png(grey(image).astype(np.uint32) << (bits - 8), 16, 0)


def png_rgb(bits: int) -> Encoder:
    chunks = ((b"tRNS", b"\0\1\0\2\0\3"), (b"gAMA", b"\0\0\xb1\x8f"))
    return lambda image: png(rgb(image).astype(np.uint32) * 257 >> (16 - bits), bits, 2, chunks)


def png_grey_alpha(bits: int) -> Encoder:
    def encode(image: Image.Image) -> bytes:
        samples = np.concatenate([grey(image), np.full_like(grey(image), 255)], 2)
        return png(samples.astype(np.uint32) * 257 >> (16 - bits), bits, 4)

    return encode


def saved(format_name: str, mode: str = "RGB", **options: Any) -> Encoder:
    return lambda image: encoded(image.convert(mode), format_name, **options)


ENCODERS: dict[str, Encoder] = {
    **{f"JPEG {s}": saved("JPEG", subsampling=s) for s in ("4:4:4", "4:2:2", "4:2:0")},
    "JPEG progressive": saved("JPEG", progressive=True),
    "JPEG restarts": saved("JPEG", restart_marker_blocks=4),
    "JPEG stored as RGB": saved("JPEG", keep_rgb=True),
    "JPEG grey": saved("JPEG", "L"),
    "JPEG CMYK of Adobe": saved("JPEG", "CMYK", quality=92),
    "JPEG CMYK not inverted": lambda image: without_segment(
        encoded(ImageChops.invert(image.convert("CMYK")), "JPEG", quality=92), 0xEE
    ),
    "JPEG CMYK with profile": saved("JPEG", "CMYK", quality=92, icc_profile=cmyk_profile()),
    "JPEG YCCK": ycck,
    "MPO": saved("MPO", save_all=True, append_images=[Image.new("RGB", (299, 299))]),
    "JPEG profile of inks, ignored": saved("JPEG", icc_profile=cmyk_profile()),
    "JPEG damaged profile, ignored": saved("JPEG", icc_profile=b"\xff" * 400),
    **{
        f"PNG grey {bits} {interlaced}": png_grey(bits, interlaced)
        for bits in (4, 8, 16)
        for interlaced in (False, True)
    },
    **{
        f"PNG of {bits} bits in 16": png_of_few_bits(bits)
        for bits in (8, 10, 12)
    },
    **{
        f"PNG RGB {bits}": png_rgb(bits)
        for bits in (8, 16)
    },
    "PNG 12 bits of RGB in 16": lambda image: png(rgb(image).astype(np.uint32) << 4, 16, 2),
    **{
        f"PNG grey and alpha {bits}": png_grey_alpha(bits)
        for bits in (8, 16)
    },
    "PNG RGBA": saved("PNG", "RGBA"),
    "PNG palette": lambda image: encoded(image.quantize(256), transparency=b"\xff\xfe"),
    "PNG unknown chunk": lambda image: png(rgb(image), 8, 2, ((b"abCd", b"x"),)),
    "APNG": saved("PNG", save_all=True, append_images=[Image.new("RGB", (299, 299))]),
    "APNG with a default picture": apng_with_hidden_default,
    "GIF": saved("GIF"),
    "GIF interlaced": saved("GIF", interlace=True), "GIF grey": saved("GIF", "L"),
    "GIF smaller than its screen": gif_with_offset,
    "BMP 24": saved("BMP"), "BMP 32": saved("BMP", "RGBA"), "BMP grey": saved("BMP", "L"),
    "BMP 8": lambda image: encoded(image.quantize(256), "BMP"),
    "BMP 555": lambda image: bmp(image, 16),
    "BMP 565": lambda image: bmp(image, 16, (0xF800, 0x7E0, 0x1F)),
    "BMP 32 top-down": lambda image: bmp(image, 32),
    "BMP alpha all zero": lambda image: bmp(image, 32, (0, 0, 0)),
    "BMP run lengths": bmp_rle8, "BMP OS/2": bmp_os2,
    **{
        f"TIFF {mode} {name}": saved("TIFF", mode, compression=name)
        for mode in ("RGB", "RGBA", "L", "CMYK", "YCbCr")
        for name in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
    "TIFF JPEG": saved("TIFF", compression="jpeg"),
    "TIFF tiles": saved("TIFF", compression="tiff_lzw", tiffinfo={322: 64, 323: 64}),
    "TIFF BigTIFF": saved("TIFF", big_tiff=True),
    "TIFF pages": saved("TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
    "TIFF 16 bits": lambda image: tiff(rgb(image).astype(np.uint16) * 257, {}, ">"),
    "TIFF white is zero": lambda image: tiff(255 - grey(image), {262: (0,)}),
    "TIFF 16 bits, white is zero": lambda image: tiff(
        65535 - grey(image).astype(np.uint16) * 257, {262: (0,)}
    ),
    "TIFF unsigned 32": lambda image: tiff(grey(image).astype(np.uint32) * 16843009, {}),
    "TIFF signed 8": lambda image: tiff((grey(image) ^ 128).view(np.int8), {339: (2,)}),
    "TIFF signed 16": lambda image: tiff(
        (grey(image).astype(np.int32) * 257 - 32768).astype(np.int16), {339: (2,)}, ">"
    ),
    "TIFF floats": lambda image: tiff(grey(image).astype(np.float32) / 255, {339: (3,)}),
    "TIFF floats to 255": lambda image: tiff(grey(image).astype(np.float32), {339: (3,)}, ">"),
    "TIFF premultiplied": lambda image: tiff(np.asarray(image.convert("RGBA")), {338: (1,)}),
    "WebP": saved("WEBP"), "WebP lossless": saved("WEBP", "RGBA", lossless=True),
    **{f"AVIF {s}": saved("AVIF", subsampling=s) for s in ("4:4:4", "4:2:0", "4:0:0")},
    "AVIF alpha": saved("AVIF", "RGBA"),
}  # fmt: skip


def test_an_espresso_is_one_in_every_encoding(awkward: Path, network: MobileNetV2) -> None:
    with Image.open(awkward / "00_original.png") as image:
        espresso = image.convert("RGB")
    pictures = [decode(encode(espresso), WANTED) for encode in ENCODERS.values()]
    found = dict(zip(ENCODERS, classes(network, pictures), strict=True))
    assert {name: index for name, index in found.items() if index != ESPRESSO} == {}


def test_awkward_files_are_espressos(awkward: Path, network: MobileNetV2) -> None:
    names = ("00_original.png", "gif_animated_first_frame.gif", "jpeg_cmyk.jpg",
             "jpeg_exif_orientation_6.jpg", "jpeg_progressive.jpg", "png_gray16.png",
             "png_palette.png", "png_rgba_hole.png", "webp_lossy.webp")  # fmt: skip
    pictures = [decode((awkward / name).read_bytes(), WANTED) for name in names]
    assert set(classes(network, pictures)) == {ESPRESSO}


@pytest.mark.parametrize(("enlarged", "every"), [(1200, 1), (2400, 5)])
def test_scaled_jpegs_keep_their_class(
    photographs: list[Photograph], network: MobileNetV2, enlarged: int, every: int
) -> None:
    exact, scaled = [], []
    for photograph in photographs[::every]:
        with Image.open(photograph.path) as image:
            factor = enlarged / min(image.size)
            size = (round(image.width * factor), round(image.height * factor))
            file = encoded(image.convert("RGB").resize(size), "JPEG", quality=90)
        exact.append(decode(file, WANTED))
        scaled.append(decode(file, WANTED, scale_jpeg=True))
    assert not np.array_equal(exact, scaled)
    agree = np.mean(np.equal(classes(network, exact), classes(network, scaled)))
    assert agree >= 0.995
