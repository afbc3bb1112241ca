"""PNG files with equal bytes on every machine: compressors differ, so nothing is compressed.

A dataset's fingerprint looks at file sizes; with a compressor it would depend on the zlib at hand.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_RGB, _GRAY, _INDEXED = 2, 0, 3
_STORED = 65535  # bytes in a stored block of a zlib stream, at most


def write_png(
    path: Path,
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    palette: NDArray[np.uint8] | None = None,
) -> None:
    """Write RGB pixels (H, W, 3), or an index map (H, W), gray or with a palette (256, 3).

    Pixels of 16 bits are written as they are. The file's folder is made if need be.
    """
    height, width = pixels.shape[:2]
    color = _RGB if pixels.ndim == 3 else _GRAY if palette is None else _INDEXED
    size = pixels.itemsize
    rows = np.zeros((height, size * pixels[0].size + 1), dtype=np.uint8)  # filter 0, then bytes
    rows[:, 1:] = pixels.astype(f">u{size}").view(np.uint8).reshape(height, -1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * size, color, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", palette.tobytes()))
    chunks += [(b"IDAT", _stored(rows.tobytes())), (b"IEND", b"")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _stored(data: bytes) -> bytes:
    """Wrap bytes as a zlib stream of stored blocks."""
    parts = [b"\x78\x01"]
    for start in range(0, len(data), _STORED):
        block = data[start : start + _STORED]
        last = start + _STORED >= len(data)
        parts.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    return b"".join([*parts, struct.pack(">I", zlib.adler32(data))])
