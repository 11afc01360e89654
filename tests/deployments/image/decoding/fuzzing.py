"""Mutates real files and decodes them, in a process of its own: `python -m ... SEED CASES`.

Prints one JSON line of what came out. It ends with a trace where the interpreter crashes, and with
an AssertionError where a case raises anything but an ImageError, returns no picture, or takes
longer than `SECONDS`.
"""

import collections
import faulthandler
import itertools
import json
import random
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable

import numpy as np
import psutil
from PIL import Image

from deployments.image.decoding import ImageError, ImageLimits, decode
from tests.deployments.image.decoding.encodings import bmp, bmp_rle8, png, rgb_profile, tiff
from tests.deployments.image.decoding.pictures import encoded, noise, preprocessing

SECONDS = 2.0
ADDRESS_SPACE_BYTES = 4 << 30
LIMITS = ImageLimits(max_pixels=4_000_000)

Mutation = Callable[[bytearray, random.Random], None]


def files() -> list[bytes]:
    """Small files of every format, with profile, EXIF, text, alpha and further frames."""
    image, other = noise(24, 18), noise(24, 18, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = rgb_profile((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
    tagged = {"exif": exif, "icc_profile": profile}
    animated = {"save_all": True, "append_images": [other]}
    ycc = np.asarray(image.convert("YCbCr"))
    return [
        *(encoded(image, name, **tagged) for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")),
        *(encoded(image, name, **animated) for name in ("GIF", "PNG", "WEBP", "AVIF", "TIFF")),
        encoded(image, "JPEG", progressive=True, restart_marker_blocks=1),
        encoded(image.convert("CMYK"), "JPEG"),
        encoded(image.convert("L"), "JPEG"),
        encoded(image, "MPO", **animated),
        encoded(image.convert("RGBA")),
        encoded(image.quantize(16), transparency=3),
        png(np.asarray(image).astype(np.uint16) * 257, 16, 2, interlaced=True),
        encoded(image.convert("RGBA"), "WEBP", lossless=True),
        encoded(image, "BMP"),
        encoded(image.quantize(16), "BMP"),
        bmp(image, 16, (0xF800, 0x7E0, 0x1F)),
        bmp_rle8(image),
        *(
            encoded(image, "TIFF", compression=name)
            for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
        ),
        encoded(image.convert("1"), "TIFF", compression="group4"),
        encoded(image.convert("1"), "TIFF", compression="group3"),
        encoded(image.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        encoded(image, "TIFF", compression="tiff_lzw", tiffinfo={322: 16, 323: 16}),
        encoded(image, "TIFF", big_tiff=True),
        tiff(ycc, {262: (6,), 530: (1, 1)}),
        tiff(np.asarray(image)[..., :1].astype(np.float32), {339: (3,)}, ">"),
    ]


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 8)):
        data[dice.randrange(len(data))] = dice.randrange(256)


def flip_header(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(min(len(data), 200))] = dice.choice((0, 1, 127, 128, 255, 64))


def insert(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = dice.randbytes(dice.randint(1, 64))


def delete(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.randint(1, 64)]


def duplicate(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.randint(1, 200)] * dice.randint(1, 20)


def truncate(data: bytearray, dice: random.Random) -> None:
    del data[dice.randint(1, len(data)) :]


def splice(data: bytearray, dice: random.Random) -> None:
    other = dice.choice(SEEDS)
    at = dice.randrange(len(data))
    data[at:] = other[dice.randrange(len(other)) :]


def field(data: bytearray, dice: random.Random) -> None:
    """A number of 16 or 32 bits becomes an extreme one, in either order of bytes."""
    width, code = dice.choice(((2, "H"), (4, "I")))
    at = dice.randrange(max(len(data) - width, 1))
    value = dice.choice((0, 1, 255, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, len(data)))
    order = dice.choice("<>")
    data[at : at + width] = struct.pack(order + code, value & (256**width - 1))


def png_chunk(data: bytearray, dice: random.Random) -> None:
    """A mutation inside a chunk of PNG whose checksum is right again."""
    position, chunks = 8, []
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if position + 12 + length > len(data):
            break
        chunks.append((position, length))
        position += 12 + length
    if data[:4] != b"\x89PNG" or not chunks:
        return flip(data, dice)
    at, length = dice.choice(chunks)
    content = data[at + 8 : at + 8 + length] or bytearray(1)
    dice.choice((flip, truncate, duplicate, field))(content, dice)
    kind = bytes(data[at + 4 : at + 8])
    checked = struct.pack(">I", zlib.crc32(kind + content))
    data[at : at + 12 + length] = struct.pack(">I", len(content)) + kind + content + checked
    return None


def tiff_tag(data: bytearray, dice: random.Random) -> None:
    """One entry of the first directory gets another type, count or value, or another tag."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None or len(data) < 16:
        return flip_header(data, dice)
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 14 > len(data):
        return flip_header(data, dice)
    entries = struct.unpack_from(order + "H", data, start)[0]
    at = start + 2 + 12 * dice.randrange(max(min(entries, (len(data) - start - 14) // 12), 1))
    offset, code = dice.choice(((0, "H"), (2, "H"), (4, "I"), (8, "H"), (8, "I")))
    value = dice.choice((0, 1, 2, 3, 4, 5, 7, 8, 16, 255, 1000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    tags = (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 338, 339, 530)
    value = dice.choice(tags) if offset == 0 else value
    struct.pack_into(order + code, data, at + offset, value & (0xFFFF if code == "H" else ~0))
    return None


SEEDS = files()
MUTATIONS: tuple[Mutation, ...] = (
    flip, flip_header, insert, delete, duplicate, truncate, splice, field, png_chunk, tiff_tag,
)  # fmt: skip


def main(seed: int, cases: int) -> None:
    """Runs the cases and prints the outcomes, the slowest case and the growth in bytes."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    dice, wanted = random.Random(seed), preprocessing(40, 32)
    outcomes: collections.Counter[str] = collections.Counter()
    process, slowest, quarter = psutil.Process(), 0.0, 0
    for case, file in zip(range(cases), itertools.cycle(SEEDS), strict=False):
        data = bytearray(file)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            dice.choice(MUTATIONS)(data, dice)
            data = data or bytearray(1)
        started = time.perf_counter()
        try:
            pixels = decode(bytes(data), wanted, LIMITS)
            assert pixels.shape == (32, 32, 3), f"case {case}: {pixels.shape}"
            outcomes["picture"] += 1
        except ImageError as error:
            outcomes[error.code] += 1
        seconds = time.perf_counter() - started
        assert seconds < SECONDS, f"case {case} took {seconds:.1f} s"
        slowest = max(slowest, seconds)
        if case == cases // 4:
            quarter = process.memory_info().rss
    growth = process.memory_info().rss - quarter
    print(json.dumps({"outcomes": outcomes, "slowest_s": slowest, "growth_bytes": growth}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
