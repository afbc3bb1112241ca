"""Data sets by the name that a library knows them by: `torchvision:CIFAR10`, `hf:uoft-cs/cifar10`.

They are fetched once. Those of torchvision are kept as shards, their pixels unchanged; those of the
Hugging Face Hub as the Parquet files that lie there.
"""

import inspect
import io
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from vitbench.cache import find_cached
from vitbench.errors import DatasetError, DatasetNotFound, UnknownName
from vitbench.outside_files import parsing
from vitbench.records import BUILDING

TORCHVISION, HUB = "torchvision:", "hf:"
PER_SHARD = 10_000  # images
SPLITS = (("train", ("train", "trainval")), ("val", ("val", "test")))  # and what they may be called
REPOSITORY = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:/(\w[\w.-]*))?")  # owner/name, and a folder in it


def is_named_set(name: str) -> bool:
    """Whether a data set is called by the name that a library has for it."""
    return name.startswith((TORCHVISION, HUB))


def named_root(name: str) -> Path:
    """Return the folder of a data set of a library; it is fetched on its first use.

    Raises:
        UnknownName: The library has no such set.
        DatasetError: It can't be fetched, or is no set of classified images.
    """
    library, _, own = name.partition(":")
    folder = find_cached("named", library, own.replace("/", "--"))
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _fetch_from_hub(own, folder) if library == "hf" else _write_shards(own, folder)
    return folder


def _fetch_from_hub(own: str, folder: Path) -> None:
    """Download the Parquet files of a repository, and call their folder by its name."""
    from huggingface_hub import snapshot_download

    found = REPOSITORY.fullmatch(own)
    if found is None:
        raise DatasetNotFound(
            f"no data at {HUB + own!r}.", expected=f"{HUB}OWNER/NAME, or {HUB}OWNER/NAME/FOLDER"
        )
    repository, inner = found[1], found[2] or ""
    with parsing(
        f"the data set {HUB + own!r}",
        expected="a data set of the Hugging Face Hub that may be read, or a copy in its cache",
        hint="--data PATH of a copy on this machine",
        error=DatasetNotFound,
    ):
        snapshot = snapshot_download(
            repository, repo_type="dataset", allow_patterns=[f"{inner or '*'}*.parquet"]
        )
    if not (Path(snapshot) / inner).is_dir() or not any(Path(snapshot).rglob("*.parquet")):
        raise DatasetNotFound(
            f"the data set {HUB + own!r} has no Parquet files.",
            expected=f"train-….parquet in {inner or 'its folder, data/, or one folder deeper'}",
        )
    folder.symlink_to(Path(snapshot) / inner, target_is_directory=True)


def _write_shards(own: str, folder: Path) -> None:
    """Write both splits of a data set of torchvision as shards, whole or not at all."""
    from torchvision import datasets

    known = [name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))]
    if own not in known:
        raise UnknownName("data set of torchvision", own, known)
    building = Path(mkdtemp(dir=folder.parent, prefix=BUILDING))
    try:
        raw = folder.parent / f".{own}-as-downloaded"
        for split, words in SPLITS:
            called, dataset = _opened(own, getattr(datasets, own), raw, split, words)
            for part, entries in enumerate(_parts(own, dataset)):
                _write(building / f"{called}-{part:05}.tar", entries)
            names = [_text(name) for name in getattr(dataset, "classes", ())]
            if names:
                (building / "classes.txt").write_text("".join(f"{name}\n" for name in names))
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _opened(
    own: str, make: Callable[..., Any], raw: Path, split: str, words: Sequence[str]
) -> tuple[str, Any]:
    """Open one split of a data set of torchvision; return what the split is called there too."""
    takes = inspect.signature(make).parameters
    more = {"download": True} if "download" in takes else {}
    choices: list[tuple[str, dict[str, bool | str]]]
    if "train" in takes:
        choices = [(words[-1] if split == "val" else split, {"train": split == "train"})]
    else:
        choices = [(word, {"split": word}) for word in words if "split" in takes]
    problem: Exception | None = None
    for called, chosen in choices:
        try:
            return split if split == "train" else called, make(str(raw), **chosen, **more)
        except ValueError as error:  # the split is called otherwise
            problem = error
        except Exception as error:  # of the network, the archive, or the disk
            problem = error
            break
    raise DatasetError(
        f"the data set {TORCHVISION + own!r} can't be read.",
        expected="one with a training split and another, that torchvision can download",
        found=f"{type(problem).__name__}: {problem}" if problem else "no split to choose",
        hint="--data PATH of a copy on this machine",
    ) from problem


def _parts(own: str, dataset: Any) -> Iterator[Iterator[tuple[int, bytes, int]]]:
    """Yield the images of each shard: number, PNG, class."""
    for first in range(0, len(dataset), PER_SHARD):
        numbers = range(first, min(first + PER_SHARD, len(dataset)))
        yield ((number, *_encoded(own, dataset[number])) for number in numbers)


def _encoded(own: str, item: Any) -> tuple[bytes, int]:
    try:
        image, target = item
        number = int(target)
        stream = io.BytesIO()
        image.save(stream, "PNG")
    except (TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"the data set {TORCHVISION + own!r} holds no classified images.",
            expected="an image and the number of its class",
            found=str(error),
        ) from error
    return stream.getvalue(), number


def _write(path: Path, entries: Iterator[tuple[int, bytes, int]]) -> None:
    with tarfile.open(path, "w") as tar:
        for number, png, target in entries:
            for suffix, content in (("png", png), ("cls", str(target).encode())):
                info = tarfile.TarInfo(f"{number:07}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def _text(name: object) -> str:
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
