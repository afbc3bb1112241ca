"""Open a file of weights by its content, without ever running code that it carries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open

from vitbench.errors import CheckpointError
from vitbench.models.torch_file import read_torch
from vitbench.outside_files import reason, refused_as

HEADER = 512  # bytes that tell the kinds apart


# What else lies about under such names: first bytes, and what they say.
OTHERS = (
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file (Keras, TensorFlow)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"GGUF", "a GGUF file (llama.cpp)"),
    (b"version https://git-lfs", "a Git LFS pointer: `git lfs pull` fetches the file itself"),
)
SHOWN = 16  # bytes of an unknown file that an error quotes
TAR = slice(257, 262)  # where a tar archive says that it is one


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The content of a weight file: nested mappings of tensors, and text beside them."""

    kind: str  # "torch" or "safetensors"
    content: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_weight_file(path: Path) -> WeightFile:
    """Read a weight file; its first bytes tell its kind, never its name.

    Raises:
        CheckpointError: If there is no such file, or it is no complete file of weights.
        UnsafeCheckpoint: If reading it would run code.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file.",
            hint="check the path, or `vitbench list checkpoints` for the names that are known",
        )
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be opened.", found=str(error)) from error
    if head[6:9] == b"\0\0{":  # the header's length, 8 bytes that may begin as a pickle does
        return _read_safetensors(path)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"\x80"):
        return WeightFile("torch", read_torch(path))
    raise CheckpointError(
        f"{path}: this is not a file of weights.",
        expected="a PyTorch file (zip or pickle) or a safetensors file",
        found=_describe(path, head),
        hint="download it again; a saved web page or a Git LFS pointer is a common cause",
    )


def _read_safetensors(path: Path) -> WeightFile:
    with (
        refused_as(
            lambda error: CheckpointError(
                f"{path}: the safetensors file is damaged or not complete.",
                found=f"{path.stat().st_size} bytes; {reason(error)}",
                hint="download or copy it again, and compare its size with the source's",
            )
        ),
        safe_open(path, framework="pt") as file,
    ):
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return WeightFile("safetensors", tensors, _documents(file.metadata() or {}))


def _documents(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Parse the entries of safetensors metadata that are JSON objects; keep the others."""
    parsed: dict[str, Any] = {}
    for key, text in metadata.items():
        try:
            parsed[key] = json.loads(text) if text.startswith("{") else text
        except (ValueError, RecursionError):
            parsed[key] = text
    return parsed


def _describe(path: Path, head: bytes) -> str:
    size = path.stat().st_size
    if size == 0:
        return "an empty file"
    if head[TAR] == b"ustar":
        return "a tar archive (a packed folder, or a PyTorch file of 2016): unpack it first"
    other = next((text for start, text in OTHERS if head.startswith(start)), "")
    if other:
        return other
    try:
        return f"text, {size} bytes: {head[:SHOWN].decode('utf-8')!r}…"
    except UnicodeDecodeError:
        return f"{size} bytes that begin with {head[:SHOWN]!r}"
