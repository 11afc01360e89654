"""What a file carries beside its pixels, walked before Pillow reads any of it.

Pillow reads text, profiles and blocks one by one in Python, however many there are: a file of
10 MB can hold millions. The walks here read lengths only and stop at the limits.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from deployments.image.decoding.errors import ImageMetadataTooLarge, ImageTruncated
from deployments.image.decoding.formats import unsupported

BLOCK_LIMIT_BYTES = 1024 * 1024
"""The longest text, profile or other block; compressed ones count as they are once inflated."""
TOTAL_LIMIT_BYTES = 4 * BLOCK_LIMIT_BYTES
"""All of them together."""
BLOCKS_LIMIT = 4096
"""How many blocks of metadata there may be."""
DATA_BLOCKS_LIMIT = 65_536
"""In how many blocks the pixels may lie."""
SCANS_LIMIT = 64
"""Scans of a JPEG: progressive encoders write about 10."""
SCANNED_PIXELS_LIMIT = 800_000_000
"""Scans times pixels: each scan is a pass over all pixels, however few bytes it has."""

DAMAGED = "the picture is truncated or damaged"
_JUNK_LIMIT_BYTES = 4096
_GIF_PIECES_LIMIT = TOTAL_LIMIT_BYTES // 255


def check_header(name: str, data: bytes) -> None:
    """Walks the header of a file in the format `name`; what it lacks, Pillow will miss later.

    Raises:
        ImageMetadataTooLarge, ImageFormatUnsupported, ImageTruncated
    """
    total = 0
    try:
        for blocks, length in enumerate(_WALKS[name](data), 1):
            total += length
            if blocks > BLOCKS_LIMIT:
                raise ImageMetadataTooLarge(f"more than {BLOCKS_LIMIT:,} blocks of metadata")
            if length > BLOCK_LIMIT_BYTES or total > TOTAL_LIMIT_BYTES:
                raise ImageMetadataTooLarge(
                    f"more than {BLOCK_LIMIT_BYTES >> 20} MiB of metadata in one block"
                    f" or {TOTAL_LIMIT_BYTES >> 20} MiB in all"
                )
    except (IndexError, OverflowError, struct.error) as error:
        raise ImageTruncated(DAMAGED) from error


def _jpeg(data: bytes) -> Iterator[int]:
    """Segments up to the first scan (ITU-T T.81, annex B)."""
    position, junk, scans_limit = 2, 0, SCANS_LIMIT
    while True:
        marker = data.find(b"\xff", position)
        junk += marker - position
        if marker < 0 or junk > _JUNK_LIMIT_BYTES:
            raise ImageTruncated(DAMAGED)
        code = data[marker + 1]
        if code in (0x00, 0xFF):
            position, junk = marker + 1, junk + 1
            continue
        position = marker + 2
        if code == 0x01 or 0xD0 <= code <= 0xD9:
            junk += 2
            continue
        length = struct.unpack_from(">H", data, position)[0]
        if code == 0xDA:
            break
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            _check_jpeg_frame(code, data[position + 2], data[position + 7])
            height, width = struct.unpack_from(">HH", data, position + 3)
            scans_limit = min(SCANS_LIMIT, SCANNED_PIXELS_LIMIT // max(height * width, 1))
        elif code == 0xF7:
            raise unsupported("JPEG-LS")
        yield length
        position += max(length, 2)
    # The pair may stand in other data too, so that only a suspicion is followed up.
    if data.count(b"\xff\xda", marker) > scans_limit and _scans(data, marker) > scans_limit:
        raise ImageTruncated(f"the JPEG has more than {scans_limit} scans")


def _check_jpeg_frame(code: int, bits: int, components: int) -> None:
    if bits != 8:
        raise unsupported(f"JPEG with {bits} bits a sample")
    if code not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
        raise unsupported("lossless or hierarchical JPEG")
    if components not in (1, 3, 4):
        raise unsupported(f"JPEG with {components} components")


def _scans(data: bytes, position: int) -> int:
    """Scans from the first one on; entropy-coded data holds no marker but restarts."""
    scans = 0
    marker = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
    while scans <= SCANS_LIMIT and (found := marker.search(data, position)):
        code = found[1][0]
        if code == 0xD9:
            break
        scans += code == 0xDA
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return scans


def _png(data: bytes) -> Iterator[int]:
    """Chunks, without pixels and later frames (PNG specification, third edition, chapter 11)."""
    if data[12:16] == b"CgBI":
        raise unsupported("Apple's variety of PNG")
    position, pixels = 8, 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        start, position = position + 8, position + 12 + length
        if kind in (b"IDAT", b"fdAT"):
            pixels += 1
            if pixels > DATA_BLOCKS_LIMIT:
                raise ImageTruncated(f"the pixels lie in more than {DATA_BLOCKS_LIMIT:,} chunks")
        elif kind == b"IEND" or (kind == b"fcTL" and pixels):
            return
        else:
            yield length
            if kind in (b"zTXt", b"iTXt", b"iCCP"):
                yield _inflated(kind, data[start : start + length])


def _inflated(kind: bytes, chunk: bytes) -> int:
    """The length of a compressed text or profile, in bytes; counted to just over the limit."""
    _, _, rest = chunk.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\1":
        rest = rest.split(b"\0", 2)[-1]
    elif kind == b"iTXt":
        return 0
    try:
        return len(zlib.decompressobj().decompress(rest[1:], BLOCK_LIMIT_BYTES + 1))
    except zlib.error:
        return 0


def _gif(data: bytes) -> Iterator[int]:
    """Extensions before the first frame (GIF89a, section 12 on)."""
    position = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    pieces = 0
    while data[position] != 0x2C:
        start = position
        if data[position] == 0x3B:
            return
        position += 2 if data[position] == 0x21 else 1
        while position - start >= 2 and data[position]:
            position += 1 + data[position]
            pieces += 1
            if pieces > _GIF_PIECES_LIMIT:
                raise ImageMetadataTooLarge(f"more than {_GIF_PIECES_LIMIT:,} pieces of metadata")
        position += position - start >= 2
        yield position - start


def _webp(data: bytes) -> Iterator[int]:
    """Chunks but pixels and frames (RFC 9649, section 2)."""
    position, pixels = 12, 0
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            pixels += 1
            if pixels > DATA_BLOCKS_LIMIT:
                raise ImageTruncated(f"the picture has more than {DATA_BLOCKS_LIMIT:,} chunks")
        else:
            yield length
        position += 8 + length + (length & 1)


_TIFF_TYPE_BYTES = (1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
_EXIF_DIRECTORIES = (34665, 34853, 40965)


def _tiff(data: bytes) -> Iterator[int]:
    """Entries of the first directory and of its EXIF (TIFF 6.0, section 2; BigTIFF)."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    offset = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
    count_of_entries = struct.Struct(order + ("Q" if big else "H"))
    inline = 8 if big else 4
    directories = [offset]
    # Each directory is walked once: they may point at each other.
    for directory in directories:
        entries = count_of_entries.unpack_from(data, directory)[0]
        position = directory + count_of_entries.size
        for _ in range(entries):
            tag, kind, count, value = entry.unpack_from(data, position)
            length = count * (_TIFF_TYPE_BYTES[kind] if kind < len(_TIFF_TYPE_BYTES) else 1)
            if tag in _EXIF_DIRECTORIES:
                if value not in directories and value < len(data) - count_of_entries.size:
                    directories.append(value)
            elif directory == offset and length > inline and value + length > len(data):
                raise ImageTruncated(DAMAGED)
            yield length
            position += entry.size


def _avif(data: bytes) -> Iterator[int]:
    """The number of EXIF entries, which Pillow may read at once; their place is not parsed."""
    for signature, order in ((b"II*\0", "<"), (b"MM\0*", ">")):
        start = data.find(signature)
        if 0 <= start < len(data) - 8:
            directory = start + struct.unpack_from(order + "I", data, start + 4)[0]
            if directory + 2 <= len(data):
                entries = struct.unpack_from(order + "H", data, directory)[0]
                yield from (1 for _ in range(entries))


def _bmp(data: bytes) -> Iterator[int]:
    if len(data) < 14 + struct.unpack_from("<I", data, 14)[0]:
        raise ImageTruncated(DAMAGED)
    yield from ()


_WALKS: dict[str, Callable[[bytes], Iterator[int]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "TIFF": _tiff,
    "BMP": _bmp,
    "AVIF": _avif,
}
