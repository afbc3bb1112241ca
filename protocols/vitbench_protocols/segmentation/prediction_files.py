"""Find the prediction file of each image in a folder."""

from pathlib import Path

from vitbench.api import IndexMapDataset, errors

PNG = ".png"
IMAGES = frozenset({PNG, ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def prediction_files(folder: Path, dataset: IndexMapDataset) -> list[Path]:
    """Return the file of each image, at any depth of the folder; all of them must be there.

    Raises:
        DatasetError: There is no such folder, an image has no file, or more than one.
    """
    if not folder.is_dir():
        raise errors.DatasetError(
            f"{str(folder)!r} is no folder of predictions.",
            expected="a folder of PNGs, NAME.png for each image NAME",
            found="a file" if folder.exists() else "nothing there",
            hint="unpack an archive first, and give the folder that comes out of it",
        )
    found = _by_name(folder, {Path(name).stem for name in dataset.ids})
    pngs = {name: path for name, path in found.items() if path.suffix.lower() == PNG}
    missing = [name for name in dataset.ids if Path(name).stem not in pngs]
    if missing:
        others = len(found) - len(pngs)
        raise errors.DatasetError(
            f"{len(missing)} of {len(dataset)} images have no prediction in {str(folder)!r}.",
            expected="NAME.png for each image NAME",
            found=f"{len(pngs)} PNGs of images"
            + (f", {others} of another format" if others else "")
            + f"; without one: {errors.listed(missing)}",
            hint="write one index map, a PNG, for each image; --split says which images",
        )
    return [pngs[Path(name).stem] for name in dataset.ids]


def _by_name(folder: Path, names: set[str]) -> dict[str, Path]:
    """Return the images with these names below a folder; a leading dot is no data."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.stem not in names or path.suffix.lower() not in IMAGES:
            continue
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.stem in found:
            raise errors.DatasetError(
                f"two files of {str(folder)!r} are predictions of {path.stem!r}.",
                expected="one file an image",
                found=f"{str(found[path.stem])!r} and {str(path)!r}",
                hint="give a folder that holds one set of predictions",
            )
        found[path.stem] = path
    return found
