"""What is no file of weights is said by its kind, and what is read runs no code."""

import gzip
import io
import pathlib
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vitbench.errors import CheckpointError, UnsafeCheckpoint
from vitbench.models.weight_file import read_weight_file

WEIGHTS = {"patch_embed.proj.weight": torch.arange(48.0).view(4, 3, 2, 2)}


class Settings:
    """A class of a training script, whose pickled objects can't be read without it."""


@pytest.mark.parametrize("path", [pathlib.PurePosixPath("/data/x"), Path("/data/x")])
def test_a_path_in_a_training_files_arguments_is_read_as_a_pure_one(
    path: pathlib.PurePath, tmp_path: Path
) -> None:
    torch.save({"model": WEIGHTS, "args": {"output": path}}, tmp_path / "a.pth")
    found = read_weight_file(tmp_path / "a.pth").content["args"]["output"]
    assert type(found) is pathlib.PurePosixPath
    assert str(found) == "/data/x"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_class_of_a_training_script_is_named_and_not_called_code(
    zipped: bool, tmp_path: Path
) -> None:
    content = {"model": WEIGHTS, "config": Settings()}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UnsafeCheckpoint, match=r"objects of other classes(.|\n)*Settings"
    ) as raised:
        read_weight_file(tmp_path / "a.pth")
    assert "would run code" not in str(raised.value)


def test_a_whole_module_is_refused_by_its_class(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(UnsafeCheckpoint, match=r"torch.nn.modules.linear.Linear"):
        read_weight_file(tmp_path / "a.pth")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_called_what_it_is(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(CheckpointError, match=r"TorchScript(.|\n)*torch\.jit\.load"):
        read_weight_file(tmp_path / "a.pt")
    hinted = torch.jit.load(tmp_path / "a.pt", "cpu").state_dict()  # type: ignore[no-untyped-call]
    torch.save(hinted, tmp_path / "weights.pth")
    assert set(read_weight_file(tmp_path / "weights.pth").content) == {"weight", "bias"}


def test_a_file_packed_again_with_compression_is_refused(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as whole,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry))
    with pytest.raises(CheckpointError, match="packed again with compression"):
        read_weight_file(tmp_path / "b.pth")
    torch.save(torch.load(tmp_path / "b.pth", weights_only=True), tmp_path / "c.pth")
    found = read_weight_file(tmp_path / "c.pth").content
    assert torch.equal(found["patch_embed.proj.weight"], WEIGHTS["patch_embed.proj.weight"])


def archive_of_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, kernel=np.ones(3))


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("release/weights.pth", b"x")


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"), io.BytesIO())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (archive_of_numpy, r"NumPy archive(.|\n)*checkpoint_path"),
        (other_zip, r"no PyTorch file(.|\n)*release/weights.pth"),
        (tar, "a tar archive"),
        (lambda path: path.write_bytes(gzip.compress(b"x")), "a gzip archive: unpack it first"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n"), "HDF5"),
        (
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"),
            "git lfs pull",
        ),
        (lambda path: path.write_bytes(b"\x00\x01\x02\xff"), "4 bytes that begin with"),
        (lambda path: torch.save([WEIGHTS], path), "no dictionary of weights(.|\n)*a list"),
        (lambda path: torch.save(torch.ones(2), path), "no dictionary of weights(.|\n)*a Tensor"),
    ],
)
def test_what_is_no_file_of_weights_is_said_by_its_kind(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write(tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=message):
        read_weight_file(tmp_path / "file.pth")


def test_a_file_that_may_not_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    torch.save(WEIGHTS, tmp_path / "a.pth")
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(CheckpointError, match="can't be opened"):
        read_weight_file(tmp_path / "a.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_flipped_bit_reads_or_is_an_error_and_nothing_else(zipped: bool, tmp_path: Path) -> None:
    torch.save({"model": WEIGHTS}, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a").read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for place in generator.integers(0, len(whole), 150):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(generator.integers(8))
        (tmp_path / "b").write_bytes(flipped)
        try:
            read_weight_file(tmp_path / "b")
        except CheckpointError:
            refused += 1
    assert refused > 10


def test_a_pickle_that_builds_on_itself_is_an_error(tmp_path: Path) -> None:
    loop: dict[str, object] = {}
    loop["loop"] = loop
    (tmp_path / "a.pth").write_bytes(pickle.dumps(loop, protocol=2))
    with pytest.raises(CheckpointError):
        read_weight_file(tmp_path / "a.pth")
