"""One picture in every encoding that Pillow, numpy or a few lines can write."""

import itertools
import struct
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.deployments.image.decoding.pictures import encoded

Encoder = Callable[[Image.Image], bytes]


def png(
    samples: NDArray[Any],
    bits: int,
    colour_type: int,
    before: tuple[tuple[bytes, bytes], ...] = (),
    interlaced: bool = False,
) -> bytes:
    """A PNG of samples of shape (height, width, channels), with chunks before the pixels."""
    height, width, _ = samples.shape
    passes = (
        [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
         (1, 0, 2, 1)]
        if interlaced
        else [(0, 0, 1, 1)]
    )  # fmt: skip
    rows = b""
    for top, left, down, across in passes:
        for row in samples[top::down, left::across].reshape(-(-(height - top) // down), -1):
            if bits == 16:
                rows += b"\0" + row.astype(">u2").tobytes()
            elif bits == 8:
                rows += b"\0" + row.astype(np.uint8).tobytes()
            else:
                unpacked = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, -bits:]
                rows += b"\0" + np.packbits(unpacked.reshape(-1)).tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    chunks = ((b"IHDR", header), *before, (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of PNG with its checksum."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def tiff(
    samples: NDArray[Any], tags: dict[int, tuple[int, ...]], order: Literal["<", ">"] = "<"
) -> bytes:
    """An uncompressed TIFF with one strip; tags as shorts, over the usual ones."""
    height, width, channels = samples.shape
    pixels = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    entries: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (samples.itemsize * 8,) * channels,
        259: (1,),
        262: (2 if channels >= 3 else 1,),
        277: (channels,),
        278: (height,),
        **tags,
    }
    count = len(entries) + 2
    extra_at = 8 + 2 + 12 * count + 4
    directory, extra = b"", b""
    total = extra_at + sum(2 * len(v) for v in entries.values() if len(v) > 2)
    for tag, values in sorted((entries | {273: (), 279: ()}).items()):
        if tag in (273, 279):
            value = total if tag == 273 else len(pixels)
            directory += struct.pack(order + "HHII", tag, 4, 1, value)
            continue
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) <= 4:
            directory += struct.pack(order + "HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "HHII", tag, 3, len(values), extra_at + len(extra))
            extra += packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "IH", 8, count)
    return head + directory + b"\0\0\0\0" + extra + pixels


def bmp(
    picture: Image.Image, bits: int, masks: tuple[int, ...] = (), header_bytes: int = 40
) -> bytes:
    """A bitmap of 16 or 32 bits a pixel, stored from the top down."""
    red, green, blue = (band.astype(np.uint32) for band in np.moveaxis(np.asarray(picture), 2, 0))
    if bits == 32:
        values = (red << 16 | green << 8 | blue).astype("<u4")
    elif masks[:1] == (0xF800,):
        values = ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3).astype("<u2")
    else:
        values = ((red >> 3) << 10 | (green >> 3) << 5 | blue >> 3).astype("<u2")
    if values.shape[1] % 2 and bits == 16:
        values = np.pad(values, ((0, 0), (0, 1)))
    pixels: bytes = values.tobytes()
    compression = 3 if masks else 0
    info = struct.pack(
        "<IiiHHIIiiII", 40, picture.width, -picture.height, 1, bits, compression,
        len(pixels), 0, 0, 0, 0,
    )  # fmt: skip
    info += struct.pack(f"<{len(masks)}I", *masks)
    offset = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + pixels


def bmp_rle8(picture: Image.Image) -> bytes:
    """A run-length encoded bitmap with a palette."""
    quantized = picture.quantize(255)
    palette = b"".join(
        bytes((b, g, r, 0)) for r, g, b in np.array(quantized.getpalette()).reshape(-1, 3)
    ).ljust(1024, b"\0")
    pixels = bytearray()
    for row in np.asarray(quantized)[::-1]:
        starts = [0, *(np.flatnonzero(np.diff(row)) + 1), len(row)]
        for start, end in itertools.pairwise(starts):
            for at in range(start, end, 255):
                pixels += bytes((min(255, end - at), int(row[start])))
        pixels += b"\0\0"
    pixels += b"\0\1"
    offset = 14 + 40 + 1024
    info = struct.pack("<IiiHHIIiiII", 40, *picture.size, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    return (
        b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels
    )


def bmp_os2(picture: Image.Image) -> bytes:
    """A bitmap with the 12-byte header of OS/2."""
    file = encoded(picture, "BMP")
    pixels = file[int.from_bytes(file[10:14], "little") :]
    info = struct.pack("<IHHHH", 12, *picture.size, 1, 24)
    return b"BM" + struct.pack("<IHHI", 26 + len(pixels), 0, 0, 26) + info + pixels


def without_segment(file: bytes, marker: int) -> bytes:
    """A JPEG without its first segment of a kind."""
    start = file.index(bytes((0xFF, marker)))
    length = int.from_bytes(file[start + 2 : start + 4], "big")
    return file[:start] + file[start + 2 + length :]


def gif_with_offset(picture: Image.Image) -> bytes:
    """A GIF whose only frame is smaller than its screen."""
    file = bytearray(encoded(picture, "GIF"))
    file[6:10] = struct.pack("<HH", picture.width + 60, picture.height + 60)
    frame = file.index(b",\0\0\0\0")
    file[frame + 1 : frame + 5] = struct.pack("<HH", 30, 30)
    return bytes(file)


def apng_with_hidden_default(picture: Image.Image) -> bytes:
    """An animation whose default picture is not one of its frames."""
    noise = Image.effect_noise(picture.size, 90).convert("RGB")
    return encoded(picture, save_all=True, append_images=[noise] * 2, default_image=True)


def rgb_profile(red: tuple[float, float], green: tuple[float, float], blue: tuple[float, float],
                gamma: float = 2.2) -> bytes:  # fmt: skip
    """A matrix profile (ICC.1:2022, 8.3) of the primaries' chromaticities, white D65."""
    primaries = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (red, green, blue)]).T
    white = np.array([0.3127 / 0.329, 1, (1 - 0.3127 - 0.329) / 0.329])
    to_xyz = primaries * np.linalg.solve(primaries, white)
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    d50 = np.array([0.9642, 1, 0.8249])
    adapt = np.linalg.inv(bradford) @ np.diag(bradford @ d50 / (bradford @ white)) @ bradford
    columns = (adapt @ to_xyz).T
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _profile(
        b"RGB ",
        {
            **{
                name: _xyz(column)
                for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
            },
            **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
            b"wtpt": _xyz(d50),
        },
    )


def grey_profile(gamma: float) -> bytes:
    """A grey profile with a gamma curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _profile(b"GRAY", {b"kTRC": curve, b"wtpt": _xyz((0.9642, 1, 0.8249))})


def cmyk_profile() -> bytes:
    """A table profile that takes inks as Pillow does: rgb = (1 - ink)(1 - black)."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 4, indexing="ij"), -1).reshape(-1, 4)
    rgb = np.round((1 - grid[:, :3]) * (1 - grid[:, 3:]) * 255).astype(np.uint8)
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = to_lab.apply(Image.fromarray(rgb[None]))
    table = (np.asarray(lab)[0].astype(np.uint8) ^ np.array([0, 128, 128], np.uint8)).tobytes()
    identity = bytes(range(256))
    lut = (
        b"mft1\0\0\0\0"
        + bytes((4, 3, 5, 0))
        + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    )
    lut += identity * 4 + table + identity * 3
    return _profile(b"CMYK", {b"A2B0": lut, b"wtpt": _xyz((0.9642, 1, 0.8249))}, b"Lab ")


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _profile(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        tag += b"\0" * (-len(tag) % 4)
        table += name + struct.pack(">II", at + len(content), len(tag))
        content += tag
    header = bytearray(128)
    header[0:4] = struct.pack(">I", at + len(content))
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = (b"prtr" if space == b"CMYK" else b"mntr") + space + connection
    header[36:40] = b"acsp"
    header[68:80] = _xyz((0.9642, 1, 0.8249))[8:]
    return bytes(header) + table + content
