"""Read files of `torch.save` without ever running code that they carry."""

import argparse
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

from vitbench.errors import CheckpointError, UnsafeCheckpoint, listed
from vitbench.outside_files import refused_as


class InertSettings(dict[str, Any]):
    """Stands for the settings class that some training files carry (yacs); does nothing."""


SCALAR = np.float64(0).__reduce__()[0]  # how numpy restores a number; its module moved in 2.0
# What training files carry beside tensors; none of it can run code. A path is read as a pure one,
# which can't touch a disk; its module moved in Python 3.13.
HARMLESS: tuple[Any, ...] = (
    argparse.Namespace,
    (InertSettings, "yacs.config.CfgNode"),
    (SCALAR, "numpy.core.multiarray.scalar"),
    (SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float32", "float64", "int32", "int64")),
    *(
        (inert, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for inert, names in (
            (PurePosixPath, ("PosixPath", "PurePosixPath")),
            (PureWindowsPath, ("WindowsPath", "PureWindowsPath")),
        )
        for name in names
    ),
)
# modules whose functions act on the machine; a name of another is taken for a class
ACTING = {"builtins", "__builtin__", "os", "posix", "nt", "sys", "subprocess", "shutil", "runpy",
          "importlib", "socket", "ctypes", "pty", "webbrowser"}  # fmt: skip


def read_torch(path: Path) -> Mapping[str, Any]:
    """Read a file of `torch.save`, zip or the older pickle: tensors, numbers, text, containers.

    Raises:
        CheckpointError: If it is damaged, is a program, or holds no dictionary.
        UnsafeCheckpoint: If it holds objects that are not read.
    """
    with path.open("rb") as file:  # a pickle may have a zip archive's end behind it
        zipped = file.read(2) == b"PK" and zipfile.is_zipfile(path)
    with refused_as(partial(_refusal, path, zipped)):
        if zipped:
            _refuse_other_archives(path)
        with torch.serialization.safe_globals(list(HARMLESS)):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: this PyTorch file holds no dictionary of weights.",
            expected="a state dict, alone or inside a dictionary",
            found=f"a {type(content).__name__}",
            hint="save model.state_dict() and name that file",
        )
    return content


def _refuse_other_archives(path: Path) -> None:
    """Refuse zip archives that `torch.save` did not write, by the names and flags inside."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inside = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in inside:
        raise CheckpointError(
            f"{path}: this is a TorchScript archive, a program with its weights.",
            expected="a state dict",
            found="compiled code (such as OpenAI's CLIP files or torch.jit.save write)",
            hint='torch.save(torch.jit.load(FILE, "cpu").state_dict(), "weights.pth") takes its '
            "weights; running it is a matter of trust in its author",
        )
    if any(entry.filename.endswith(".npy") for entry in entries):
        raise CheckpointError(
            f"{path}: this is a NumPy archive, such as the JAX code of ViT writes.",
            expected="a PyTorch file or a safetensors file",
            found=listed([entry.filename for entry in entries]),
            hint="timm.create_model(NAME, checkpoint_path=FILE).state_dict() converts one",
        )
    if "data.pkl" not in inside:
        raise CheckpointError(
            f"{path}: this zip archive is no PyTorch file.",
            expected="data.pkl inside, as torch.save writes it",
            found=listed([entry.filename for entry in entries]),
            hint="unpack it and name the file of weights inside",
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(
            f"{path}: this PyTorch file was packed again with compression.",
            expected="its parts stored as torch.save stores them",
            found="compressed parts, whose numbers can't be used as they lie",
            hint='torch.save(torch.load(FILE, weights_only=True), "weights.pth") writes it anew',
        )


def _refusal(path: Path, zipped: bool, error: Exception) -> CheckpointError:
    refused = _refused(path, str(error), zipped)
    if refused:
        return _unsafe(path, refused)
    return CheckpointError(
        f"{path}: the file is damaged or not complete.",
        expected="a whole PyTorch file",
        found=f"{path.stat().st_size} bytes; {type(error).__name__}: {_first(str(error))}",
        hint="download or copy it again, and compare its size with the source's",
    )


def _refused(path: Path, message: str, zipped: bool) -> list[str]:
    """Name what a file would have called, from the message or from the file's own listing."""
    if "Weights only load failed" not in message or "GLOBAL" not in message.upper():
        return []
    if zipped:
        with torch.serialization.safe_globals(list(HARMLESS)):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    words = message.partition("GLOBAL ")[2].split()
    return words[:1]


def _unsafe(path: Path, refused: list[str]) -> UnsafeCheckpoint:
    acting = any(name.partition(".")[0] in ACTING for name in refused)
    return UnsafeCheckpoint(
        f"{path}: reading this file would run code, so it was not read."
        if acting
        else f"{path}: this file holds more than weights: objects of other classes.",
        expected="tensors, numbers, text and containers of them",
        found=listed(refused)
        + ("" if acting else "; making such objects can run code, so it was not read"),
        hint="ask its author for a file of weights only"
        if acting
        else "where you trust its author: torch.load(FILE, weights_only=False), then torch.save of "
        "the state dict inside",
    )


def _first(text: str) -> str:
    return text.strip().splitlines()[0][:160] if text.strip() else "it ends too early"
