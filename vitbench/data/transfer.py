"""Queries from another set: its images, numbered by the classes of the set that is learned from."""

from collections.abc import Sequence
from dataclasses import replace

from vitbench.data.classification import open_classification
from vitbench.data.classified import KIND, QUERIES, ClassifiedImages
from vitbench.data.dataset import data_root
from vitbench.data.folders import open_class_folders
from vitbench.data.listing import folder_names
from vitbench.data.split_folders import names_of
from vitbench.data.synthetic import Progress
from vitbench.errors import DatasetError, DatasetNotFound, listed

SCORED = "val"  # the split of the second set, where it has splits


def open_queries(
    name: str, classes: Sequence[str], progress: Progress | None = None
) -> ClassifiedImages:
    """Open the images of another set, with the class numbers of a first one.

    Classes of both sets are the same where their names are. Numbers that are no names of the first
    set stand for its classes in their order, as in ImageNet-V2. Images of classes that the first
    set lacks are left out.

    Args:
        name: Of the second set, as for `open_dataset`. Its `val` is read; class folders that lie in
            no split are read whole.
        classes: Class names of the first set, by number.
        progress: Told how far the built-in data is when it is made on its first use.

    Raises:
        DatasetNotFound: Nothing is there.
        DatasetError: The sets have no class in common, or what is there is broken.
    """
    root = data_root(name, KIND, progress=progress)
    try:
        found = open_classification(root, SCORED)
    except DatasetNotFound:
        if not folder_names(root) or any((root / split).is_dir() for split in names_of(SCORED)):
            raise
        found = open_class_folders(root.parent, root, root.name)
    found = replace(found, class_names=_named(found.class_names, classes))
    common = {*found.class_names} & {*classes}
    if not common:
        raise DatasetError(
            f"the queries {name!r} have no class of the data that is learned from.",
            expected=f"some of {listed(classes)}",
            found=listed(found.class_names),
            hint="name the class folders alike in both sets",
        )
    notes = list(found.notes)
    if len(common) < len(found.class_names):
        unknown = [one for one in found.class_names if one not in common]
        text = f"{len(unknown)} of {len(found.class_names)} classes are not in train: "
        notes.append(f"queries: {text}{listed(unknown)}; their images are left out")
    whole = replace(found.info, name=root.name, split=QUERIES)
    kept = replace(found, info=whole).of_classes(classes)
    whole = replace(kept.info, of_items=None)  # no sample: all that can be asked
    return replace(kept, info=whole, notes=tuple(notes))


def _named(own: Sequence[str], classes: Sequence[str]) -> Sequence[str]:
    """Return the names of classes, where numbers stand for those of the first set."""
    numbers = [int(name) if name.isdecimal() else len(classes) for name in own]
    if {*own} & {*classes} or max(numbers, default=0) >= len(classes):
        return own
    return [classes[number] for number in numbers]
