"""Pairs of images with the same key points marked in both (kind `pairs`): SPair-71k's layout.

    PairAnnotation/trn|val|test/*.json      a pair each
    JPEGImages/<category>/<name>.jpg        the images

A pair names `category`, `src_imname`, `trg_imname`, `src_kps` and `trg_kps` (points of both, x and
y), `trg_bndbox` (left, top, right, bottom of the object in the target) and `viewpoint_variation`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.bounds import LARGEST_ANNOTATION
from vitbench.data.classified import turn_order
from vitbench.data.coco_files import is_file_name
from vitbench.data.dataset import Reader
from vitbench.data.decode import read_image
from vitbench.data.kinds import part_of
from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import paint_ground
from vitbench.data.synthetic.png import write_png
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.outside_files import parsing, read_text
from vitbench.records import DatasetInfo

FOLDERS = {"train": "trn", "val": "val", "test": "test"}

Points = NDArray[np.float64]  # (k, 2), x and y in px of the image


@dataclass(frozen=True, slots=True)
class KeypointPair:
    """Two images of one category, and points that are the same in both."""

    id: str
    category: str
    viewpoint: int  # how much the view differs: 0 little, 2 much
    source: Path
    target: Path
    source_points: Points
    target_points: Points
    extent: float  # px: the longer side of the object's box in the target

    def images(self) -> tuple[Image.Image, Image.Image]:
        """Read source and target."""
        return read_image(self.source), read_image(self.target)


@dataclass(frozen=True, slots=True)
class KeypointPairs:
    """The pairs of one split; the categories take turns."""

    info: DatasetInfo
    pairs: Sequence[tuple[Path, KeypointPair]]  # with their annotation files
    class_names: Sequence[str]
    notes: Sequence[str] = ()
    shared_files: Sequence[Path] = ()

    @property
    def ids(self) -> Sequence[str]:
        """The names of the pairs."""
        return [pair.id for _, pair in self.pairs]

    def image_files(self, index: int) -> Sequence[Path]:
        """Return the files of both images."""
        pair = self.pairs[index][1]
        return (pair.source, pair.target)

    def label_files(self, index: int) -> Sequence[Path]:
        """Return the annotation of a pair."""
        return (self.pairs[index][0],)

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some pairs, in the order given."""
        info = part_of(self.info, len(indices))
        return replace(self, info=info, pairs=[self.pairs[index] for index in indices])

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> KeypointPair:
        return self.pairs[index][1]


def open_pairs(root: Path, split: str) -> KeypointPairs:
    """Open one split: `train`, `val` or `test`.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: An annotation can't be read, or an image is missing.
    """
    folder = root / "PairAnnotation" / FOLDERS.get(split, split)
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of pairs.",
            expected=f"PairAnnotation/{folder.name}/*.json",
            found=listed(sorted(path.name for path in root.glob("PairAnnotation/*"))),
        )
    pairs = sorted(((file, _read(root, file)) for file in files), key=lambda pair: pair[1].category)
    categories = sorted({pair.category for _, pair in pairs})
    order = turn_order([categories.index(pair.category) for _, pair in pairs])
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="pairs",
        items=len(pairs),
        classes=len(categories),
        item_noun="pairs",
    )
    return KeypointPairs(info, [pairs[index] for index in order], categories)


def _read(root: Path, file: Path) -> KeypointPair:
    """Read one annotation."""
    with parsing(
        f"the pair {str(file)!r}",
        expected="SPair-71k's JSON: category, *_imname, *_kps, trg_bndbox, viewpoint_variation",
    ):
        found: Mapping[str, Any] = json.loads(read_text(file, LARGEST_ANNOTATION))
        category = _plain(found["category"])
        images = [
            root / "JPEGImages" / category / _plain(found[f"{side}_imname"])
            for side in ("src", "trg")
        ]
        points = [
            np.asarray(found[f"{side}_kps"], dtype=np.float64).reshape(-1, 2)
            for side in ("src", "trg")
        ]
        if len(points[0]) != len(points[1]) or not len(points[0]):
            raise ValueError(f"{len(points[0])} points of one image and {len(points[1])} of other")
        left, top, right, bottom = (float(side) for side in found["trg_bndbox"])
        viewpoint = int(found["viewpoint_variation"])
    missing = [path.relative_to(root).as_posix() for path in images if not path.is_file()]
    if missing:
        raise DatasetError(f"{str(file)!r} names images that are not there.", found=listed(missing))
    extent = max(right - left, bottom - top)
    return KeypointPair(
        file.stem, category, viewpoint, images[0], images[1], points[0], points[1], extent
    )


def _plain(name: object) -> str:
    if not isinstance(name, str) or Path(name).name != name or not is_file_name(name):
        raise ValueError(f"a name {name!r}")
    return name


def write_demo(root: Path) -> None:
    """Write textures of two categories, each pair a part of one scene moved by whole pixels."""
    folder = root / "PairAnnotation" / FOLDERS["test"]
    folder.mkdir(parents=True)
    for number in range(12):
        draws, category = Draws(9, number), ("weave", "wave")[number % 2]
        ground, _ = paint_ground(draws, 96, 112)
        scene = ground.clip(0, 255).astype(np.uint8)
        moved = (draws.integer(0, 16), draws.integer(0, 16))
        names = [f"{number:02}a.png", f"{number:02}b.png"]
        for name, (top, left) in zip(names, ((8, 8), moved), strict=True):
            part = np.ascontiguousarray(scene[top : top + 80, left : left + 96])
            write_png(root / "JPEGImages" / category / name, part)
        points = [[draws.integer(24, 72), draws.integer(24, 56)] for _ in range(6)]
        other = [[x + 8 - moved[1], y + 8 - moved[0]] for x, y in points]
        pair = {
            "category": category,
            "src_imname": names[0],
            "trg_imname": names[1],
            "src_kps": points,
            "trg_kps": other,
            "trg_bndbox": [0, 0, 96, 80],
            "viewpoint_variation": number % 3,
        }
        (folder / f"{number:06}-{category}.json").write_text(json.dumps(pair))


READER = Reader(
    open_pairs,
    write_demo,
    splits=("test",),
    layout=("PairAnnotation/test/NAME.json and JPEGImages/CATEGORY/NAME.jpg, as SPair-71k",),
)
