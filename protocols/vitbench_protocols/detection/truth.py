"""The objects of a split in the form that COCO's evaluation takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vitbench.api import Context, InstanceDataset, errors
from vitbench.kit import Instance, Instances, encode_mask

Kind = Literal["box", "mask"]


@dataclass(frozen=True, slots=True)
class Truth:
    """The objects in a split's annotation file, under the file's own ids.

    An object without outline has no true mask: it counts for boxes only.
    """

    name: str  # of the split, for messages
    ids: tuple[str, ...]  # of the items, in the order of the split
    sizes: Mapping[int, tuple[int, int]]  # image id -> (height, width), in the same order
    categories: Mapping[int, str]  # category id -> name, by id
    objects: tuple[Instances, ...]  # of each image
    shift: int  # from the file's category ids to the data set's
    notes: tuple[str, ...] = ()  # on what the file does not say

    @staticmethod
    def of(dataset: InstanceDataset) -> "Truth":
        """Take the objects of a data set of instances; no image is read."""
        objects = tuple(dataset.target(place) for place in range(len(dataset)))
        return Truth(
            name=f"{dataset.info.name}/{dataset.info.split}",
            ids=tuple(dataset.ids),
            sizes={one.image_id: (one.height, one.width) for one in objects},
            categories={
                number - dataset.shift: name for number, name in sorted(dataset.categories.items())
            },
            objects=objects,
            shift=dataset.shift,
            notes=tuple(dataset.notes),
        )

    @property
    def image_ids(self) -> tuple[int, ...]:
        """The id of each image, in the order of the split."""
        return tuple(self.sizes)

    def without_outline(self) -> int:
        """Count the objects that have no true mask."""
        return sum(not has_outline(one) for image in self.objects for one in image.items)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What can be scored: boxes always, masks if any object has one."""
        objects = sum(len(image.items) for image in self.objects)
        return ("box",) if objects and self.without_outline() == objects else ("box", "mask")

    def annotations(self, kind: Kind) -> list[dict[str, Any]]:
        """Return the objects as COCO's dictionaries, numbered from 1.

        Args:
            kind: `box` or `mask`.

        Raises:
            DatasetError: Run lengths are not those of their image.
        """
        found: list[dict[str, Any]] = []
        for image in self.objects:
            for one in image.items:
                if kind == "mask" and not has_outline(one):
                    continue
                entry = {
                    "id": len(found) + 1,
                    "image_id": image.image_id,
                    "category_id": one.category - self.shift,
                    "bbox": list(one.box),
                    "area": one.area,
                    "iscrowd": int(one.crowd),
                }
                if kind == "mask":
                    entry["segmentation"] = encode_mask(one, image.height, image.width)
                found.append(entry)
        return found

    def document(self, annotations: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a whole annotation file with these entries."""
        return {
            "images": [
                {"id": number, "height": size[0], "width": size[1]}
                for number, size in self.sizes.items()
            ],
            "categories": [
                {"id": number, "name": name} for number, name in self.categories.items()
            ],
            "annotations": annotations,
        }


def open_instances(context: Context, split: str) -> InstanceDataset:
    """Open a split of objects."""
    dataset = context.dataset(split)
    assert isinstance(dataset, InstanceDataset), f"{dataset.info.kind} without objects"
    return dataset


def check_categories(train: InstanceDataset, truth: Truth) -> None:
    """Check that the images learned from and those scored have the same categories.

    Raises:
        DatasetError: They don't.
    """
    learned = {number - train.shift: name for number, name in train.categories.items()}
    if learned != truth.categories:
        odd = sorted({*learned.items()} ^ {*truth.categories.items()})
        raise errors.DatasetError(
            f"{train.info.name}/{train.info.split} and {truth.name} have different categories.",
            expected="the same ids and names in both annotation files",
            found=f"in one alone: {errors.listed([f'{number} {name!r}' for number, name in odd])}",
        )


def has_outline(instance: Instance) -> bool:
    """Tell whether the file says where an object's mask is."""
    return bool(instance.segmentation)
