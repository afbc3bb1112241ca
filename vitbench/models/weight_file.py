"""Open a file of weights by its content, without ever running code that it carries."""

import argparse
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from vitbench.errors import CheckpointError, UnsafeCheckpoint, listed

HEADER = 16  # bytes that tell the kinds apart


class InertSettings(dict[str, Any]):
    """Stands for the settings class that some training files carry (yacs); does nothing."""


SCALAR = np.float64(0).__reduce__()[0]  # how numpy restores a number; its module moved in 2.0
# What training files carry beside tensors; none of it can run code.
HARMLESS: tuple[Any, ...] = (
    argparse.Namespace,
    (InertSettings, "yacs.config.CfgNode"),
    (SCALAR, "numpy.core.multiarray.scalar"),
    (SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float32", "float64", "int32", "int64")),
)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """What a file holds: nested mappings down to tensors, and text beside them."""

    kind: str  # "torch" or "safetensors"
    content: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_weight_file(path: Path) -> WeightFile:
    """Read a file of weights; what it is, its first bytes say and never its name.

    Raises:
        CheckpointError: If there is no such file, or it is no complete file of weights.
        UnsafeCheckpoint: If reading it would run code.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file.",
            hint="check the path, or `vitbench list checkpoints` for the names that are known",
        )
    with path.open("rb") as file:
        head = file.read(HEADER)
    if head[6:9] == b"\0\0{":  # the header's length, 8 bytes that may begin as a pickle does
        return _read_safetensors(path)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"\x80"):
        return WeightFile("torch", _read_torch(path))
    raise CheckpointError(
        f"{path}: this is not a file of weights.",
        expected="a PyTorch file (zip or pickle) or a safetensors file",
        found=_describe(path, head),
        hint="download it again; a saved web page or a Git LFS pointer is a common cause",
    )


def _read_torch(path: Path) -> Mapping[str, Any]:
    try:
        with torch.serialization.safe_globals(list(HARMLESS)):
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        refused = _refused(path, str(error))
        if refused:
            raise UnsafeCheckpoint(
                f"{path}: reading this file would run code, so it was not read.",
                expected="tensors, numbers, text and containers of them",
                found=listed(refused),
                hint="ask its author for a file of weights only, or save model.state_dict() alone",
            ) from error
        raise CheckpointError(
            f"{path}: the file is damaged or not complete.",
            expected="a whole PyTorch file",
            found=f"{path.stat().st_size} bytes; {_first_sentence(str(error))}",
            hint="download or copy it again, and compare its size with the source's",
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: this PyTorch file holds no dictionary of weights.",
            expected="a state dict, alone or inside a dictionary",
            found=type(content).__name__,
        )
    return content


def _refused(path: Path, message: str) -> list[str]:
    """Name what a file would have called, from the message or from the file's own listing."""
    if "Weights only load failed" not in message or "GLOBAL" not in message.upper():
        return []
    if zipfile.is_zipfile(path):
        with torch.serialization.safe_globals(list(HARMLESS)):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    words = message.partition("GLOBAL ")[2].split()
    return words[:1]


def _read_safetensors(path: Path) -> WeightFile:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return WeightFile("safetensors", tensors, _documents(file.metadata() or {}))
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: the safetensors file is damaged or not complete.",
            found=f"{path.stat().st_size} bytes; {error}",
            hint="download or copy it again, and compare its size with the source's",
        ) from error


def _documents(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Parse the entries of safetensors metadata that are JSON objects; keep the others."""
    parsed: dict[str, Any] = {}
    for key, text in metadata.items():
        try:
            parsed[key] = json.loads(text) if text.startswith("{") else text
        except json.JSONDecodeError:
            parsed[key] = text
    return parsed


def _describe(path: Path, head: bytes) -> str:
    size = path.stat().st_size
    if size == 0:
        return "an empty file"
    try:
        return f"text, {size} bytes: {head.decode('utf-8')!r}…"
    except UnicodeDecodeError:
        return f"{size} bytes that begin with {head!r}"


def _first_sentence(text: str) -> str:
    return text.strip().splitlines()[0][:160] if text.strip() else "it ends too early"
