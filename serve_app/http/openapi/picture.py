"""The picture of the examples."""

import struct
import zlib


def example_png() -> bytes:
    """A 2 x 2 PNG (ISO/IEC 15948), the smallest picture worth showing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    rows = b"\0\xff\x80\0\0\x80\xff" + b"\0\x20\xc0\x40\xff\xff\xff"
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
