"""Queries, and the images of a database that are right answers to them (kind `retrieval`).

    gnd_NAME.pkl or gnd_NAME.json, jpg/     revisited Oxford and Paris
    original/, strong/, [distractors/]      Copydays: files with the same first four letters match
    whitening/                              optional images that a whitening is learned from

A `gnd` file holds `imlist` and `qimlist` (names of images without suffix) and `gnd`, one entry a
query: `bbx` (left, top, right, bottom of the object in the query) and, as positions in `imlist`,
`easy`, `hard` and `junk`. Pickles are read as plain data.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from vitbench.bounds import LARGEST_DOCUMENT
from vitbench.data.dataset import Reader
from vitbench.data.decode import read_file, read_image
from vitbench.data.kinds import Sample, part_of
from vitbench.data.listing import image_names
from vitbench.data.plain_pickle import read_plain_pickle
from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import paint_ground
from vitbench.data.synthetic.png import write_png
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.outside_files import parsing, read_text
from vitbench.records import DatasetInfo

DATABASE, QUERIES, WHITENING = "database", "queries", "whitening"
PREFIX = 4  # letters of a Copydays name that say which image it is a copy of
GRADES = ("easy", "hard", "junk")


@dataclass(frozen=True, slots=True)
class Relevance:
    """Which images of the database, by their ids, answer a query; all others are wrong answers."""

    easy: tuple[str, ...]
    hard: tuple[str, ...] = ()
    junk: tuple[str, ...] = ()  # neither right nor wrong
    box: tuple[float, float, float, float] | None = None  # of the object: left, top, right, bottom


@dataclass(frozen=True, slots=True)
class RetrievalImages:
    """One split: the database, its queries with what answers them, or images for a whitening."""

    info: DatasetInfo
    root: Path
    ids: Sequence[str]  # paths below the root
    relevance: Sequence[Relevance | None]  # of each image; None for all but queries
    shared_files: Sequence[Path] = ()
    notes: Sequence[str] = ()
    class_names: Sequence[str] = field(default=())

    def image_files(self, index: int) -> Sequence[Path]:
        """Return the file of an image."""
        return (self.root / self.ids[index],)

    def label_files(self, index: int) -> Sequence[Path]:
        """Return nothing: one file says what answers every query."""
        return ()

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return an image as it is stored, and its name for messages."""
        path = self.root / self.ids[index]
        return str(path), read_file(path)

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given."""
        return replace(
            self,
            info=part_of(self.info, len(indices)),
            ids=[self.ids[index] for index in indices],
            relevance=[self.relevance[index] for index in indices],
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample[Relevance | None]:
        image = read_image(self.root / self.ids[index])
        return Sample(self.ids[index], image, self.relevance[index])


def open_retrieval(root: Path, split: str) -> RetrievalImages:
    """Open the split `database`, `queries` or `whitening` of a folder.

    Raises:
        DatasetNotFound: Nothing of the known layouts lies there.
        DatasetError: A file is missing or says something impossible; it is named.
    """
    if split == WHITENING:
        return _described(root, split, _listed(root, WHITENING))
    truths = sorted((*root.glob("gnd_*.json"), *root.glob("gnd_*.pkl")))
    if truths and (root / "jpg").is_dir():
        return _revisited(root, split, truths[0])
    if (root / "original").is_dir() and (root / "strong").is_dir():
        return _copies(root, split)
    raise DatasetNotFound(
        f"{str(root)!r} has no queries with known answers.",
        expected="gnd_NAME.json or .pkl beside jpg/, or the folders original/ and strong/",
        found=listed(sorted(path.name for path in root.iterdir())) if root.is_dir() else "nothing",
    )


def _revisited(root: Path, split: str, file: Path) -> RetrievalImages:
    truth = _read_truth(file)
    found = {Path(name).stem: f"jpg/{name}" for name in image_names(root / "jpg")}
    lists = {key: [_named(name, file) for name in truth[key]] for key in ("imlist", "qimlist")}
    missing = [name for names in lists.values() for name in names if name not in found]
    if missing:
        raise DatasetError(
            f"{len(missing)} images that {str(file)!r} names are not there.",
            expected="jpg/NAME.jpg for each name",
            found=f"nothing called {listed(missing)}",
            hint="unpack the archive again",
        )
    database, queries = ([found[name] for name in names] for names in lists.values())
    if split == DATABASE:
        return _described(root, split, database, shared_files=(file,))
    if len(truth["gnd"]) != len(queries):
        raise DatasetError(
            f"{str(file)!r} has {len(queries)} queries and {len(truth['gnd'])} sets of answers."
        )
    relevance = [_relevance(entry, database, file) for entry in truth["gnd"]]
    return _described(root, split, queries, relevance, shared_files=(file,))


def _read_truth(file: Path) -> Mapping[str, Any]:
    with parsing(f"the ground truth {str(file)!r}"):
        text = read_text(file, LARGEST_DOCUMENT) if file.suffix == ".json" else ""
        truth = json.loads(text) if text else read_plain_pickle(file)
    wanted = ("imlist", "qimlist", "gnd")
    if not isinstance(truth, dict) or not all(isinstance(truth.get(key), list) for key in wanted):
        raise DatasetError(
            f"{str(file)!r} is no ground truth.", expected=f"lists {', '.join(wanted)}"
        )
    return truth


def _named(name: object, file: Path) -> str:
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise DatasetError(f"{str(file)!r} has the name {name!r}.", expected="a file's name")
    return name


def _relevance(entry: object, database: Sequence[str], file: Path) -> Relevance:
    """Check what is said of one query."""
    with parsing(
        f"a query of {str(file)!r}",
        expected=f"bbx: four numbers; {', '.join(GRADES)}: positions in imlist, no one twice",
    ):
        if not isinstance(entry, dict):
            raise ValueError("no dictionary")
        grades = [[int(place) for place in entry[grade]] for grade in GRADES]
        places = [place for grade in grades for place in grade]
        if len({*places}) != len(places) or not {*places} <= {*range(len(database))}:
            raise ValueError("a position of two grades, or of no image")
        easy, hard, junk = (tuple(database[place] for place in grade) for grade in grades)
        left, top, right, bottom = (float(value) for value in entry["bbx"])
    return Relevance(easy, hard, junk, (left, top, right, bottom))


def _copies(root: Path, split: str) -> RetrievalImages:
    originals = _listed(root, "original")
    if split == DATABASE:
        distractors = _listed(root, "distractors") if (root / "distractors").is_dir() else []
        notes = [] if distractors else ["no distractors/: only originals are searched"]
        return _described(root, split, [*originals, *distractors], notes=notes)
    queries, answers = _listed(root, "strong"), defaultdict[str, list[str]](list)
    for name in originals:
        answers[Path(name).name[:PREFIX]].append(name)
    relevance = [Relevance(tuple(answers[Path(name).name[:PREFIX]])) for name in queries]
    alone = [name for name, one in zip(queries, relevance, strict=True) if not one.easy]
    if alone:
        raise DatasetError(
            f"{len(alone)} images of strong/ are copies of none in original/.",
            expected=f"an original with the same first {PREFIX} letters",
            found=listed(alone),
        )
    return _described(root, split, queries, relevance)


def _listed(root: Path, folder: str) -> list[str]:
    names = image_names(root / folder) if (root / folder).is_dir() else []
    if not names:
        raise DatasetNotFound(f"{str(root / folder)!r} has no images.")
    return [f"{folder}/{name}" for name in names]


def _described(
    root: Path,
    split: str,
    names: Sequence[str],
    relevance: Sequence[Relevance] | None = None,
    *,
    shared_files: Sequence[Path] = (),
    notes: Sequence[str] = (),
) -> RetrievalImages:
    noun = "queries" if split == QUERIES else "images"
    info = DatasetInfo(
        name=root.name, split=split, kind="retrieval", items=len(names), item_noun=noun
    )
    return RetrievalImages(info, root, names, relevance or [None] * len(names), shared_files, notes)


def write_demo(root: Path) -> None:
    """Write landmarks in revisited Oxford's layout: textures, seen brighter, turned, in part."""
    truth: dict[str, list[Any]] = {"imlist": [], "qimlist": [], "gnd": []}
    for landmark in range(6):
        ground, _ = paint_ground(Draws(7, landmark), 96, 96)
        scene = ground.clip(0, 255).astype(np.uint8)
        views = {
            "query": scene[8:88, 8:88],
            "easy0": scene[4:84, 12:92],
            "easy1": scene[12:92, 4:84],
            "hard0": scene[8:88, 8:88] // 2,
            "hard1": np.rot90(scene[8:88, 8:88]),
            "junk0": scene[:40, :40],
            "other0": paint_ground(Draws(8, landmark), 80, 80)[0].clip(0, 255).astype(np.uint8),
        }
        places = {}
        for view, pixels in views.items():
            name = f"landmark{landmark}_{view}"
            write_png(root / "jpg" / f"{name}.png", np.ascontiguousarray(pixels))
            if view == "query":
                truth["qimlist"].append(name)
            else:
                places[view] = len(truth["imlist"])
                truth["imlist"].append(name)
        grades: dict[str, Any] = {
            grade: [place for view, place in places.items() if view.startswith(grade)]
            for grade in GRADES
        }
        truth["gnd"].append({"bbx": [8, 8, 72, 72], **grades})
    (root / "gnd_synthetic.json").write_text(json.dumps(truth))


READER = Reader(
    open_retrieval,
    write_demo,
    splits=(DATABASE, QUERIES),
    layout=(
        "gnd_NAME.pkl (or .json) and jpg/NAME.jpg, as revisited Oxford and Paris",
        "original/NAME.jpg, strong/NAME.jpg and, optionally, distractors/NAME.jpg, as Copydays",
        "whitening/NAME.jpg beside either, for presets that whiten features",
    ),
)
