"""Small pictures in every encoding, for the tests of decoding."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from deployments.image.decoding import Interpolation, Preprocessing


def preprocessing(
    resize_size: int = 256, crop_size: int = 224, interpolation: Interpolation = "bilinear"
) -> Preprocessing:
    return Preprocessing(resize_size, crop_size, interpolation, (0.0,) * 3, (1.0,) * 3)


def encoded(image: Image.Image, format_name: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


def gradient() -> Image.Image:
    """Dark left, bright right; red grows downwards: every orientation differs."""
    across = np.broadcast_to(np.linspace(0, 255, 90), (60, 90))
    down = np.broadcast_to(np.linspace(0, 255, 60)[:, None], (60, 90))
    return Image.fromarray(np.stack([down, across, across], axis=2).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """The first bytes of a PNG, without any pixel."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields
    return header + struct.pack(">I", zlib.crc32(fields)) + struct.pack(">I", 9) + b"IDAT"


def damaged_exif() -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 9
