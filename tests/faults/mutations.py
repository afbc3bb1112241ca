"""Seeded damage to files: of their bytes, and of the structure that their format has."""

import io
import json
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, "", "x", "\0", "../../../etc/passwd", "/dev/zero", "x" * 5000, "1e999"),
    *(0, -1, 1, 255, 65536, 2**31, 2**32 - 1, 2**63, -(2**63) - 1, 10**30),
    *(0.5, -0.0, 1e-300, 1e9, 1e308, float("inf"), float("nan")),
    *([], {}, [[]], [0], [None], {"": None}, [1e9, 1e9, -1e9, 1e9, 0.0, -1e9], "\ud800"),
)
WORDS = (b"\0" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"../", b"\n", b"%s", b"NaN")


def damage_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flip, cut, repeat, remove or overwrite some bytes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(data) + 1)
        how = draw.randrange(7)
        if how == 0 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        elif how == 1:
            del data[at:]
        elif how == 2:
            del data[at : at + draw.choice((1, 4, 64))]
        elif how == 3:
            data[at:at] = data[max(0, at - draw.choice((1, 16, 512))) : at]
        elif how == 4:
            data[at:at] = draw.choice(WORDS)
        elif how == 5:
            word = draw.choice(WORDS)
            data[at : at + len(word)] = word
        else:
            data[at : at + 16] = draw.randbytes(16)
    return bytes(data)


def damage_json(draw: random.Random, content: bytes) -> bytes:
    """Put something hostile at some place of a document."""
    document = [json.loads(content)]
    for _ in range(draw.choice((1, 1, 2))):
        _damage_node(draw, document)
    text = json.dumps(document[0], allow_nan=True)
    if draw.random() < 0.03:
        depth = draw.choice((500, 5000, 100_000))
        text = "[" * depth + "]" * depth
    return text.encode("utf-8", "replace")


def _damage_node(draw: random.Random, document: list[Any]) -> None:
    holder, key = _place(draw, document)
    how = draw.randrange(5)
    if how <= 2:
        holder[key] = draw.choice(HOSTILE)
    elif how == 3 and isinstance(holder[key], list) and holder[key]:
        holder[key] = holder[key] * draw.choice((2, 50, 2000 // len(holder[key]) + 1))
    elif holder is not document:
        del holder[key]


def _place(draw: random.Random, document: list[Any]) -> tuple[Any, Any]:
    """Walk down to a place of any depth."""
    holder: Any = document
    key: Any = 0
    while isinstance(holder[key], dict | list) and holder[key] and draw.random() < 0.8:
        holder = holder[key]
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = draw.choice(list(keys))
    return holder, key


def damage_text(draw: random.Random, content: bytes) -> bytes:
    """Change a word or a line."""
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    hostile = str(draw.choice(HOSTILE)).encode("utf-8", "replace")
    how = draw.randrange(6)
    if how == 0:
        lines[at] = hostile
    elif how == 1:
        del lines[at]
    elif how == 2:
        lines[at:at] = [lines[at]] * draw.choice((1, 1000))
    elif how == 3:
        lines[at] = b"\xff\xfe" + lines[at]
    else:
        words = lines[at].replace(b'"', b' " ').split(b" ")
        words[draw.randrange(len(words))] = hostile
        lines[at] = b" ".join(words)
    return b"\n".join(lines)


def damage_png(draw: random.Random, content: bytes) -> bytes:
    """Change size, depth or color in the header of a PNG, checksum included."""
    if not content.startswith(b"\x89PNG"):
        return damage_bytes(draw, content)
    header = bytearray(content[12:29])  # IHDR and its 13 bytes
    at = draw.choice((4, 8, 12, 13, 14, 15, 16))
    if at <= 8:
        size = draw.choice((0, 1, 7, 65_535, 100_000, 2**31 - 1, 2**32 - 1))
        header[at : at + 4] = struct.pack(">I", size)
    else:
        header[at] = draw.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    checksum = struct.pack(">I", zlib.crc32(header))
    return content[:12] + bytes(header) + checksum + content[33:]


def damage_zip(draw: random.Random, content: bytes) -> bytes:
    """Rename, drop, repeat, damage or blow up a member."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = draw.randrange(len(members))
    name, data = members[at]
    how = draw.randrange(6)
    if how == 0:
        members[at] = (draw.choice(("../x", "/x", "x" * 300, "data.pkl", "\0")), data)
    elif how == 1 and len(members) > 1:
        del members[at]
    elif how == 2:
        members.append((name, b""))
    elif how == 3:
        members[at] = (name, bytes(draw.choice((1 << 20, 64 << 20))))
    else:
        members[at] = (name, damage_bytes(draw, data))
    stream = io.BytesIO()
    method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return stream.getvalue()


def damage_tar(draw: random.Random, content: bytes) -> bytes:
    """Change a member of a tar file: name, size, kind or content."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
        loaded = [(member, file.read() if file else b"") for member, file in members]
    at = draw.randrange(len(loaded))
    member, data = loaded[at]
    how = draw.randrange(5)
    if how == 0:
        member.name = draw.choice(("../x.png", "/etc/x.jpg", "x", ".x.png", "a/" * 40 + "b.png"))
    elif how == 1:
        member.size = draw.choice((0, 1, len(data) + 512, 2**31, 2**33))
    elif how == 2:
        member.type = draw.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, b"Z"))
        member.linkname = "/etc/passwd"
    else:
        data = damage_bytes(draw, data)
        member.size = len(data)
    loaded[at] = (member, data)
    stream = io.BytesIO()
    for member, data in loaded:
        stream.write(member.tobuf(format=tarfile.GNU_FORMAT))
        stream.write(data + bytes(-len(data) % 512))
    stream.write(bytes(1024))
    return stream.getvalue()


def damage_safetensors(draw: random.Random, content: bytes) -> bytes:
    """Change the header of a safetensors file, its length included."""
    size = int.from_bytes(content[:8], "little")
    header = damage_json(draw, content[8 : 8 + size])
    length = draw.choice((len(header), len(header), 0, 2**40, 2**63))
    return length.to_bytes(8, "little") + header + content[8 + size :]


BY_SUFFIX: dict[str, tuple[Mutator, ...]] = {
    ".json": (damage_json, damage_json, damage_bytes),
    ".jsonl": (damage_text, damage_bytes),
    ".png": (damage_png, damage_bytes),
    ".jpg": (damage_bytes,),
    ".pth": (damage_zip, damage_bytes),
    ".pt": (damage_zip, damage_bytes),
    ".npz": (damage_zip, damage_bytes),
    ".zip": (damage_zip, damage_bytes),
    ".tar": (damage_tar, damage_bytes),
    ".safetensors": (damage_safetensors, damage_bytes),
}
TEXT: tuple[Mutator, ...] = (damage_text, damage_text, damage_bytes)  # .txt .yaml .xml .toml .csv
BINARY = frozenset({".pkl", ".npy", ".parquet", ".legacy"})


def damage(draw: random.Random, suffix: str, content: bytes) -> bytes:
    """Damage a file as its format allows."""
    usual = (damage_bytes,) if suffix in BINARY else TEXT
    found = draw.choice(BY_SUFFIX.get(suffix, usual))
    try:
        return found(draw, content)
    except (ValueError, KeyError, OverflowError, struct.error, tarfile.TarError, IndexError):
        return damage_bytes(draw, content)  # what can't even be written
