"""`vitbench show`: one item of a dataset with its truth, or of a run with what was predicted."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.cache import cache_root
from vitbench.cli.flags import parse
from vitbench.errors import (
    DatasetNotFound,
    RecordError,
    SettingError,
    UnknownName,
    VitbenchError,
)
from vitbench.records import Record, safe_name
from vitbench.reports import escape
from vitbench.reports.folders import read_folders
from vitbench.reports.select import is_named, runs_of
from vitbench.settings import setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as Picture

    from vitbench.data.kinds import Dataset
    from vitbench.reports.item import RunItem

ABOUT = """\
Look at one item: of a dataset, with its truth drawn over it; or of the runs of a results folder,
with their scores on it, and what they predicted beside the truth.

examples:
  vitbench show coco 0 --kind instances --open
  vitbench show davis camel
  vitbench show dino bmx-trees --results results"""


@dataclass(frozen=True, slots=True)
class Options:
    """What to look at."""

    what: str = setting("", help="a dataset, or the name or id of a run")
    item: str = setting("0", help="id of an item, a part of one, or its number in the dataset")
    kind: str = setting("", help="kind of data to read the folder as; left out: the first found")
    split: str = setting("val", help="split of the dataset")
    data: str = setting(
        "", help="where the data of a run lies; left out: as in `vitbench eval`, by its name"
    )
    results: Path = setting(Path("results"), help="folder that holds the records")
    out: Path | None = setting(None, help="file to write the picture to; left out: in the cache")
    open: bool = setting(False, help="open the picture")


def run(arguments: list[str]) -> int:
    """Run the sub-command; returns the exit status."""
    (options,) = parse(
        {"flags": Options},
        arguments,
        prog="vitbench show",
        description=ABOUT,
        positional=("what", "item"),
    )
    if not options.what:
        raise SettingError(["nothing to look at"], hint="vitbench show DATA|RUN ITEM")
    records = _runs(options)
    return _show_runs(options, records) if records else _show_data(options)


def _runs(options: Options) -> list[Record]:
    """Return the runs that are meant, if any are."""
    if not options.results.is_dir():
        return []
    found, _ = read_folders([options.results])
    records = [record for record in found if isinstance(record, Record)]
    named = [record for record in records if is_named(record, options.what)]
    return named or runs_of(records, options.what)


def _show_runs(options: Options, records: list[Record]) -> int:
    from vitbench.data.dataset import open_dataset
    from vitbench.data.draw_item import draw_item, find_item
    from vitbench.reports.item import find_run_items
    from vitbench.reports.item_sheet import draw_sheet

    found = find_run_items(records, [options.results], options.item)
    for one in found:
        print("\n".join(one.lines))
        for file in one.pictures:
            print(f"  {escape.plain(file.name)}: {file.path}")
    truths = {}
    for of, item in _data_of(found, options):
        try:
            dataset = open_dataset(*of)
            drawn = draw_item(dataset, find_item(dataset, item))
        except VitbenchError as error:
            why = escape.plain(str(error).splitlines()[0])
            print(f"  truth: not drawn, as {why} --data PATH says where the data is")
            continue
        told = "; ".join(f"{name}: {text}" for name, text in drawn.facts.items())
        print(f"  truth: {escape.plain(told)}")
        truths[f"truth: {escape.plain(told)[:90]}"] = drawn.picture
    sheet = draw_sheet(truths, found)
    if sheet is None:
        print("  no picture: the runs kept none of this item")
        return 0
    name = safe_name(f"{options.what}-{found[0].item}")
    _keep(sheet, options, name, "truth and predictions" if truths else "predictions")
    return 0


def _show_data(options: Options) -> int:
    from vitbench.data.draw_item import draw_item, find_item

    dataset = _opened(options)
    index = find_item(dataset, options.item)
    drawn = draw_item(dataset, index)
    info = dataset.info
    print(f"{info.name}/{info.split} · {info.kind} · item {index:,} of {len(dataset):,}")
    told = {"id": str(dataset.ids[index]), **drawn.facts}
    told["files"] = ", ".join(map(str, (*dataset.image_files(index), *dataset.label_files(index))))
    for name, text in told.items():
        print(f"  {name}: {escape.plain(text)}")
    _keep(drawn.picture, options, safe_name(f"{info.name}-{index}"), "picture")
    return 0


def _data_of(
    found: "Sequence[RunItem]", options: Options
) -> dict[tuple[tuple[str, str, str], str], None]:
    """Return where the data of runs lies, its kind and split, and the item; each once.

    A record names no address: its words make nobody download anything.
    """
    return {
        ((options.data or safe_name(data.name), data.kind, data.split), one.item): None
        for one in found
        if (data := one.record.dataset)
    }


def _keep(picture: "Picture", options: Options, name: str, what: str) -> None:
    """Write a picture and say where it is.

    Raises:
        RecordError: It can't be written.
    """
    path = options.out or cache_root() / "show" / f"{name}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except (OSError, ValueError) as error:
        raise RecordError(f"{str(path)!r} can't be written.", found=str(error)) from error
    print(f"  {what}: {path}")
    if options.open:
        webbrowser.open(path.resolve().as_uri())


def _opened(options: Options) -> "Dataset[Any]":
    """Open the dataset as the kind that was asked for, else as the first one that it is.

    Raises:
        UnknownName: Neither a dataset nor a run has the name, or no kind of data fits.
    """
    from vitbench.data.dataset import find_root, open_dataset
    from vitbench.data.overview import LOOKS
    from vitbench.data.synthetic import NAME as SYNTHETIC

    if options.what == SYNTHETIC:
        return open_dataset(SYNTHETIC, options.kind or "classification", options.split)
    try:
        root = find_root(options.what)
    except DatasetNotFound as error:
        raise DatasetNotFound(
            f"no dataset and no run {options.what!r}.",
            expected=f"{error.expected}, or the name of a run in {str(options.results)!r}",
            found=error.found,
            hint="vitbench list datasets; vitbench results ls",
        ) from error
    kinds = [options.kind] if options.kind else [
        kind for kind, look in LOOKS.items() if look(root, options.split) is not None
    ]  # fmt: skip
    if not kinds:
        raise UnknownName("kind of data that fits", options.what, LOOKS, hint="--kind KIND")
    return open_dataset(options.what, kinds[0], options.split)
