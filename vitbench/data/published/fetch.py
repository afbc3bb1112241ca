"""Fetch a published set: download what is missing, unpack it, put it where readers look."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.data.published.sets import Archive, PublishedSet
from vitbench.data.published.unpack import unpack
from vitbench.download import download
from vitbench.errors import DatasetError, UnknownName

WORK = ".vitbench-downloads"  # beside the sets, so that a rename is enough
GROWTH = 2.5  # bytes on disk for each byte of an archive, with the archive: it must fit
MB = 1 << 20

Progress = Callable[[str, int, int], None]  # what is done, MB so far, MB in all


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fetch would do."""

    wanted: PublishedSet
    root: Path  # the folder of the set
    missing: Sequence[Archive]

    @property
    def size_bytes(self) -> int:
        """Bytes to download, as far as they are published."""
        return sum(archive.size_bytes for archive in self.missing)


def plan_fetch(wanted: PublishedSet, base: Path, parts: Sequence[str] = ()) -> Plan:
    """Say which files of a set are missing.

    Args:
        wanted: The set.
        base: The folder of all sets.
        parts: What is fetched beside the usual files, such as `train`.

    Raises:
        UnknownName: The set has no such part.
        DatasetError: The set can't be fetched by a program.
    """
    for part in parts:
        if part not in wanted.parts:
            raise UnknownName(f"part of {wanted.name}", part, wanted.parts)
    if not wanted.archives:
        raise DatasetError(
            f"{wanted.title} can't be fetched by a program.",
            found=wanted.note,
            hint=f"{wanted.homepage}; then vitbench data check {wanted.name}",
        )
    root = base / wanted.folder
    asked = [each for each in wanted.archives if not each.part or each.part in parts]
    return Plan(wanted, root, [each for each in asked if not (root / each.provides).exists()])


def fetch(
    plan: Plan, *, keep: bool = False, progress: Progress | None = None, wait: float = 1.0
) -> None:
    """Download, unpack and put into place what is missing.

    A download that breaks off goes on where it stopped, here or in a later call. Files appear under
    the set's folder only when every archive is unpacked.

    Args:
        plan: What is missing.
        keep: Whether the archives are kept.
        progress: Told how far it is.
        wait: Seconds before the second attempt of a download.

    Raises:
        DownloadError: A server can't be reached or does not keep to its word.
        DatasetError: There is no room, an archive is not what it should be, or a folder is in
            the way.
    """
    base = plan.root.parent
    work = base / WORK / plan.wanted.name
    _check_room(plan, base)
    work.mkdir(parents=True, exist_ok=True)
    for archive in plan.missing:
        _download(archive, work, progress, wait)
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)  # of a call that was stopped
    for archive in plan.missing:
        _unpack(archive, work, tree, progress)
    _put_into_place(tree, plan.root)
    if not keep:
        shutil.rmtree(work)
        if not any((base / WORK).iterdir()):
            (base / WORK).rmdir()


def _check_room(plan: Plan, base: Path) -> None:
    base.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(base).free, int(GROWTH * plan.size_bytes)
    if free < needed:
        raise DatasetError(
            f"there is no room for {plan.wanted.name} in {str(base)!r}.",
            expected=f"about {needed / 1e9:.1f} GB: the archives, and what they hold",
            found=f"{free / 1e9:.1f} GB",
            hint="export VITBENCH_DATA=FOLDER on a larger disk",
        )


def _download(archive: Archive, work: Path, progress: Progress | None, wait: float) -> None:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(f"download {archive.file_name}", done // MB, max(total, done) // MB)

    download(
        archive.url,
        work / archive.file_name,
        sha256=archive.sha256,
        size_bytes=archive.size_bytes,
        progress=tell,
        wait=wait,
    )


def _unpack(archive: Archive, work: Path, tree: Path, progress: Progress | None) -> None:
    file, into = work / archive.file_name, tree / archive.into
    if archive.unpack:
        size = file.stat().st_size

        def tell(done: int) -> None:
            if progress is not None:
                progress(f"unpack {archive.file_name}", done // MB, max(size, done) // MB)

        unpack(file, into, strip=archive.strip, progress=tell)
    else:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, into / file.name)
    if not (tree / archive.provides).exists():
        raise DatasetError(
            f"the archive {str(file)!r} is another one.",
            expected=f"{archive.provides} in it",
            found=", ".join(sorted(path.name for path in into.iterdir())[:10]),
        )


def _put_into_place(tree: Path, root: Path) -> None:
    """Move what was unpacked into the set's folder; nothing that is there is replaced."""
    if not root.exists():
        tree.rename(root)
        return
    for path in sorted(tree.iterdir()):
        place = root / path.name
        if place.exists():
            raise DatasetError(
                f"{str(place)!r} is in the way.",
                expected="nothing there, or all of it",
                found="a part of the set, or something else",
                hint=f"move it away, or complete it by hand from {str(path)!r}",
            )
    for path in sorted(tree.iterdir()):
        path.rename(root / path.name)
