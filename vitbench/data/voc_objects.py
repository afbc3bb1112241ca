"""PASCAL VOC's objects: `Annotations/*.xml`, `ImageSets/Main/<split>.txt`, `JPEGImages/`.

Pixels are counted from 1 in the files; a box from 1 to W covers the whole width. Boxes have no
masks: a box stands for its outline.
"""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from xml.etree import ElementTree

from vitbench.bounds import FARTHEST, LARGEST_ANNOTATION, LARGEST_LIST, LONGEST_SIDE, MOST_PIXELS
from vitbench.data.annotated_images import AnnotatedImages
from vitbench.data.coco_files import ImageEntry
from vitbench.data.instances import Instance, Instances
from vitbench.data.voc import CLASSES
from vitbench.errors import DatasetNotFound, listed
from vitbench.outside_files import A_NAME_A_LINE, AS_UTF8, parsing, read_bytes, read_text
from vitbench.records import DatasetInfo

NAMES = CLASSES[1:]  # without the background


class VocObjects(AnnotatedImages[Instances]):
    """Images with their objects, in the order of the split's list."""

    shift = 0  # category ids are above 0 already

    def __init__(
        self,
        info: DatasetInfo,
        file: Path,
        folder: Path,
        images: Sequence[ImageEntry],
        objects: Mapping[int, Sequence[Instance]],
    ) -> None:
        super().__init__(info, file, folder, images, dict(enumerate(NAMES, start=1)))
        self._objects = objects

    def target(self, index: int) -> Instances:
        """Return the objects of one image without reading the image."""
        entry = self.entries[index]
        items = tuple(self._objects[entry.id])
        return Instances(entry.id, entry.height, entry.width, items)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return the annotation of one image."""
        (path,) = self.image_files(index)
        return (path.parent.parent / "Annotations" / f"{path.stem}.xml",)


def is_voc_objects(root: Path) -> bool:
    """Whether a folder has VOC's layout of objects."""
    return (root / "Annotations").is_dir() and (root / "ImageSets" / "Main").is_dir()


def open_voc_objects(root: Path, split: str) -> VocObjects:
    """Open one split: `train`, `val`, `trainval`, `test`.

    Raises:
        DatasetNotFound: There is no list of the split.
        DatasetError: An annotation is missing, can't be read, or names an unknown class.
    """
    source = root / "ImageSets" / "Main" / f"{split}.txt"
    if not source.is_file():
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of objects.",
            expected=f"ImageSets/Main/{split}.txt, a name a line",
            found=listed(sorted(path.name for path in source.parent.glob("*.txt"))),
        )
    with parsing(f"the list {str(source)!r}", expected=A_NAME_A_LINE, hint=AS_UTF8):
        lines = read_text(source, LARGEST_LIST).splitlines()
    names = list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
    entries, objects = [], {}
    for number, name in enumerate(names):
        entry, objects[number] = _read(root / "Annotations" / f"{Path(name).name}.xml", number)
        entries.append(entry)
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="instances",
        items=len(entries),
        classes=len(NAMES),
        item_noun="images",
    )
    return VocObjects(info, source, root / "JPEGImages", entries, objects)


def _read(path: Path, number: int) -> tuple[ImageEntry, Sequence[Instance]]:
    """Read one annotation."""
    with parsing(
        f"the annotation {str(path)!r}",
        expected=f"PASCAL VOC's XML with objects of {listed(list(NAMES))}",
    ):
        tree = ElementTree.fromstring(read_bytes(path, LARGEST_ANNOTATION))
        size = [int(_text(tree, f"size/{side}")) for side in ("height", "width")]
        items = [
            _object(item, 1000 * number + place) for place, item in enumerate(tree.iter("object"))
        ]
        if not (min(size) > 0 and max(size) <= LONGEST_SIDE and prod(size) <= MOST_PIXELS):
            raise ValueError(f"an image of {size[1]} x {size[0]} pixels")
    entry = ImageEntry(id=number, file_name=f"{path.stem}.jpg", height=size[0], width=size[1])
    return entry, items


def _object(item: ElementTree.Element, number: int) -> Instance:
    name = _text(item, "name")
    if name not in NAMES:
        raise ValueError(f"an object called {name!r}")
    left, top, right, bottom = (
        float(_text(item, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    if not all(abs(side) <= FARTHEST for side in (left, top, right, bottom)):
        raise ValueError(f"a box at {left}, {top}, {right}, {bottom}")
    left, top = left - 1, top - 1
    outline = [[left, top, right, top, right, bottom, left, bottom]]
    box = (left, top, right - left, bottom - top)
    return Instance(number, NAMES.index(name) + 1, box, box[2] * box[3], False, outline)


def _text(item: ElementTree.Element, path: str) -> str:
    found = item.findtext(path)
    if found is None:
        raise ValueError(f"no <{path}>")
    return found.strip()
