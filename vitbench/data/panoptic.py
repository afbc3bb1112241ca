"""COCO panoptic: `<root>/annotations/panoptic_val2017.json` and one PNG of segments an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from vitbench.data.annotated_images import AnnotatedImages
from vitbench.data.coco_files import (
    Category,
    ImageEntry,
    check_images,
    check_known,
    check_size,
    check_unique,
    contradiction,
    find_annotations,
    is_file_name,
    parse_annotations,
    read_annotations,
)
from vitbench.data.dataset import Reader
from vitbench.data.label_images import read_label_image
from vitbench.data.label_maps import BACKGROUND, LabelMap, Labels
from vitbench.errors import DatasetError, listed
from vitbench.records import DatasetInfo


class _Segment(msgspec.Struct, gc=False):
    id: int
    category_id: int


class _Annotation(msgspec.Struct):
    image_id: int
    file_name: str
    segments_info: list[_Segment]


class _File(msgspec.Struct):
    images: list[ImageEntry]
    annotations: list[_Annotation]
    categories: list[Category]


class PanopticDataset(AnnotatedImages[LabelMap]):
    """Images with their segments, things and stuff, sorted by image id."""

    def __init__(
        self,
        info: DatasetInfo,
        file: Path,
        folders: tuple[Path, Path],
        images: Sequence[ImageEntry],
        annotations: Mapping[int, _Annotation],
        categories: Mapping[int, str],
    ) -> None:
        super().__init__(info, file, folders[0], images, categories)
        self._maps, self._annotations = folders[1], annotations

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return the segment map of one image."""
        annotation = self._annotations[self.entries[index].id]
        return (self._maps / Path(annotation.file_name).name,)

    def target(self, index: int) -> LabelMap:
        """Return the segments of one image; pixels of no segment are background.

        Raises:
            DatasetError: The PNG is broken, of another size, or its ids are not the file's.
        """
        entry, (path,) = self.entries[index], self.label_files(index)
        mode, colors = read_label_image(path)  # (H, W, 3)
        if mode != "RGB":
            raise DatasetError(
                f"the segment map {str(path)!r} is no RGB image.",
                expected="an RGB image, each segment's number as red + 256 green + 65536 blue",
                found=f"mode {mode!r}",
                hint="take the PNGs and the JSON from the same source",
            )
        check_size(path, (colors.shape[1], colors.shape[0]), (entry.width, entry.height))
        ids, found = np.unique(
            colors.astype(np.int32) @ np.array([1, 256, 65536]), return_inverse=True
        )
        known = {item.id: item.category_id for item in self._annotations[entry.id].segments_info}
        unknown = [str(number) for number in ids.tolist() if number and number not in known]
        if unknown:
            raise DatasetError(
                f"the segment map {str(path)!r} has ids that its annotation doesn't list.",
                found=listed(unknown),
                hint="take the PNGs and the JSON from the same source",
            )
        segments: Labels = found.reshape(colors.shape[:2]).astype(np.int32)
        categories = [known.get(number, BACKGROUND) for number in ids.tolist()]
        if ids[0] != 0:  # no pixel without a segment: background is still entry 0
            segments += 1
            categories = [BACKGROUND, *categories]
        return LabelMap(segments, np.asarray(categories, np.int32))


def open_panoptic(root: Path, split: str) -> PanopticDataset:
    """Open one split of COCO panoptic.

    Raises:
        DatasetNotFound: There is no annotation file of the split.
        DatasetError: The file is empty, no JSON, not of this form, or contradicts itself; or
            PNGs are missing.
    """
    path = find_annotations(root, "panoptic", split)
    content = read_annotations(path)
    parsed = parse_annotations(path, content, _File)
    maps = path.with_suffix("")
    _check(path, maps, parsed)
    folder = root / path.stem.removeprefix("panoptic_")
    annotations = {item.image_id: item for item in parsed.annotations}
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="panoptic",
        items=len(parsed.images),
        classes=len(parsed.categories),
        item_noun="images",
    )
    names = {category.id: category.name for category in parsed.categories}
    return PanopticDataset(info, path, (folder, maps), parsed.images, annotations, names)


READER = Reader(
    open_panoptic,
    layout=(
        "annotations/panoptic_val2017.json, annotations/panoptic_val2017/NAME.png and"
        " val2017/NAME.jpg, as COCO",
    ),
)


def _check(path: Path, maps: Path, parsed: _File) -> None:
    check_images(path, parsed.images)
    images = [entry.id for entry in parsed.images]
    check_unique(path, "annotated image", [item.image_id for item in parsed.annotations])
    check_known(path, "image", [item.image_id for item in parsed.annotations], images)
    used = [part.category_id for item in parsed.annotations for part in item.segments_info]
    check_known(path, "category", used, [category.id for category in parsed.categories])
    odd = next(
        (item for item in parsed.annotations if not is_file_name(Path(item.file_name).name)), None
    )
    if odd is not None:
        raise contradiction(path, "names a segment map that is no file name", repr(odd.file_name))
    annotated = {item.image_id: maps / Path(item.file_name).name for item in parsed.annotations}
    missing = [
        entry.file_name
        for entry in parsed.images
        if entry.id not in annotated or not annotated[entry.id].is_file()
    ]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(images)} images have no segment map: {listed(missing)}.",
            expected=f"an annotation in {path.name!r} and a PNG in {str(maps)!r} for each image",
            hint="unpack the PNGs beside the JSON file",
        )
