"""`vitbench data list|get|check|layout`: published data sets by name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vitbench.cli.flags import parse
from vitbench.cli.reporter import speaking
from vitbench.data.dataset import DATA_VARIABLE, readers
from vitbench.data.published.check import Checked, check_set
from vitbench.data.published.fetch import Plan, fetch, plan_fetch
from vitbench.data.published.sets import PublishedSet, find_set, set_names
from vitbench.errors import DatasetError, SettingError, UnknownName
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A published set."""

    name: str = setting(help="name of a published set: vitbench data list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Get:
    """A published set, and where it goes."""

    name: str = setting(help="name of a published set: vitbench data list")
    into: Path | None = setting(
        None, help="folder of all data sets; left out: the one that VITBENCH_DATA names"
    )
    part: tuple[str, ...] = setting(
        (), help="parts that are fetched beside the usual files, such as train of coco"
    )
    keep_archives: bool = setting(False, help="keep the downloaded archives")
    plan: bool = setting(False, help="say what would be downloaded, and stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A published set, and where it lies."""

    name: str = setting(help="name of a published set: vitbench data list")
    at: Path | None = setting(
        None, help="folder of the set; left out: its usual name under $VITBENCH_DATA"
    )


def list_sets(arguments: list[str]) -> int:
    """Print a line or two for each set."""
    parse({}, arguments, prog="vitbench data list", description="List the published data sets.")
    for wanted in map(find_set, set_names()):
        print(f"{wanted.name:12}{wanted.title}")
        print(f"{'':12}{', '.join(wanted.splits) or 'no reader'}; {_size(wanted)}")
        print(f"{'':12}{wanted.license}")
    return 0


def get(arguments: list[str]) -> int:
    """Say what is missing and how large it is, fetch it, and check the whole."""
    (options,) = parse(
        {"flags": Get},
        arguments,
        prog="vitbench data get",
        description="Download a published data set, unpack it, and check it. A download that broke"
        " off goes on\nwhere it stopped.\n\nexample:\n  vitbench data get davis",
        positional=("name",),
    )
    wanted = find_set(options.name)
    plan = plan_fetch(wanted, options.into or _base(), options.part)
    _announce(plan)
    if options.plan:
        return 0
    if plan.missing:
        with speaking() as reporter:
            fetch(
                plan,
                keep=options.keep_archives,
                progress=lambda task, done, total: reporter.progress(task, done, total, "MB"),
            )
    return _tell(check_set(wanted, plan.root))


def check(arguments: list[str]) -> int:
    """Print what a folder holds of a set; end with exit code 2 if it can't be used."""
    (options,) = parse(
        {"flags": Check},
        arguments,
        prog="vitbench data check",
        description="Compare a folder with the published set: how many files there are, that none"
        " is empty, and\nthat the readers find every file that lists and annotations name. A subset"
        " is called one.\n\nexample:\n  vitbench data check coco",
        positional=("name",),
    )
    wanted = find_set(options.name)
    return _tell(check_set(wanted, options.at or _base() / wanted.folder))


def layout(arguments: list[str]) -> int:
    """Print the tree of a set, or the layouts that the reader of a kind of data understands."""
    (options,) = parse(
        {"flags": Named},
        arguments,
        prog="vitbench data layout",
        description="Print the folders and files of a published set, or of a kind of data.",
        positional=("name",),
    )
    kinds = [entry.name for entry in readers.entries()]
    if options.name in kinds:
        print("\n".join(readers.get(options.name).layout))
        return 0
    try:
        wanted = find_set(options.name)
    except UnknownName as error:
        known = [*set_names(), *kinds]
        raise UnknownName("published set or kind of data", options.name, known) from error
    print(wanted.layout.strip("\n"))
    return 0


def _base() -> Path:
    base = os.environ.get(DATA_VARIABLE, "")
    if not base:
        raise SettingError(
            [f"no folder of data sets is named: {DATA_VARIABLE} is not set"],
            hint=f"export {DATA_VARIABLE}=FOLDER, or name the folder by a flag (--help)",
        )
    return Path(base).expanduser()


def _announce(plan: Plan) -> None:
    """Say what would be downloaded before it happens."""
    wanted = plan.wanted
    print(f"{wanted.title}\n  {wanted.paper}\n  license   {wanted.license}")
    for archive in plan.missing:
        size = f"{archive.size_bytes / 1e6:,.0f} MB" if archive.size_bytes else "size not published"
        sum_ = "sha256 known" if archive.sha256 else "no published checksum"
        print(
            f"  download  {archive.file_name} from {urlsplit(archive.url).netloc}, {size}, {sum_}"
        )
    if not plan.missing:
        print("  download  nothing: files of it are there already, and are kept")
    if wanted.note:
        print(f"  note      {wanted.note}")
    print(f"  into      {plan.root}", flush=True)


def _tell(checked: Checked) -> int:
    print(f"{checked.wanted.name} in {checked.root}")
    width = max(len(each.what) for each in checked.findings)
    for each in checked.findings:
        text = str(each).splitlines()
        print(f"  {each.what:<{width}}  {text[0]}")
    print(f"{checked.wanted.name} is {checked.verdict}", flush=True)
    if checked.faults:
        raise DatasetError(
            f"{checked.wanted.name} in {str(checked.root)!r} can't be used as it is.",
            found=_indented(checked.faults),
            hint=f"move it away, then vitbench data get {checked.wanted.name}"
            if checked.wanted.archives
            else "",
        )
    return 0


def _indented(faults: Sequence[str]) -> str:
    return "\n            ".join(line for fault in faults for line in fault.splitlines())


def _size(wanted: PublishedSet) -> str:
    """Say how much there is to download."""
    if not wanted.archives:
        return f"not downloaded by this program: {wanted.homepage}"
    usual = [each for each in wanted.archives if not each.part]
    known = sum(each.size_bytes for each in usual)
    size = f"{known / 1e6:,.0f} MB" if known else "size not published"
    parts = "".join(
        f"; --part {part} {sum(e.size_bytes for e in wanted.archives if e.part == part) / 1e6:,.0f}"
        " MB"
        for part in wanted.parts
    )
    return size + parts
