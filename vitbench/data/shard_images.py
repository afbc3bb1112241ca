"""Classified images in WebDataset shards on this machine, read at any place: `x.jpg`, `x.cls`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vitbench.data.decode import RESTORE, CorruptImage
from vitbench.data.stored import Label, Scan
from vitbench.data.tar_files import Sample, index_samples
from vitbench.outside_files import check_regular, parsing, reason, refused_as

SUFFIX = ".tar"
LABEL_KEYS = ("label", "cls", "class", "class_id", "target", "class_name", "wnid")  # of x.json
KEPT = 4  # scans held in memory: of the splits of a run


@dataclass(frozen=True, slots=True)
class ShardStore:
    """Images at known places of tar files: a `Store`."""

    files: Sequence[Path]
    samples: Sequence[tuple[int, Sample]]  # number of the file, and what lies in it
    holds_labels: bool = True

    def file(self, place: int) -> Path:
        """Return the shard of an image."""
        return self.files[self.samples[place][0]]

    def read(self, place: int) -> tuple[str, bytes]:
        """Return the name and the bytes of an image."""
        number, sample = self.samples[place]
        name = f"{self.files[number]}: {sample.image}"
        with (
            refused_as(lambda error: CorruptImage(name, found=reason(error), cure=RESTORE)),
            self.files[number].open("rb") as stream,
        ):
            stream.seek(sample.offset)
            return name, stream.read(sample.size)


def scan_shards(files: Sequence[Path]) -> Scan:
    """Find every image of shards and its label, by the headers and the small files of labels.

    Raises:
        DatasetError: A shard is damaged, or a label can't be read.
    """
    return _scan(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@lru_cache(KEPT)
def _scan(states: tuple[tuple[Path, int, int], ...]) -> Scan:
    files = [path for path, *_ in states]
    samples, labels = [], []
    for number, path in enumerate(files):
        with parsing(
            f"the shard {str(path)!r}",
            expected="a whole tar file that is not compressed; in x.cls a class, or in x.json"
            f" one of {', '.join(LABEL_KEYS)}",
            hint="restore the shard",
        ):
            check_regular(path)
            for sample in index_samples(path):
                samples.append((number, sample))
                labels.append(_label(sample))
    ids = [f"{files[number].name}/{sample.image}" for number, sample in samples]
    return Scan(ShardStore(files, samples), ids, labels)


def _label(sample: Sample) -> Label:
    """Return the class that a sample says: a number or a name."""
    if sample.cls is not None:
        return _number_or_name(sample.cls.decode("utf-8").strip())
    if sample.json is None:
        return None
    said = json.loads(sample.json)
    if isinstance(said, dict):
        said = next((said[key] for key in LABEL_KEYS if said.get(key) is not None), None)
    if isinstance(said, str):
        return _number_or_name(said)
    if said is None or (isinstance(said, int) and not isinstance(said, bool)):
        return said
    raise ValueError(f"the label of {sample.image} is {said!r}")


def _number_or_name(text: str) -> Label:
    return int(text) if text.removeprefix("-").isdecimal() else text
